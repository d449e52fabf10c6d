# SPDX-License-Identifier: MIT
"""The plugin is compiled once, and says what is missing where it cannot be."""

import openmm
import pytest

from openmm_allegro.plugin import build, library


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_compiled_once(empty_cache):
    path = build.plugin_path()
    made = path.stat().st_mtime_ns
    assert build.plugin_path() == path
    assert path.stat().st_mtime_ns == made
    assert [p.name for p in empty_cache.iterdir()] == [path.name]


def test_another_compiler_makes_another_file(empty_cache, monkeypatch):
    compiler = build._compiler()
    first = build._fingerprint(compiler)
    monkeypatch.setattr(build, "FLAGS", [*build.FLAGS, "-DANOTHER"])
    assert build._fingerprint(compiler) != first


def test_no_compiler(empty_cache, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ImportError, match=r"expects a C\+\+ compiler, found no CXX="):
        build.plugin_path()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(empty_cache))
    with pytest.raises(ImportError, match=r"found no g\+\+ or clang\+\+; install"):
        build.plugin_path()


def test_no_headers(empty_cache, monkeypatch):
    monkeypatch.setattr(openmm.version, "openmm_library_path", str(empty_cache / "lib"))
    with pytest.raises(ImportError, match="expects OpenMM's headers, found none in"):
        build.plugin_path()


def test_failing_compiler_is_quoted_and_leaves_nothing(empty_cache, monkeypatch):
    monkeypatch.setattr(build, "FLAGS", [*build.FLAGS, "-std=no-such-standard"])
    with pytest.raises(ImportError, match="no-such-standard"):
        build.plugin_path()
    assert list(empty_cache.iterdir()) == []


def test_no_kernels(monkeypatch):
    monkeypatch.setattr(library, "kernels", lambda: None)
    with pytest.raises(ImportError, match="expects the compiled kernels, found none"):
        library.plugin.__wrapped__()


@pytest.mark.parametrize("works", [True, False])
def test_an_unknown_openmm_is_tried_in_another_process(tmp_path, monkeypatch, works):
    """A wrong plugin does not fail but crashes."""
    monkeypatch.setattr(openmm, "__version__", "9.9")
    path = build.plugin_path() if works else tmp_path / "missing.so"
    if works:
        library._try_with_unknown_openmm(path)
        return
    with pytest.raises(ImportError, match=r"expects OpenMM 8.4 to 8.6, found 9.9"):
        library._try_with_unknown_openmm(path)
