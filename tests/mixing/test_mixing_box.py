# SPDX-License-Identifier: MIT
"""Mixed Systems in a box: images, constraints, molecules, volume moves, dynamics."""

import copy
import itertools

import numpy as np
import openmm
import pytest
from mixed_helpers import SOLUTE, organic_model, solvated
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

from openmm_allegro import AllegroPotential
from openmm_allegro.units import COULOMB_KJ_MOL_NM

pytestmark = pytest.mark.small

ML_ATOMS = [14, 12, 13, *reversed(range(SOLUTE))]  # a water and the solute
GROUP = 7


@pytest.fixture(scope="module")
def potential():
    return AllegroPotential(organic_model())


@pytest.fixture(scope="module")
def box():
    return solvated()


def test_rock_salt_of_which_each_ion_is_in_the_region(potential):
    """Closed form: E = Madelung energy - pairs of nearest images (a local model's)."""
    spacing, symbols, positions, charges = 0.5, [], [], []
    for site in np.ndindex(2, 2, 2):
        positions.append(np.array(site) * spacing)
        charges.append((-1) ** sum(site))
        symbols.append("O" if sum(site) % 2 else "N")
    positions = np.array(positions)
    topology = make_topology(symbols, np.eye(3) * 2 * spacing)
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*np.eye(3) * 2 * spacing)
    force = openmm.NonbondedForce()
    for charge in charges:
        system.addParticle(20.0)
        force.addParticle(charge, 1.0, 0.0)
    force.setNonbondedMethod(force.PME)
    force.setCutoffDistance(0.499)
    force.setEwaldErrorTolerance(1e-6)
    system.addForce(force)
    mixed = potential.create_mixed_system(
        topology, system, range(8), backend=BACKEND, precision="double"
    )
    alone = potential.create_system(
        topology, backend=BACKEND, precision="double", periodic=False
    )
    ml, _ = energy_and_forces(alone, positions)
    pairs = 0.0
    for (p, a), (q, b) in itertools.combinations(
        zip(positions, charges, strict=True), 2
    ):
        d = p - q
        d -= np.round(d / (2 * spacing)) * 2 * spacing
        pairs += COULOMB_KJ_MOL_NM * a * b / np.linalg.norm(d)
    madelung = -4 * 1.7475645946 * COULOMB_KJ_MOL_NM / spacing
    found, _ = energy_and_forces(mixed, positions)
    assert found - ml == pytest.approx(madelung - pairs, rel=1e-5)
    # Ions are molecules of their own: any image of each is as good.
    images = np.random.default_rng(0).integers(-2, 3, (8, 3)) * 2 * spacing
    moved, _ = energy_and_forces(mixed, positions + images)
    assert moved == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("interpolate", [False, True])
def test_images_of_a_region_of_two_molecules(potential, box, interpolate):
    """A molecule of the region may be in another image than the other."""
    mixed = potential.create_mixed_system(
        box.topology,
        box.system,
        ML_ATOMS,
        interpolate=interpolate,
        backend=BACKEND,
        precision="double",
    )
    context = context_of(mixed, box.positions)
    if interpolate:
        context.setParameter("lambda_interpolate", 0.4)
    expected = evaluate(context)
    side = box.topology.getUnitCellDimensions()[0].value_in_unit(unit.nanometer)
    moved = box.positions.copy()
    moved[SOLUTE : SOLUTE + 3] += [side, 0.0, -2 * side]
    context.setPositions(moved)
    found = evaluate(context)
    assert found[0] == pytest.approx(expected[0], rel=1e-7)
    assert abs(found[1] - expected[1]).max() < 1e-3


@pytest.mark.parametrize("remove", [False, True])
def test_constraints(potential, box, remove):
    mixed = potential.create_mixed_system(
        box.topology,
        box.system,
        ML_ATOMS,
        remove_constraints=remove,
        backend=BACKEND,
    )
    before, after = (
        [tuple(s.getConstraintParameters(i)) for i in range(s.getNumConstraints())]
        for s in (box.system, mixed)
    )
    gone = [c for c in before if set(c[:2]) <= set(ML_ATOMS)]
    assert len(gone) == 7 + 3
    assert after == ([c for c in before if c not in gone] if remove else before)


@pytest.mark.parametrize("interpolate", [False, True])
@pytest.mark.parametrize("atoms", [ML_ATOMS, [SOLUTE, SOLUTE + 1, SOLUTE + 2]])
def test_molecules_stay_those_of_the_force_field(potential, box, atoms, interpolate):
    """So barostats move the same molecules, of which the region may have several."""
    mixed = potential.create_mixed_system(
        box.topology, box.system, atoms, interpolate=interpolate, backend=BACKEND
    )
    expected = molecules(context_of(box.system, box.positions))
    assert len(expected) == box.topology.getNumResidues() - 1  # ACE and NME are one
    assert molecules(context_of(mixed, box.positions)) == expected


@pytest.mark.parametrize("backend", ["torchforce", "pythonforce", "native"])
def test_volume_moves(potential, box, backend):
    """After them, energy and forces are those of a new Context with the same box."""
    skip_without(backend)
    system = copy.deepcopy(box.system)
    barostat = openmm.MonteCarloBarostat(1000.0, 300.0, 1)
    barostat.setRandomNumberSeed(3)
    system.addForce(barostat)
    mixed = potential.create_mixed_system(
        box.topology,
        system,
        ML_ATOMS,
        interpolate=True,
        remove_constraints=False,
        backend=backend,
        precision="double",
    )
    context = context_of(mixed, box.positions, "CPU", timestep=0.00025)
    context.setParameter("lambda_interpolate", 0.5)
    volume = context.getState().getPeriodicBoxVolume()._value
    context.getIntegrator().step(10)
    state = context.getState(positions=True, energy=True, forces=True)
    assert abs(state.getPeriodicBoxVolume()._value - volume) > 1e-3
    expected = energy_and_forces(
        mixed,
        state.getPositions(),
        "CPU",
        state.getPeriodicBoxVectors(asNumpy=True)._value,
        lambda_interpolate=0.5,
    )
    assert state.getPotentialEnergy()._value == pytest.approx(expected[0], rel=1e-5)
    forces = state.getForces(asNumpy=True)._value
    assert abs(forces - expected[1]).max() < 1e-4 * abs(expected[1]).max()


def test_molecules_that_only_the_force_field_knows(potential, box):
    """A topology without bonds, as some readers make it."""
    topology = make_topology([a.element.symbol for a in box.topology.atoms()])
    mixed = potential.create_mixed_system(
        topology, box.system, ML_ATOMS, backend=BACKEND
    )
    expected = molecules(context_of(box.system, box.positions))
    assert molecules(context_of(mixed, box.positions)) == expected


def test_arguments_are_not_changed_and_forces_keep_their_places(potential, box):
    before = openmm.XmlSerializer.serialize(box.system)
    mixed = potential.create_mixed_system(
        box.topology,
        box.system,
        iter(ML_ATOMS),
        interpolate=True,
        backend=BACKEND,
        force_group=GROUP,
    )
    assert openmm.XmlSerializer.serialize(box.system) == before
    names = [force.getName() for force in mixed.getForces()]
    assert names[:-2] == [force.getName() for force in box.system.getForces()]
    added = [force.getName() for force in mixed.getForces() if force.getForceGroup()]
    assert added == names[-2:]
    assert {force.getForceGroup() for force in mixed.getForces()} == {0, GROUP}


def test_energy_is_conserved_between_the_two(potential, box):
    """12.5 fs; the model is untrained, and longer it would let atoms fall together."""
    mixed = potential.create_mixed_system(
        box.topology,
        box.system,
        ML_ATOMS,
        interpolate=True,
        remove_constraints=False,
        backend=BACKEND,
        precision="double",
    )
    context = context_of(mixed, box.positions, "CPU", timestep=0.00025)
    context.setParameter("lambda_interpolate", 0.5)
    context.setVelocitiesToTemperature(300 * unit.kelvin, 1)
    totals, kinetic = [], []
    for _ in range(10):
        context.getIntegrator().step(5)
        state = context.getState(energy=True)
        kinetic.append(state.getKineticEnergy()._value)
        totals.append(kinetic[-1] + state.getPotentialEnergy()._value)
    assert np.ptp(kinetic) > 20
    assert np.ptp(totals) < 0.02 * np.ptp(kinetic)


def test_interpolating_says_which_atoms_nothing_holds(potential, box, caplog):
    """Constraints stand in for bond terms, which are missing at lambda 0."""
    for remove in (False, True):
        caplog.clear()
        potential.create_mixed_system(
            box.topology,
            box.system,
            ML_ATOMS,
            interpolate=True,
            remove_constraints=remove,
            backend=BACKEND,
        )
        assert ("no bond term beside the constraint" in caplog.text) == remove
