# SPDX-License-Identifier: MIT
"""The plugin says what is missing where it cannot be compiled or loaded."""

import sysconfig

import openmm
import pytest

from openmm_allegro import plugin
from openmm_allegro.plugin import build, library

pytestmark = pytest.mark.small


def test_no_headers(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(openmm.version, "openmm_library_path", str(tmp_path / "lib"))
    with pytest.raises(ImportError, match="expects OpenMM's headers, found none in"):
        build.plugin_path()


def test_the_plugin_of_a_wheel_needs_no_compiler(tmp_path, monkeypatch):
    """It is named by its sources; a compiler that is asked for comes first."""
    file = tmp_path / f"{build.module_name()}{sysconfig.get_config_var('EXT_SUFFIX')}"
    file.touch()
    monkeypatch.setattr(plugin, "__path__", [*plugin.__path__, str(tmp_path)])
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("CXXFLAGS", raising=False)
    assert build.plugin_path() == file
    monkeypatch.setenv("CXX", "none++")
    with pytest.raises(ImportError, match=r"found no CXX=none\+\+; install one"):
        build.plugin_path()


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
