# SPDX-License-Identifier: MIT
"""OpenMM reads Systems with a TorchForce after ``import openmm_allegro`` alone.

``test_former_files.py`` reads such Systems in new processes.
"""

import copy
import pickle
import subprocess
import sys

import openmm
import pytest
from openmm import app
from openmm_helpers import make_topology, skip_without

import openmm_allegro
from openmm_allegro import AllegroPotential, registration


@pytest.fixture(scope="module")
def system(model):
    skip_without("torchforce")
    topology = make_topology(["O", "H", "H"], waters=True)
    return AllegroPotential(model).create_system(topology, backend="torchforce")


@pytest.fixture
def count(monkeypatch):
    """Number of times that OpenMM was about to read a TorchForce."""
    calls = []
    monkeypatch.setattr(registration, "_register_all", lambda: calls.append(1))
    return lambda: len(calls)


def read_system(system, folder):
    return openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))


def read_system_by_its_older_name(system, folder):
    xml = openmm.XmlSerializer.serializeSystem(system)
    return openmm.XmlSerializer.deserializeSystem(xml)


def read_force(system, folder):
    xml = openmm.XmlSerializer.serialize(system.getForce(0))
    return openmm.XmlSerializer.deserialize(xml)


def read_force_in_another(system, folder):
    outer = openmm.CustomCVForce("x")
    outer.addCollectiveVariable("x", copy.deepcopy(system.getForce(0)))
    return openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(outer))


def unpickle(system, folder):
    return pickle.loads(pickle.dumps(system))


def read_files_of_a_simulation(system, folder):
    integrator = openmm.VerletIntegrator(0.001)
    for name, content in (("system", system), ("integrator", integrator)):
        (folder / f"{name}.xml").write_text(openmm.XmlSerializer.serialize(content))
    topology = make_topology(["O", "H", "H"])
    files = [str(folder / "system.xml"), str(folder / "integrator.xml")]
    return app.Simulation(topology, *files).system


def read_thermodynamic_state(system, folder):
    states = pytest.importorskip("openmmtools.states")
    from openmm import unit

    state = states.ThermodynamicState(system, 300 * unit.kelvin)
    return pickle.loads(pickle.dumps(state)).system


@pytest.mark.parametrize(
    "read",
    [
        read_system,
        read_system_by_its_older_name,
        read_force,
        read_force_in_another,
        unpickle,
        read_files_of_a_simulation,
        read_thermodynamic_state,
    ],
)
def test_each_way_to_read(system, count, tmp_path, read):
    before = count()
    assert read(system, tmp_path) is not None
    assert count() > before


def test_nothing_is_registered_for_others(count):
    system = openmm.System()
    system.addForce(openmm.HarmonicBondForce())
    assert read_system(system, None).getNumForces() == 1
    copy.deepcopy(system)
    assert count() == 0


def test_what_is_no_text_is_an_error_of_openmm(count):
    with pytest.raises(openmm.OpenMMException, match="Unknown property"):
        openmm.XmlSerializer.deserializeSystem(None)
    with pytest.raises(TypeError, match="XmlSerializer_deserializeSystem"):
        openmm.XmlSerializer.deserializeSystem(3)
    assert count() == 0


def test_readers_stay_what_they_were():
    """And are watched once, however often the package is imported."""
    reader = openmm.XmlSerializer.deserializeSystem
    registration.register_when_needed()
    assert openmm.XmlSerializer.deserializeSystem is reader
    assert reader.__name__ == "deserializeSystem"
    assert "backward compatibility" in reader.__doc__


def test_a_missing_package_is_named(system, monkeypatch):
    """Rather than OpenMM's word that it knows no such force."""
    from openmm_allegro.forces import register_torch_force

    monkeypatch.setitem(sys.modules, "openmmtorch", None)
    register_torch_force.cache_clear()
    with pytest.raises(ImportError, match=r"openmm-allegro\[torchforce\]"):
        read_system(system, None)
    openmm_allegro.register()


def test_what_forces_need_is_said(model, monkeypatch):
    """Before OpenMM reads them, which may end the process."""
    skip_without("pythonforce")
    topology = make_topology(["O", "H", "H"])
    texts = {
        backend: openmm.XmlSerializer.serialize(
            AllegroPotential(model).create_system(topology, backend=backend)
        )
        for backend in ("native", "pythonforce")
    }

    def no_plugin():
        raise ImportError("backend='native' expects a compiler, found none")

    with monkeypatch.context() as patch:
        patch.setattr("openmm_allegro.plugin.library.plugin", no_plugin)
        with pytest.raises(
            ImportError, match=r"native AllegroForce, and .* a compiler"
        ):
            openmm.XmlSerializer.deserialize(texts["native"])
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "vesin_torch", None)
        with pytest.raises(ImportError, match=r"PythonForce .* 'openmm-allegro\[torch"):
            openmm.XmlSerializer.deserialize(texts["pythonforce"])
    with monkeypatch.context() as patch:
        patch.delattr(openmm, "PythonForce")
        with pytest.raises(ImportError, match=r"PythonForce, .* openmm >= 8.5, found"):
            openmm.XmlSerializer.deserialize(texts["pythonforce"])
    for text in texts.values():
        assert openmm.XmlSerializer.deserialize(text).getNumForces() == 3


def test_a_crash_is_refused(system, monkeypatch):
    reasons = [
        "it crashes when a System is copied or deserialized; expected openmm 8.5"
    ]
    name = "openmm_allegro.utils.compatibility.installed_known_bad"
    monkeypatch.setattr(name, lambda: reasons)
    with pytest.raises(
        ImportError, match=r"openmm 8.5, .* again with backend='native'"
    ):
        read_system(system, None)


def test_words_about_other_forces_are_no_forces(model, count):
    """A native force may say why it is no TorchForce."""
    bonds = openmm.HarmonicBondForce()
    bonds.setName("no TorchForce, type 'TorchForce'")
    system = openmm.System()
    system.addForce(bonds)
    assert read_system(system, None).getForce(0).getName() == bonds.getName()
    assert count() == 0


LOADED = """
import sys
{imports}
from openmm import XmlSerializer, System
XmlSerializer.deserialize(XmlSerializer.serialize(System()))
import importlib.util
assert importlib.util.find_spec("openmm") is not None
assert hasattr(XmlSerializer.deserializeSystem, "__wrapped__")
assert "torch" not in sys.modules
"""
OPERATORS = """
openmm_allegro.register()
if importlib.util.find_spec("torch") is not None:
    import torch
    assert torch.ops.openmm_allegro.evaluate is not None
"""


LOOKED_FOR = "import importlib.util, openmm_allegro; importlib.util.find_spec('openmm')"


@pytest.mark.parametrize(
    ("imports", "then"),
    [
        pytest.param(
            "import openmm, openmm_allegro", OPERATORS, marks=pytest.mark.slow
        ),
        ("import openmm_allegro, openmm", OPERATORS),
        (LOOKED_FOR, ""),  # torch takes seconds
        pytest.param(LOOKED_FOR, OPERATORS, marks=pytest.mark.slow),
    ],
    ids=["first", "last", "looked for", "looked for, torch"],
)
def test_order_of_imports(imports, then):
    """Of OpenMM and the package, in a new process."""
    code = LOADED.format(imports=imports) + then
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
