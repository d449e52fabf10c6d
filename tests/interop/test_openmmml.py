# SPDX-License-Identifier: MIT
"""OpenMM-ML 1.7 and 1.8 make the Systems that they promise, with this package's model.

With openmm 8.6 (which OpenMM-ML 1.8 needs) TorchForce is not tested: there, the
process crashes when a System with a TorchForce is copied or deserialized.
"""

import copy
import functools
import importlib
import subprocess
import sys

import numpy as np
import openmm
import pytest
from mixed_helpers import SOLUTE, cluster, organic_model, part, solvated
from openmm import unit
from openmm_helpers import (
    BACKEND,
    context_of,
    energy_and_forces,
    evaluate,
    make_topology,
    molecules,
    skip_without,
)

from openmm_allegro import AllegroPotential, save_model

pytestmark = pytest.mark.small

openmmml = pytest.importorskip("openmmml")
MLPotential = openmmml.MLPotential

OPENMM_8_6 = tuple(int(n) for n in openmm.__version__.split(".")[:2]) >= (8, 6)
EMBEDDINGS = hasattr(MLPotential, "registerEmbeddingFactory")  # OpenMM-ML >= 1.8
LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)
GROUP = 5
# A water and the solute, in an order that is neither the topology's nor ascending.
ML_ATOMS = [14, 12, 13, *reversed(range(SOLUTE))]


@pytest.fixture(params=["torchforce", "pythonforce", "native"])
def backend(request):
    skip_without(request.param)
    if request.param == "torchforce" and OPENMM_8_6:
        pytest.skip("openmm 8.6 crashes when it copies a System with a TorchForce")
    return request.param


@pytest.fixture(scope="module")
def organic():
    return organic_model()


@pytest.fixture(scope="module")
def path(organic, tmp_path_factory):
    return save_model(organic, tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture(scope="module")
def potential(path):
    return MLPotential("allegro", modelPath=str(path))


@pytest.fixture(scope="module")
def box():
    return solvated()


@pytest.fixture(scope="module")
def droplet(box):
    return cluster(box)


@pytest.fixture(scope="module")
def mixed(potential, box, droplet):
    """Mixed Systems with ML_ATOMS, each made once."""

    @functools.cache
    def make(kind, backend, interpolate=False):
        whole = {"box": box, "droplet": droplet}[kind]
        return potential.createMixedSystem(
            whole.topology,
            whole.system,
            ML_ATOMS,
            interpolate=interpolate,
            forceGroup=GROUP,
            precision="double",
            backend=backend,
        )

    return make


@pytest.fixture(scope="module")
def changes(organic, box, droplet):
    """E_ML(ML) - E_MM(ML) and its forces, from Systems of the ML atoms alone."""

    @functools.cache
    def compute(kind):
        whole = {"box": box, "droplet": droplet}[kind]
        alone = part(whole, ML_ATOMS)
        ml = AllegroPotential(organic).create_system(
            alone.topology, backend=BACKEND, precision="double", periodic=False
        )
        ml_energy, ml_forces = energy_and_forces(ml, alone.positions)
        mm_energy, mm_forces = energy_and_forces(alone.system, alone.positions)
        forces = np.zeros_like(whole.positions)
        forces[sorted(ML_ATOMS)] = ml_forces - mm_forces
        return ml_energy - mm_energy, forces

    return compute


def assert_same(found, expected, tolerance):
    """``tolerance`` relative to the energy and to the largest force."""
    assert found[0] == pytest.approx(expected[0], rel=tolerance)
    scale = abs(expected[1]).max()
    np.testing.assert_allclose(found[1], expected[1], atol=tolerance * scale)


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_pure_system_translated_and_split(potential, water_box, backend, platform):
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = potential.createSystem(topology, backend=backend, precision="double")
    context = context_of(system, positions, platform)
    expected = evaluate(context)
    assert abs(expected[1]).max() > 100
    for shift in ([0.5, 0, 0], [0.3, -0.7, 1.1], [-2.1, 0.4, 3.3], [9.3, 9.3, -9.3]):
        context.setPositions(positions + shift)
        assert_same(evaluate(context), expected, 1e-4)
    # molecules split across the boundary: hydrogens on the other side of their oxygen
    split = positions.copy()
    split[1::3] += box.sum(axis=0)
    split[2::6] -= 2 * box[0]
    context.setPositions(split)
    assert_same(evaluate(context), expected, 1e-4)
    wrapped = positions + 0.31
    context.setPositions(wrapped - np.floor(wrapped / box[0, 0]) * box[0, 0])
    assert_same(evaluate(context), expected, 1e-4)


@pytest.mark.parametrize("periodic", [True, False])
def test_pure_system_is_that_of_create_system(potential, organic, water_box, periodic):
    symbols, positions, box = water_box
    topology = make_topology(symbols, box if periodic else None, waters=True)
    options = {"backend": BACKEND, "precision": "double"}
    ours = AllegroPotential(organic).create_system(topology, **options)
    system = potential.createSystem(topology, **options)
    assert system.usesPeriodicBoundaryConditions() == periodic
    expected = energy_and_forces(ours, positions)
    assert_same(energy_and_forces(system, positions), expected, 1e-10)
    names = [force.getName() for force in system.getForces()]
    assert names == [force.getName() for force in ours.getForces()]
    if not periodic:
        moved = positions + np.array([3.0, -5.0, 0.7])
        assert_same(energy_and_forces(system, moved), expected, 1e-4)


# Without a cutoff, and with PME. The tolerance has room for OpenMM-ML's 1/(4πε₀), which
# has nine digits.
@pytest.mark.parametrize(
    ("kind", "platform", "tolerance"),
    [
        pytest.param("droplet", "Reference", 1e-7, marks=pytest.mark.slow),
        ("droplet", "CPU", 2e-6),
        ("box", "Reference", 1e-7),
    ],
)
def test_mixed_identity(
    mixed, changes, droplet, box, backend, kind, platform, tolerance
):
    """E(λ) = E_MM(all) + λ (E_ML(ML) − E_MM(ML)), and so the forces."""
    whole = box if kind == "box" else droplet
    mm_energy, mm_forces = energy_and_forces(whole.system, whole.positions)
    energy, forces = changes(kind)
    assert abs(energy) > 100 and abs(forces).max() > 1000  # so the identity says much
    system = mixed(kind, backend, True)
    assert system.usesPeriodicBoundaryConditions() == (kind == "box")
    context = context_of(system, whole.positions, platform)
    for value in LAMBDAS:
        context.setParameter("lambda_interpolate", value)
        expected = mm_energy + value * energy, mm_forces + value * forces
        assert_same(evaluate(context), expected, tolerance)
    plain = context_of(mixed(kind, backend), whole.positions, platform)
    assert_same(evaluate(plain), (mm_energy + energy, mm_forces + forces), tolerance)


def test_ml_region_translated_and_split(mixed, box, backend):
    """The model's force group sees the nearest images of the region's atoms."""
    context = context_of(mixed("box", backend), box.positions)
    expected = evaluate(context, {GROUP})
    outside = sorted(set(range(len(box.positions))) - set(ML_ATOMS))
    assert abs(expected[1]).max() > 100 and not expected[1][outside].any()
    side = box.topology.getUnitCellDimensions()[0].value_in_unit(unit.nanometer)
    for shift in ([0.9, 0.0, 0.0], [-3.1, 2.2, 0.8]):
        moved = box.positions + shift
        for positions in (moved, moved - np.floor(moved / side) * side):
            context.setPositions(positions)
            assert_same(evaluate(context, {GROUP}), expected, 1e-4)


def test_cut_bond(potential, organic, droplet, backend):
    """A peptide bond cut: OpenMM-ML 1.8 caps it with a hydrogen, 1.7 leaves it open."""
    atoms = list(range(6))  # ACE
    options = {"precision": "double", "backend": backend, "forceGroup": GROUP}
    positions = list(droplet.positions)
    if EMBEDDINGS:
        options |= {"linkAtomDistances": [(1, 6, 0.1)], "returnInfo": True}
        carbon, nitrogen = droplet.positions[[1, 6]]
        bond = nitrogen - carbon
        positions.append(carbon + 0.1 * bond / np.linalg.norm(bond))
        info = potential.createMixedSystem(
            droplet.topology, droplet.system, atoms, **options
        )
        system, topology = info["system"], info["topology"]
        model_atoms = [*atoms, len(positions) - 1]
    else:
        system = potential.createMixedSystem(
            droplet.topology, droplet.system, atoms, **options
        )
        topology, model_atoms = droplet.topology, atoms
    context = context_of(system, np.array(positions))
    if EMBEDDINGS:
        context.computeVirtualSites()
        found = context.getState(positions=True).getPositions(asNumpy=True)._value[-1]
        np.testing.assert_allclose(found, positions[-1], atol=1e-6)
    symbols = [a.element.symbol for a in topology.atoms()]
    alone = AllegroPotential(organic).create_system(
        make_topology([symbols[i] for i in model_atoms]),
        backend=BACKEND,
        precision="double",
    )
    expected, _ = energy_and_forces(alone, np.array(positions)[model_atoms])
    assert evaluate(context, {GROUP})[0] == pytest.approx(expected, rel=1e-5)
    assert list(range(SOLUTE)) == [i for i in molecules(context)[0] if i < SOLUTE]


@pytest.mark.parametrize("interpolate", [False, True])
def test_barostats_move_whole_molecules(mixed, box, backend, interpolate):
    """OpenMM-ML takes the bonds among the model's atoms, and constraints, away.

    To interpolate, it lists their nonbonded interactions as bonds: then all of the
    model's atoms move together, which is as right, but none may move alone.
    """
    expected = molecules(context_of(box.system, box.positions))
    assert len(expected) == box.topology.getNumResidues() - 1  # ACE and NME are one
    system = mixed("box", backend, interpolate)
    assert not any(
        set(system.getConstraintParameters(i)[:2]) <= set(ML_ATOMS)
        for i in range(system.getNumConstraints())
    )
    if interpolate:
        expected[:2] = [expected[0] + expected[1]]
    assert molecules(context_of(system, box.positions)) == expected


@pytest.mark.parametrize("interpolate", [False, True])
def test_barostats_move_a_rigid_water_whole(potential, box, interpolate):
    """Nothing but constraints held it together, and they are gone."""
    water = [SOLUTE, SOLUTE + 1, SOLUTE + 2]
    system = potential.createMixedSystem(
        box.topology,
        box.system,
        water,
        interpolate=interpolate,
        backend=BACKEND,
    )
    assert water in molecules(context_of(system, box.positions))


def test_barostat_moves_whole_molecules_of_a_pure_system(potential, water_box, backend):
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = potential.createSystem(topology, backend=backend)
    found = molecules(context_of(system, positions))
    assert found == [[i, i + 1, i + 2] for i in range(0, len(symbols), 3)]


@pytest.mark.parametrize(
    "backend",
    ["torchforce", pytest.param("pythonforce", marks=pytest.mark.slow), "native"],
    indirect=True,
)
def test_copies_of_a_mixed_system(mixed, droplet, backend):
    system = mixed("droplet", backend, True)
    expected = energy_and_forces(system, droplet.positions)
    text = openmm.XmlSerializer.serialize(system)
    for again in (openmm.XmlSerializer.deserialize(text), copy.deepcopy(system)):
        assert_same(energy_and_forces(again, droplet.positions), expected, 1e-6)


def test_force_group(mixed, backend):
    forces = mixed("droplet", backend).getForces()
    names = {force.getName() for force in forces if force.getForceGroup() == GROUP}
    assert names == {"Allegro", "Bonds of the topology (no energy)"}


@pytest.mark.slow
def test_openmmml_imported_first_in_a_new_process(path):
    """Through the entry point alone; openmm is imported before torch."""
    script = """if True:
        import sys
        from openmmml import MLPotential
        from openmm import Context, Platform, VerletIntegrator, app
        topology = app.Topology()
        residue = topology.addResidue("HOH", topology.addChain())
        for symbol in "OHH":
            topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
        potential = MLPotential("allegro", modelPath=sys.argv[1])
        system = potential.createSystem(topology)
        platform = Platform.getPlatformByName("Reference")
        context = Context(system, VerletIntegrator(0.001), platform)
        context.setPositions([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]])
        print(context.getState(energy=True).getPotentialEnergy()._value)
    """
    result = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    topology = make_topology(["O", "H", "H"])
    system = AllegroPotential(path).create_system(topology)
    positions = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]])
    expected, _ = energy_and_forces(system, positions)
    assert float(result.stdout) == pytest.approx(expected, rel=1e-6)


def test_module_imported_before_openmmml(monkeypatch):
    """Then OpenMM-ML asks for the factory while the module is being imported."""
    module = "openmm_allegro.interop.openmmml"
    package = importlib.import_module("openmm_allegro.interop")
    monkeypatch.setattr(package, "openmmml", package.openmmml)  # to be put back
    for name in list(sys.modules):
        if name == module or name.split(".")[0] == "openmmml":
            monkeypatch.delitem(sys.modules, name)
    again = importlib.import_module(module)
    factory = sys.modules["openmmml"].MLPotential._implFactories["allegro"]
    assert isinstance(factory, again.AllegroPotentialImplFactory)
