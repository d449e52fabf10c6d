# SPDX-License-Identifier: MIT
"""A region is taken out of a System: of every kind of force, and of nothing else."""

import copy
import itertools

import numpy as np
import openmm
import pytest
from mixed_helpers import organic_model
from openmm_helpers import BACKEND, energy_and_forces, make_topology

from openmm_allegro import AllegroPotential
from openmm_allegro.mixing.region import inside_region, outside_region

pytestmark = pytest.mark.small

COUNT, SIDE = 24, 2.4  # particles; nm
REGION = [9, 3, 0, 1, 2, 8, 4, 5, 6, 7, 11, 10]
METHODS = range(6)  # NoCutoff, two with a cutoff, Ewald, PME, LJPME


@pytest.fixture(scope="module")
def potential():
    return AllegroPotential(organic_model())


@pytest.fixture(scope="module")
def positions():
    random = np.random.default_rng(0)
    sites = np.array(list(np.ndindex(4, 4, 4)))[random.permutation(64)[:COUNT]]
    return (sites + 0.5) * SIDE / 4 + random.normal(0, 0.05, (COUNT, 3))


def bonded_system(atoms):
    """Random terms between neighbouring numbers, only those of the given atoms."""
    bond = openmm.CustomBondForce("k*(r-r0)^2")
    angle = openmm.CustomAngleForce("k*(theta-r0)^2")
    torsion = openmm.CustomTorsionForce("k*cos(theta-r0)")
    compound = openmm.CustomCompoundBondForce(3, "k*distance(p1,p3)+r0*angle(p1,p2,p3)")
    for force, kind in ((bond, "Bond"), (angle, "Angle"), (torsion, "Torsion")):
        for name in ("k", "r0"):
            getattr(force, f"addPer{kind}Parameter")(name)
    compound.addPerBondParameter("k")
    compound.addPerBondParameter("r0")
    maps = openmm.CMAPTorsionForce()
    grid = np.random.default_rng(4).normal(size=36)
    maps.addMap(6, grid)
    harmonic = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    periodic, bellemans = openmm.PeriodicTorsionForce(), openmm.RBTorsionForce()
    external = openmm.CustomExternalForce("(x-1)^2+y*z")
    add = {
        harmonic[0].addBond: (2, lambda a, b: (0.2 + a, 10 * b)),
        harmonic[1].addAngle: (3, lambda a, b: (1 + a, 20 * b)),
        periodic.addTorsion: (4, lambda a, b: (2, a, 30 * b)),
        bellemans.addTorsion: (4, lambda a, b: (a, b, -a, 2 * b, a, b)),
        (lambda *p: bond.addBond(*p[:2], p[2:])): (2, lambda a, b: (a, b)),
        (lambda *p: angle.addAngle(*p[:3], p[3:])): (3, lambda a, b: (a, b)),
        (lambda *p: torsion.addTorsion(*p[:4], p[4:])): (4, lambda a, b: (a, b)),
        (lambda *p: compound.addBond(p[:3], p[3:])): (3, lambda a, b: (a, b)),
        (lambda *p: maps.addTorsion(0, *p[:4], *p[1:5])): (5, lambda a, b: ()),
    }
    system = openmm.System()
    for i in range(COUNT):
        system.addParticle(1.0)
        external.addParticle(i)
    random = np.random.default_rng(5)
    for first in range(COUNT - 5):
        for function, (size, parameters) in add.items():
            values = parameters(*random.random(2))
            term = range(first, first + size)
            if set(term) <= set(atoms):
                function(*term, *values)
    forces = (*harmonic, periodic, bellemans, bond, angle, torsion, compound, maps)
    for force in forces:
        system.addForce(force)
    if len(atoms) == COUNT:
        system.addForce(external)
    return system


def nonbonded_system(method, switched):
    """Charges, exceptions and a CustomNonbondedForce, in a triclinic box."""
    skew = 0.0 if method == openmm.NonbondedForce.Ewald else 0.3
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(
        (SIDE, 0, 0), (skew, SIDE, 0), (-skew, 1.5 * skew, SIDE)
    )
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(method)
    custom = openmm.CustomNonbondedForce("k*a1*a2/r^4")
    custom.addGlobalParameter("k", 1.3)
    custom.addPerParticleParameter("a")
    custom.setNonbondedMethod(min(method, openmm.CustomNonbondedForce.CutoffPeriodic))
    custom.setUseLongRangeCorrection(method == openmm.NonbondedForce.CutoffPeriodic)
    random = np.random.default_rng(1)
    for i in range(COUNT):
        system.addParticle(1.0)
        charge = (-1) ** i * 0.6 + 0.1 * (i % 3 - 1)
        force.addParticle(charge, 0.25 + 0.1 * random.random(), 0.4 + random.random())
        custom.addParticle([i % 3])
    for i in range(0, 12, 2):
        force.addException(i, i + 1, 0.1 * i, 0.3, 0.2 * (i % 4))
        custom.addExclusion(i, i + 1)
    for each in (force, custom):
        each.setCutoffDistance(1.0)
        if switched:
            each.setUseSwitchingFunction(True)
            each.setSwitchingDistance(0.8)
    if switched:
        custom.addInteractionGroup(range(10), range(5, 20))
    system.addForce(force)
    system.addForce(custom)
    return system


def with_forces(system, forces):
    """The particles and box of a System with other forces."""
    other = openmm.System()
    other.setDefaultPeriodicBoxVectors(*system.getDefaultPeriodicBoxVectors())
    for _ in range(system.getNumParticles()):
        other.addParticle(1.0)
    for force in forces:
        other.addForce(force)
    return other


def assert_sum(whole, *parts):
    for total, *some in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(sum(some), total, rtol=1e-10, atol=1e-9)


def test_bonded_terms(positions):
    """One System has all terms, another only those inside, by construction."""
    atoms = REGION[:9]
    everything = bonded_system(range(COUNT))
    alone = energy_and_forces(bonded_system(atoms), positions)
    outside = outside_region(
        everything, atoms, nearest_images=False, remove_constraints=True
    )
    inside = inside_region(everything, atoms, nearest_images=False)
    assert len(inside) == 9
    for force in inside:  # each kind of force has terms and pulls
        forces = energy_and_forces(with_forces(everything, [force]), positions)[1]
        assert abs(forces).max() > 0.01
    inside = with_forces(everything, inside_region(everything, atoms, nearest_images=0))
    assert_sum(energy_and_forces(inside, positions), alone)
    whole = energy_and_forces(everything, positions)
    assert_sum(whole, energy_and_forces(outside, positions), alone)
    kinds = [type(force) for force in everything.getForces()]
    assert [type(force) for force in outside.getForces()] == kinds


@pytest.mark.parametrize("switched", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_nonbonded_pairs_beyond_cutoff_and_box(positions, method, switched):
    """The region is larger than the cutoff and than half the box."""
    system = nonbonded_system(method, switched)
    parts = (
        outside_region(system, REGION, nearest_images=True, remove_constraints=True),
        with_forces(system, inside_region(system, REGION, nearest_images=True)),
    )
    # exceptions between nearest images, here in all of them
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setExceptionsUsePeriodicBoundaryConditions(True)
    evaluated = [energy_and_forces(part, positions) for part in parts]
    assert all(abs(forces).max() > 100 for _, forces in evaluated)
    assert_sum(energy_and_forces(system, positions), *evaluated)


def test_nothing_is_left_inside(positions):
    """Atoms of the region far from all others feel nothing."""
    rest = [i for i in range(COUNT) if i not in REGION]
    apart = positions.copy()
    apart[rest] += 1e4
    for method in (0, 1):
        outside = outside_region(
            nonbonded_system(method, False),
            REGION,
            nearest_images=False,
            remove_constraints=True,
        )
        assert abs(energy_and_forces(outside, apart)[1][REGION]).max() < 1e-3


def test_exceptions_and_exclusions_are_of_the_same_pairs():
    """GPUs want one list for all forces."""
    outside = outside_region(
        nonbonded_system(4, True), REGION, nearest_images=True, remove_constraints=True
    )
    force, custom = outside.getForces()
    pairs = {frozenset(pair) for pair in itertools.combinations(REGION, 2)}
    excepted = [
        frozenset(force.getExceptionParameters(i)[:2])
        for i in range(force.getNumExceptions())
    ]
    excluded = [
        frozenset(custom.getExclusionParticles(i))
        for i in range(custom.getNumExclusions())
    ]
    assert pairs <= set(excepted) == set(excluded)
    assert len(excepted) == len(set(excepted)) == len(excluded)


def test_offsets_of_parameters(potential, positions):
    """Terms scaled by a global parameter are taken out all the same."""
    system = nonbonded_system(0, False)
    force = system.getForce(0)
    force.addGlobalParameter("scale", 1.0)
    for exception in range(3):
        force.addExceptionParameterOffset("scale", exception, 0.5, 0.1, 0.7)
    atoms = [0, 1, 2, 3]
    outside = outside_region(system, atoms, nearest_images=False, remove_constraints=1)
    apart = positions + 1e4 * np.arange(COUNT)[:, None]
    apart[atoms] = positions[atoms]
    energy, forces = energy_and_forces(outside, apart)
    assert abs(energy) < 1.0 and abs(forces[atoms]).max() < 1e-3
    with pytest.raises(ValueError, match=r"interpolate.* offsets by \['scale'\]"):
        inside_region(system, atoms, nearest_images=False)


def test_implicit_solvent_stays_and_gets_the_same_exclusions():
    """Exclusions do nothing there, but GPUs want one list for all forces."""
    system = nonbonded_system(0, False)
    solvent = openmm.CustomGBForce()
    solvent.addPerParticleParameter("q")
    solvent.addComputedValue("B", "1/r^2", solvent.ParticlePairNoExclusions)
    solvent.addEnergyTerm("-q^2*B", solvent.SingleParticle)
    solvent.addEnergyTerm("q1*q2/(r+B1+B2)", solvent.ParticlePairNoExclusions)
    for i in range(COUNT):
        solvent.addParticle([0.1 * i])
    for i in range(0, 12, 2):
        solvent.addExclusion(i, i + 1)
    system.addForce(solvent)
    outside = outside_region(
        system, REGION, nearest_images=False, remove_constraints=True
    )
    _, custom, changed = outside.getForces()
    assert changed.getNumExclusions() == custom.getNumExclusions() == 66
    assert len(inside_region(system, REGION, nearest_images=False)) == 3
    positions = np.random.default_rng(2).random((COUNT, 3)) * 3
    found, expected = (
        energy_and_forces(with_forces(system, [copy.deepcopy(f)]), positions)
        for f in (changed, solvent)
    )
    assert_sum(found, expected)


def test_a_single_atom_region_and_a_region_of_everything(potential, positions):
    system = nonbonded_system(0, False)
    topology = make_topology(["O"] * COUNT)
    ml = potential.create_system(topology, backend=BACKEND, precision="double")
    classical = energy_and_forces(system, positions)
    for atoms, expected in (
        ([5], classical),  # the model has no energy for an atom alone
        (range(COUNT), energy_and_forces(ml, positions)),
    ):
        mixed = potential.create_mixed_system(
            topology, system, atoms, backend=BACKEND, precision="double"
        )
        found = energy_and_forces(mixed, positions)
        assert_sum(found, expected)
