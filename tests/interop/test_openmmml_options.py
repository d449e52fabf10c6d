# SPDX-License-Identifier: MIT
"""Options of the OpenMM-ML entry point, and its errors."""

import pickle

import numpy as np
import openmm
import pytest
from mixed_helpers import organic_model
from openmm_helpers import BACKEND, energy_and_forces, make_topology, skip_without

from openmm_allegro import Model
from openmm_allegro.forces import _Computation, choose_backend

pytestmark = pytest.mark.small
openmmml = pytest.importorskip("openmmml")
MLPotential = openmmml.MLPotential

EMBEDDINGS = hasattr(MLPotential, "registerEmbeddingFactory")  # OpenMM-ML >= 1.8
PYTHON = {"backend": BACKEND}  # the same for both, and this one is made faster
WATER = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.0]])  # nm


@pytest.fixture(scope="module")
def organic():
    return organic_model()


@pytest.fixture(scope="module")
def potential(organic):
    return MLPotential("allegro", modelPath=organic)


def classical(symbols):
    """A topology and a System of nothing but Coulomb forces."""
    topology = make_topology(symbols)
    system, force = openmm.System(), openmm.NonbondedForce()
    for _ in symbols:
        system.addParticle(1.0)
        force.addParticle(0.1, 1.0, 0.0)
    system.addForce(force)
    return topology, system


def test_elements_matter_only_in_the_ml_region(potential):
    topology, system = classical(["O", "H", "H", "Na"])
    potential.createMixedSystem(topology, system, [0, 1, 2], **PYTHON)
    with pytest.raises(ValueError, match=r"H, C, N, O.*Na"):
        potential.createMixedSystem(topology, system, [0, 3])


def test_mixed_precision_is_the_default(potential):
    topology = make_topology(["O", "H", "H"])
    default, mixed, double = (
        energy_and_forces(potential.createSystem(topology, **options), WATER)[0]
        for options in (
            PYTHON,
            PYTHON | {"precision": "mixed"},
            PYTHON | {"precision": "double"},
        )
    )
    assert default == mixed
    assert 0 < abs(mixed - double) < 1e-5 * abs(double)


def test_ml_energy_is_local(potential):
    assert potential._impl.getMLLongRange() is False


def test_virtual_sites_are_fine_outside_the_ml_region(potential):
    topology = make_topology(["O", "H", "H"])
    topology.addAtom("M", None, list(topology.residues())[-1])
    system = openmm.System()
    potential._impl.addForces(topology, system, [0, 1, 2], 0, **PYTHON)
    with pytest.raises(ValueError, match="virtual site"):
        potential._impl.addForces(topology, system, [0, 3], 0)


@pytest.mark.parametrize(
    ("box_of_topology", "box_of_system", "periodic", "expected"),
    [
        (False, False, None, False),
        (True, False, None, True),
        (False, True, None, True),
        (True, True, False, False),
        (False, False, True, True),
    ],
)
def test_periodicity_of_an_ml_region(
    organic, box_of_topology, box_of_system, periodic, expected
):
    """A model trained on periodic structures alone is free to be in a droplet."""
    model = Model(**vars(organic) | {"provenance": {"periodic": "all"}})
    topology = make_topology(["O", "H", "H"], np.eye(3) if box_of_topology else None)
    system = openmm.System()
    if box_of_system:
        force = openmm.NonbondedForce()
        force.setNonbondedMethod(openmm.NonbondedForce.PME)
        system.addForce(force)
    impl = MLPotential("allegro", modelPath=model)._impl
    impl.addForces(topology, system, [0, 1, 2], 0, periodic=periodic, **PYTHON)
    added = system.getForces()[-1]
    assert added.usesPeriodicBoundaryConditions() is expected


def test_box_of_a_pure_system(organic):
    model = Model(**vars(organic) | {"provenance": {"periodic": "all"}})
    potential = MLPotential("allegro", modelPath=model)
    topology = make_topology(["O", "H", "H"])
    with pytest.raises(ValueError, match="expected a box"):
        potential.createSystem(topology)
    system = potential.createSystem(topology, periodic=False, **PYTHON)
    assert not system.usesPeriodicBoundaryConditions()
    with pytest.raises(ValueError, match="degenerate"):
        potential.createSystem(make_topology(["O"], np.diag([1.0, 1.0, 1e-8])))


def test_model_must_be_a_total_energy(organic):
    delta = Model(**vars(organic) | {"kind": "delta"})
    with pytest.raises(ValueError, match=r"total.*delta"):
        MLPotential("allegro", modelPath=delta)


def test_bad_model_path(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        MLPotential("allegro", modelPath=str(tmp_path / "missing.safetensors"))
    (tmp_path / "text.safetensors").write_text("not a model")
    with pytest.raises(ValueError, match=r"text\.safetensors"):
        MLPotential("allegro", modelPath=str(tmp_path / "text.safetensors"))
    with pytest.raises(ValueError, match="expected modelPath"):
        MLPotential("allegro")
    with pytest.raises(ValueError, match=r"'modelPath'.*lengthScale"):
        MLPotential("allegro", modelPath="x", lengthScale=0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precison": "double"}, ["precison", "precision", "backend", "device"]),
        ({"precision": "half"}, ["single", "double", "half"]),
        ({"backend": "jax"}, ["torchforce", "pythonforce", "jax"]),
        ({"backend": "torchforce", "device": "cpu"}, ["Platform", "cpu"]),
        ({"backend": "pythonforce", "device": "abacus"}, ["cuda:N", "abacus"]),
        ({"backend": "pythonforce", "device": "meta"}, ["cuda:N", "meta"]),
        ({"backend": "pythonforce", "device": "cuda:99"}, ["cuda:99", "visible"]),
        ({"linkAtomDistances": []}, ["linkAtomDistances", "precision"]),
        ({"mlLongRange": False}, ["mlLongRange", "precision"]),
    ],
)
def test_bad_options(potential, options, words):
    if "device" in options:
        skip_without(options["backend"])
    with pytest.raises(ValueError) as error:
        potential.createSystem(make_topology(["O", "H", "H"]), **options)
    for word in words:
        assert word in str(error.value)


def test_options_of_embeddings(potential):
    """OpenMM-ML 1.8 hands them on to the potential; for 1.7 they are mistakes."""
    arguments = *classical(["O", "H", "H", "Na"]), [0, 1, 2]
    options = {"mlLongRange": None, "linkAtomDistances": []}
    if EMBEDDINGS:
        potential.createMixedSystem(*arguments, **options)
        assert potential.getSupportedEmbeddings() == ["mechanical"]
    else:
        with pytest.raises(ValueError, match="linkAtomDistances, mlLongRange"):
            potential.createMixedSystem(*arguments, **options)
    with pytest.raises(ValueError, match="precison"):
        potential.createMixedSystem(*arguments, precison="single")


@pytest.mark.parametrize(
    ("atoms", "words"),
    [
        ([], "at least one index, found none"),
        ([0, 1, 3], "0 to 2, found 3"),
        ([-1, 0], "0 to 2, found -1"),
        ([0, 1, 1], "once, found 1 repeated"),
        ([0, 1.5], "indices"),
        (["O"], "indices"),
    ],
)
def test_bad_atoms(potential, atoms, words):
    topology = make_topology(["O", "H", "H"])
    with pytest.raises(ValueError, match=words):
        potential._impl.addForces(topology, openmm.System(), atoms, 0)


def test_atoms_may_be_an_array_or_a_generator(potential):
    topology = make_topology(["O", "H", "H"])
    for atoms in (np.array([0, 2]), (i for i in (0, 2))):
        system = openmm.System()
        potential._impl.addForces(topology, system, atoms, 0, **PYTHON)
        assert [force.getName() for force in system.getForces()] == ["Allegro"]


def test_device_is_kept(organic):
    torch = pytest.importorskip("torch")
    from openmm_allegro.potential.module import force_module

    module = force_module(organic, ["O", "H"], periodic=False)
    for device, asked in ((None, None), (torch.device("cpu"), "cpu")):
        computation = pickle.loads(pickle.dumps(_Computation(module, False, device)))
        assert computation.given_device == asked
    assert computation.device == torch.device("cpu")


def test_absent_device(potential):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    topology = make_topology(["O", "H", "H"])
    with pytest.raises(ValueError, match="found 'cuda' with 0 CUDA devices"):
        potential.createSystem(topology, backend="pythonforce", device="cuda")


def test_default_backend(potential, monkeypatch):
    def name():
        system = potential.createSystem(make_topology(["O", "H", "H"]))
        return type(system.getForce(0)).__name__

    expected = {"pythonforce": "PythonForce"}.get(choose_backend().backend, "Force")
    assert name() == expected
    monkeypatch.setattr(openmm, "__version__", "8.6.1")
    assert choose_backend().backend == "native"
    assert name() == "Force"
