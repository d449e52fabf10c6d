# SPDX-License-Identifier: MIT
"""One thread a worker; models, a training and a box of water for many tests."""

import gc
import importlib
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Set before torch is imported, hence the imports in the fixtures below; processes that
# tests start inherit it. A worker has one processor, and the matrices are small.
for name, value in {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "OPENMM_CPU_THREADS": "1",
    # a card, or an OpenCL of the processor, would be OpenMM's choice
    "OPENMM_DEFAULT_PLATFORM": "CPU",
    "TORCHINDUCTOR_CACHE_DIR": str(ROOT / ".pytest_cache" / "inductor"),
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}.items():
    os.environ.setdefault(name, value)
if "PYTEST_XDIST_WORKER" in os.environ:
    # Until pytest_collection_finish: imports leave no garbage that is worth a search.
    gc.disable()

SYSTEMS = ROOT / "systems"
# Scripts of systems/ that tests import, or that import each other.
SCRIPTS = (
    "build",
    "build_box",
    "common",
    "compare",
    "density",
    "figures",
    "melts",
    "npt",
    "prepare",
    "pressure",
    "run",
    "solids",
)


# Values of tests' parameters, and the packages that they need.
NEEDS = {
    "torchforce": "openmmtorch",
    "pythonforce": "torch",
    "torch": "torch",
    "vesin": "vesin_torch",
}


def pytest_ignore_collect(collection_path):
    """Without torch, only files of small tests can be imported."""
    if find_spec("torch") is None and collection_path.suffix == ".py":
        return "pytest.mark.small" not in collection_path.read_text() or None
    return None


def pytest_collection_modifyitems(items):
    """Skip what asks for a package that is not there."""
    missing = {value for value, name in NEEDS.items() if find_spec(name) is None}
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        for value in {value for value in values if isinstance(value, str)} & missing:
            item.add_marker(pytest.mark.skip(reason=f"needs {NEEDS[value]}"))


def pytest_collection_finish():
    """Keep what the imports made out of the search for garbage.

    There is so much of it that a search takes seconds; it is also made less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


def pytest_sessionfinish():
    """Give it back, or libraries report it as leaked when the process ends."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def no_profiling():
    """TorchScript optimised once, not again for the shapes that it meets.

    To optimise a module takes longer than most tests of it; results are the same. And
    what its classes have is looked up once.
    """
    if torch := sys.modules.get("torch"):
        from scripted_classes import keep_what_classes_have

        torch._C._jit_set_profiling_mode(False)
        keep_what_classes_have()


@pytest.fixture
def profiling():
    """TorchScript as users run it: the second call has a graph of its own."""
    torch = pytest.importorskip("torch")

    before = torch._C._jit_set_profiling_mode(True)
    yield
    torch._C._jit_set_profiling_mode(before)


@pytest.fixture(scope="session")
def model():
    """H and O with random weights: the model of most Systems here."""
    from helpers import water_model

    return water_model()


@pytest.fixture(scope="session")
def config():
    """A small config in which every option matters."""
    from helpers import FULL, tiny_config

    return tiny_config(**FULL)


@pytest.fixture(scope="session")
def energy(config):
    """Its network, with random weights."""
    from helpers import tiny_energy

    return tiny_energy(config)


@pytest.fixture(scope="session")
def full_model(config, energy):
    """H, O and Na, with every option of a model and random weights."""
    from helpers import tiny_statistics

    from openmm_allegro import Model

    return Model(config, tiny_statistics(config), energy, "total", "float64")


@pytest.fixture(scope="session")
def calculator(full_model):
    """Energies, forces and stress of that model in ASE."""
    from openmm_allegro.interop.ase import AllegroCalculator

    return AllegroCalculator(full_model)


@pytest.fixture
def traced(monkeypatch):
    """``compile = True`` traces the training step, and runs the graph as it is."""
    import torch

    from openmm_allegro.training import train

    monkeypatch.setattr(torch, "compile", lambda graph, **_: graph)
    monkeypatch.setattr(train, "require_compiler", lambda: None)


@pytest.fixture
def compiled():
    """It compiles the graph as well."""
    if not shutil.which("g++"):
        pytest.skip("no C++ compiler")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished training on the ethanol excerpt: folder, model and TrainConfig."""
    from training_helpers import fit, short

    folder = tmp_path_factory.mktemp("finished") / "run"
    settings = short(max_epochs=32, energy_weight=10.0)
    model = fit(folder, settings, provenance={"data": "ethanol"})
    return folder, model, settings


@pytest.fixture
def load_script(monkeypatch):
    """A script of a folder of systems/ as a module, and it alone."""

    def load(folder, name):
        monkeypatch.syspath_prepend(SYSTEMS)
        monkeypatch.syspath_prepend(SYSTEMS / folder)
        for other in SCRIPTS:
            monkeypatch.delitem(sys.modules, other, raising=False)
        return importlib.import_module(name)

    yield load
    for name in SCRIPTS:
        sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def water_box():
    """27 water molecules on a lattice: symbols, positions (nm), box (nm)."""
    from openmm_helpers import lattice_waters

    return lattice_waters()


@pytest.fixture(scope="module")
def read_here():
    """Small files are read in this process: to fork it takes longer than to read."""
    from openmm_allegro.runs import velocities
    from openmm_allegro.runs.trajectories import read

    with pytest.MonkeyPatch.context() as patch:
        for module in (read, velocities):
            patch.setattr(module, "from_child", lambda make: iter(make()))
        yield


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are made but not rendered, for pages of which only the words matter."""
    pytest.importorskip("matplotlib")
    from report_helpers import not_rendered

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", not_rendered)


@pytest.fixture
def trap(tmp_path):
    """Folder that code of a file makes if it runs."""
    path = tmp_path / "code_ran"
    yield path
    assert not path.exists()
