# SPDX-License-Identifier: MIT
"""The library of kernels for cards is found, compiled where it is not, and checked."""

import ctypes
import tomllib
from pathlib import Path

import pytest

from openmm_allegro.kernels import builds, header
from openmm_allegro.kernels.gpu import library

pytestmark = pytest.mark.small

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "openmm_allegro" / "kernels" / "gpu"
SOURCES = {path for path in FOLDER.rglob("*") if path.suffix in (".h", ".cc", ".cpp")}


@pytest.fixture
def anew():
    """The library is looked for again, in the test and after it."""
    library._find.cache_clear()
    yield
    library._find.cache_clear()


def test_it_has_the_functions_of_the_header():
    loaded = library.gpu_library()
    assert loaded.allegro_gpu_interface() == library.INTERFACE
    sizes = header.structure("allegro_gpu_sizes")
    assert loaded.allegro_gpu_plan.argtypes[2] is ctypes.POINTER(sizes)
    assert loaded.allegro_gpu_close.restype is None


def test_one_of_another_version_is_not_used(monkeypatch, anew):
    monkeypatch.setattr(library, "INTERFACE", 99)
    monkeypatch.setattr(library, "load_installed", lambda name: ctypes.CDLL(None))
    monkeypatch.setenv("CXX", "no-such-compiler")
    message = "kernel for cards is of another version, and cannot be compiled: .* apt"
    for _ in range(2):  # no other search the second time
        with pytest.raises(ImportError, match=message):
            library.gpu_library()
        monkeypatch.setattr(library, "load_installed", None)


def test_it_is_compiled_anew_if_any_of_its_sources_changes():
    included = {path.name for path in [builds.GPU_SOURCE, *builds.GPU_INCLUDED]}
    shim = {path for path in SOURCES if "shim" in path.parts}
    assert {path.name for path in SOURCES - shim} <= included


def test_its_sources_are_installed():
    """Without them it could not be compiled on first use."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    data = settings["setuptools"]["package-data"]["openmm_allegro.kernels.gpu"]
    assert {path for pattern in data for path in FOLDER.glob(pattern)} >= SOURCES
