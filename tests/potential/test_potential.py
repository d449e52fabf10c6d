# SPDX-License-Identifier: MIT
"""The model inside OpenMM gives what the model gives outside, on every way there."""

import copy
import subprocess
import sys

import numpy as np
import openmm
import pytest
from openmm import unit
from openmm_helpers import BACKEND, energy_and_forces, make_topology

from openmm_allegro import AllegroPotential, Model, Structure, load_model, save_model
from openmm_allegro.forces import register_torch_force
from openmm_allegro.units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM, EV_TO_KJ_PER_MOL
from openmm_allegro.utils.compatibility import known_bad

pytestmark = pytest.mark.small

BACKENDS = ("torchforce", "pythonforce", "native")
TRICLINIC = np.array([[1.1, 0, 0], [0.3, 0.9, 0], [-0.2, 0.25, 1.0]])


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "torchforce":
        pytest.importorskip("openmmtorch")
    return request.param


def reference(model, symbols, positions, box):
    """Energy and forces in OpenMM's units from the training code, in float64."""
    torch = pytest.importorskip("torch")
    from openmm_allegro.training.predict import predict
    from openmm_allegro.training.samples import collate, make_samples

    structure = Structure(
        tuple(symbols),
        positions * 10,
        np.zeros((3, 3)) if box is None else np.asarray(box) * 10,
        np.array([box is not None] * 3),
    )
    batch = collate(
        make_samples([structure], model.config, torch.float64), model.config
    )
    result = predict(model.energy, batch)
    return (
        result.energies.item() * EV_TO_KJ_PER_MOL,
        result.forces.numpy() * EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM,
    )


def force_module(*arguments, **options):
    """The module in torch of a TorchForce or PythonForce."""
    pytest.importorskip("torch")
    from openmm_allegro.potential import module

    return module.force_module(*arguments, **options)


PLATFORMS = ("Reference", "CPU", pytest.param("CUDA", marks=pytest.mark.gpu))


# Each platform with cells of two kinds, and each kind on a platform; the rest is slow.
KINDS = {
    "cubic": "CPU",
    "triclinic": "Reference",
    "small": "CPU",
    "isolated": "Reference",
}
PLACES = [
    *(
        pytest.param(platform, kind, marks=() if platform == one else pytest.mark.slow)
        for kind, one in KINDS.items()
        for platform in ("Reference", "CPU")
    ),
    *(pytest.param("CUDA", kind, marks=pytest.mark.gpu) for kind in KINDS),
]


@pytest.mark.parametrize(("platform", "kind"), PLACES)
def test_openmm_equals_model(model, water_box, backend, platform, kind):
    symbols, positions, box = water_box
    if kind == "triclinic":
        positions, box = positions @ np.linalg.inv(box) @ TRICLINIC, TRICLINIC
    elif kind == "small":  # three molecules in a box under one cutoff wide
        symbols, positions, box = symbols[:9], positions[:9], np.diag([0.4, 0.45, 0.95])
    elif kind == "isolated":
        box = None
    if box is not None:  # images further away than the next cell are the same atoms
        positions = positions + np.random.default_rng(1).integers(
            -3, 4, (len(positions), 1)
        ) * np.sum(box, axis=0)
    expected_energy, expected_forces = reference(model, symbols, positions, box)
    system = AllegroPotential(model).create_system(
        make_topology(symbols, box), backend=backend, precision="double"
    )
    energy, forces = energy_and_forces(system, positions, platform)
    # the CPU platform and PythonForce hand positions over in single precision
    tolerance = 1e-4 if backend == "pythonforce" or platform != "Reference" else 1e-8
    np.testing.assert_allclose(
        forces, expected_forces, atol=tolerance * abs(expected_forces).max()
    )
    assert energy == pytest.approx(expected_energy, rel=tolerance * 1e-2)


def test_single_precision_is_close(model, water_box, backend):
    symbols, positions, box = water_box
    _, expected = reference(model, symbols, positions, box)
    system = AllegroPotential(model).create_system(
        make_topology(symbols, box), backend=backend, precision="single"
    )
    _, forces = energy_and_forces(system, positions)
    error = abs(forces - expected).max() / EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM
    assert 0 < error < 1e-4  # eV/Å


def test_forces_are_the_gradient_in_openmm(model, water_box):
    symbols, positions, box = water_box
    system = AllegroPotential(model).create_system(
        make_topology(symbols, box), precision="double"
    )
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )

    def energy(x):
        context.setPositions(x)
        return context.getState(energy=True).getPotentialEnergy()._value

    _, forces = energy_and_forces(system, positions)
    step = 1e-5
    for atom, axis in ((0, 0), (1, 2), (40, 1)):
        shift = np.zeros_like(positions)
        shift[atom, axis] = step
        slope = (energy(positions + shift) - energy(positions - shift)) / (2 * step)
        assert -slope == pytest.approx(forces[atom, axis], abs=2e-3)


def test_eager_scripted_reloaded(model, water_box, tmp_path, profiling):
    torch = pytest.importorskip("torch")
    symbols, positions, box = water_box
    expected_energy, expected_forces = reference(model, symbols, positions, box)
    scripted = force_module(model, symbols, periodic=True, precision="double")
    torch.jit.save(scripted, str(tmp_path / "module.pt"))
    arguments = torch.tensor(positions), torch.tensor(box)
    save_model(model, tmp_path / "model.safetensors")
    from_file = load_model(tmp_path / "model.safetensors")
    for module in (
        scripted,
        torch.jit.load(str(tmp_path / "module.pt")),
        force_module(from_file, symbols, periodic=True, precision="double"),
    ):
        for _ in range(3):  # the second and third call run optimised code
            energy, forces = module(*arguments)
            assert energy.item() == pytest.approx(expected_energy, rel=1e-12)
            np.testing.assert_allclose(forces, expected_forces, atol=1e-8)


def test_strain_derivative(model, water_box):
    torch = pytest.importorskip("torch")
    symbols, positions, box = water_box
    module = force_module(model, symbols, periodic=True, precision="double")

    def energy(strain):
        deformation = np.eye(3) + strain
        return module.evaluate(
            torch.tensor(positions @ deformation), torch.tensor(box @ deformation)
        )[0].sum()

    _, _, strain = module.evaluate(torch.tensor(positions), torch.tensor(box))
    step = 1e-6
    for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        small = np.zeros((3, 3))
        small[i, j] += step / 2
        small[j, i] += step / 2
        slope = (energy(small) - energy(-small)).item() / (2 * step)
        assert slope == pytest.approx(strain[i, j].item(), abs=1e-5)


def test_subset_of_particles(model, water_box):
    torch = pytest.importorskip("torch")
    symbols, positions, box = water_box
    chosen = np.arange(3, 30)
    module = force_module(
        model,
        [symbols[i] for i in chosen],
        atoms=chosen.tolist(),
        periodic=True,
        precision="double",
    )
    energy, forces = module(torch.tensor(positions), torch.tensor(box))
    expected_energy, expected = reference(
        model, [symbols[i] for i in chosen], positions[chosen], box
    )
    assert energy.item() == pytest.approx(expected_energy, rel=1e-12)
    np.testing.assert_allclose(forces[chosen], expected, atol=1e-8)
    others = np.setdiff1d(np.arange(len(symbols)), chosen)
    assert not forces[others].any()


@pytest.mark.parametrize(
    "platform",
    [pytest.param("Reference", marks=pytest.mark.slow), *PLATFORMS[1:]],
)
def test_serialized_system_and_copy(model, water_box, backend, platform):
    symbols, positions, box = water_box
    system = AllegroPotential(model).create_system(
        make_topology(symbols, box), backend=backend
    )
    expected = energy_and_forces(system, positions, platform)
    text = openmm.XmlSerializer.serialize(system)
    for again in (openmm.XmlSerializer.deserialize(text), copy.deepcopy(system)):
        energy, forces = energy_and_forces(again, positions, platform)
        assert energy == pytest.approx(expected[0], rel=1e-9)
        np.testing.assert_allclose(forces, expected[1], atol=1e-2)


# test_former_files reads a TorchForce in a new process.
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("torchforce", marks=pytest.mark.slow),
        pytest.param("pythonforce", marks=pytest.mark.slow),
        "native",
    ],
    indirect=True,
)
def test_serialized_system_in_a_new_process(model, water_box, backend, tmp_path):
    """OpenMM imported first, then this package: no model file, no other call."""
    symbols, positions, box = water_box
    system = AllegroPotential(model).create_system(
        make_topology(symbols, box), backend=backend
    )
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    np.save(tmp_path / "positions.npy", positions)
    script = """if True:
        import sys
        import numpy, openmm
        import openmm_allegro
        folder = sys.argv[1]
        text = open(folder + "/system.xml").read()
        system = openmm.XmlSerializer.deserialize(text)
        platform = openmm.Platform.getPlatformByName("Reference")
        integrator = openmm.VerletIntegrator(0.001)
        context = openmm.Context(system, integrator, platform)
        context.setPositions(numpy.load(folder + "/positions.npy"))
        print(context.getState(energy=True).getPotentialEnergy()._value)
    """
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    energy, _ = energy_and_forces(system, positions)
    assert float(result.stdout) == pytest.approx(energy, rel=1e-9)


def test_two_forces_in_one_system(model, water_box, backend):
    symbols, positions, box = water_box
    topology = make_topology(symbols, box)
    potential = AllegroPotential(model)
    single = potential.create_system(topology, backend=backend, precision="double")
    double = potential.create_system(topology, backend=backend, precision="double")
    double.addForce(copy.deepcopy(single.getForce(0)))
    energy, forces = energy_and_forces(single, positions)
    twice_energy, twice_forces = energy_and_forces(double, positions)
    assert twice_energy == pytest.approx(2 * energy, rel=1e-10)
    np.testing.assert_allclose(twice_forces, 2 * forces, atol=1e-6)


def test_two_contexts_at_once(model, water_box, backend):
    """Interleaved steps in two Contexts give the trajectories that each gives alone."""
    symbols, positions, box = water_box
    system = AllegroPotential(model).create_system(
        make_topology(symbols, box), backend=backend, precision="double"
    )
    platform = openmm.Platform.getPlatformByName("Reference")

    def start(factor):
        context = openmm.Context(system, openmm.VerletIntegrator(0.0002), platform)
        context.setPositions(positions * factor)
        context.setPeriodicBoxVectors(*(box * factor))
        return context

    def final(context):
        return context.getState(positions=True).getPositions(asNumpy=True)._value

    alone = []
    for factor in (1.0, 1.03):
        context = start(factor)
        context.getIntegrator().step(6)
        alone.append(final(context))
        del context
    first, second = start(1.0), start(1.03)
    for _ in range(6):
        first.getIntegrator().step(1)
        second.getIntegrator().step(1)
    np.testing.assert_allclose(final(first), alone[0], atol=1e-9)
    np.testing.assert_allclose(final(second), alone[1], atol=1e-9)


def test_system_is_ordinary(model, water_box, backend):
    symbols, _, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = AllegroPotential(model).create_system(topology, backend=backend)
    masses = [system.getParticleMass(i)._value for i in range(3)]
    assert masses == pytest.approx([15.99943, 1.007947, 1.007947])
    vectors = system.getDefaultPeriodicBoxVectors()
    found = [v.value_in_unit(unit.nanometer) for v in vectors]
    np.testing.assert_allclose(found, box)
    assert system.usesPeriodicBoundaryConditions()
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    molecules = [sorted(m) for m in context.getMolecules()]
    assert molecules == [[i, i + 1, i + 2] for i in range(0, len(symbols), 3)]
    names = [type(f).__name__ for f in system.getForces()]
    assert names.count("CMMotionRemover") == 1
    without = AllegroPotential(model).create_system(
        topology, backend=backend, remove_cm_motion=False
    )
    names = [type(f).__name__ for f in without.getForces()]
    assert "CMMotionRemover" not in names


def variant(model, **changes):
    fields = dict(vars(model)) | changes
    return AllegroPotential(Model(**fields))


@pytest.mark.parametrize(
    ("symbols", "box", "changes", "options", "words"),
    [
        (["O", "Xe"], np.eye(3), {}, {}, ["H, O", "Xe"]),
        (["O"], None, {"provenance": {"periodic": "all"}}, {}, ["box", "none"]),
        (["O"], None, {}, {"periodic": True}, ["box", "periodic=True"]),
        (["O"], np.diag([1.0, 1.0, 1e-8]), {}, {}, ["degenerate"]),
        (["O"], np.eye(3), {"kind": "delta"}, {}, ["total", "delta"]),
        (["O"], np.eye(3), {}, {"precision": "half"}, ["single", "half"]),
        (["O"], np.eye(3), {}, {"backend": "jax"}, ["torchforce", "jax"]),
        ([], np.eye(3), {}, {}, ["at least one atom"]),
    ],
)
def test_bad_input(model, symbols, box, changes, options, words):
    with pytest.raises(ValueError) as error:
        variant(model, **changes).create_system(make_topology(symbols, box), **options)
    for word in words:
        assert word in str(error.value)


def test_not_periodic_can_be_forced(model):
    potential = variant(model, provenance={"periodic": "all"})
    topology = make_topology(["O", "H"])
    system = potential.create_system(topology, periodic=False, backend=BACKEND)
    assert not system.usesPeriodicBoundaryConditions()


def test_nan_positions_are_refused(model, water_box, backend):
    symbols, positions, box = water_box
    system = AllegroPotential(model).create_system(
        make_topology(symbols, box), backend=backend
    )
    broken = positions.copy()
    broken[4, 1] = np.nan
    with pytest.raises(Exception, match=r"(?i)finite|nan"):
        energy_and_forces(system, broken)


def test_missing_openmmtorch_names_the_extra(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "openmmtorch", None)
    register_torch_force.cache_clear()
    topology = make_topology(["O"], np.eye(3))
    with pytest.raises(ImportError, match=r"openmm-allegro\[torchforce\]"):
        AllegroPotential(model).create_system(topology, backend="torchforce")


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ({"openmm": "8.5.2", "openmmtorch": "1.5", "torch": "2.9.1+cpu"}, []),
        ({"openmm": "8.6.1", "openmmtorch": None, "torch": "2.11.0"}, []),
        ({"openmm": "8.6.1", "openmmtorch": "1.5.1", "torch": "2.9.1"}, ["8.6.1"]),
        ({"openmm": "8.5.2", "openmmtorch": "1.5", "torch": "2.10.0"}, ["2.10.0"]),
        ({"openmm": "8.6.0", "openmmtorch": "1.5", "torch": "2.8"}, ["8.6.0", "2.8"]),
    ],
)
def test_known_bad_versions(versions, words):
    reasons = known_bad(versions)
    assert len(reasons) == len(words)
    for reason, word in zip(reasons, words, strict=True):
        assert word in reason
        assert "expected" in reason
