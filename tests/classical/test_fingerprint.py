# SPDX-License-Identifier: MIT
"""A force field has one fingerprint however it is written down, and no other has it."""

import copy

import numpy as np
import openmm
import pytest
from mixed_helpers import force_field, solute
from openmm import app, unit

from openmm_allegro.classical.fingerprint import check_baseline, fingerprint
from openmm_allegro.structure import topology_symbols


def amber(copies=1, **options):
    """N-methylacetamides with a water each, in a box: topology and Amber14 System."""
    topology, positions = solute()
    modeller = app.Modeller(topology, positions * unit.angstrom)
    for i in range(1, copies):
        modeller.add(topology, (positions + 20.0 * i) * unit.angstrom)
    modeller.topology.setPeriodicBoxVectors(np.eye(3) * (1.5 + copies) * unit.nanometer)
    options = {"nonbondedMethod": app.PME, "constraints": None} | options
    system = force_field().createSystem(
        modeller.topology, nonbondedCutoff=0.7, rigidWater=False, **options
    )
    return modeller.topology, system


@pytest.fixture(scope="module")
def classical():
    return amber()


def find(system, name):
    return next(f for f in system.getForces() if type(f).__name__ == name)


def of(system, topology):
    return fingerprint(system, topology_symbols(topology))


def test_it_is_readable(classical):
    topology, system = classical
    found = of(system, topology)
    (settings,) = found["settings"]["NonbondedForce"]
    assert settings["method"] == "PME"
    assert settings["cutoff"] == 0.7
    assert settings["tolerance"] == 0.0005
    assert sorted(found["molecules"].values()) == ["C3H7NO", "H2O"]


def move_to_group(system):
    for index, force in enumerate(system.getForces()):
        force.setForceGroup(index + 1)
    find(system, "NonbondedForce").setReciprocalSpaceForceGroup(17)


def make_bonds_periodic(system):
    for force in system.getForces():
        if hasattr(force, "setUsesPeriodicBoundaryConditions"):
            force.setUsesPeriodicBoundaryConditions(True)
    find(system, "NonbondedForce").setExceptionsUsePeriodicBoundaryConditions(True)


def add_what_has_no_energy(system):
    system.addForce(openmm.MonteCarloBarostat(1.0, 300.0))
    system.addForce(openmm.AndersenThermostat(300.0, 1.0))
    system.addForce(openmm.CMMotionRemover())
    markers = openmm.HarmonicBondForce()
    markers.addBond(0, 11, 0.1, 0.0)
    system.addForce(markers)
    system.addForce(openmm.PeriodicTorsionForce())
    system.addConstraint(12, 13, 0.1)
    system.setParticleMass(3, 4.0)
    system.setDefaultPeriodicBoxVectors(*np.eye(3) * 5.0)


def rewrite(system):
    """Forces and terms in reverse order, bonds in two forces and from the other end."""
    bonds = find(system, "HarmonicBondForce")
    rows = [bonds.getBondParameters(i) for i in range(bonds.getNumBonds())]
    torsions = find(system, "PeriodicTorsionForce")
    four = [torsions.getTorsionParameters(i) for i in range(torsions.getNumTorsions())]
    others = [
        copy.deepcopy(force)
        for force in system.getForces()
        if type(force).__name__ not in ("HarmonicBondForce", "PeriodicTorsionForce")
    ]
    while system.getNumForces():
        system.removeForce(0)
    new = openmm.PeriodicTorsionForce()
    for i, j, k, m, *values in four[::-1]:
        new.addTorsion(m, k, j, i, *values)
    for force in (new, *others[::-1]):
        system.addForce(force)
    for part in (rows[1::2], rows[::2]):
        force = openmm.HarmonicBondForce()
        for i, j, *values in part[::-1]:
            force.addBond(j, i, *values)
        system.addForce(force)


def change_last_digits(system):
    force = find(system, "NonbondedForce")
    charge, sigma, epsilon = force.getParticleParameters(4)
    force.setParticleParameters(4, charge * (1 + 1e-14), sigma, epsilon * (1 - 1e-14))


@pytest.mark.parametrize(
    "change",
    [
        move_to_group,
        make_bonds_periodic,
        add_what_has_no_energy,
        rewrite,
        change_last_digits,
    ],
)
def test_what_leaves_the_energy_alone_does_not_count(classical, change):
    topology, system = classical
    changed = copy.deepcopy(system)
    change(changed)
    assert of(changed, topology) == of(system, topology)
    text = openmm.XmlSerializer.serialize(changed)
    assert of(openmm.XmlSerializer.deserialize(text), topology) == of(system, topology)


def scale(name, index, column, factor=1.001):
    """Change one parameter of one particle or term."""

    def change(system):
        force = find(system, name)
        what = {
            "NonbondedForce": "Particle",
            "HarmonicBondForce": "Bond",
            "HarmonicAngleForce": "Angle",
            "PeriodicTorsionForce": "Torsion",
        }[name]
        row = list(getattr(force, f"get{what}Parameters")(index))
        row[column] = row[column] * factor
        getattr(force, f"set{what}Parameters")(index, *row)

    return change


def nonbonded(setter, *values):
    return lambda system: getattr(find(system, "NonbondedForce"), setter)(*values)


def change_exception(system):
    force = find(system, "NonbondedForce")
    for index in range(force.getNumExceptions()):
        i, j, product, sigma, epsilon = force.getExceptionParameters(index)
        if product._value:
            return force.setExceptionParameters(
                index, i, j, product * 1.001, sigma, epsilon
            )
    raise AssertionError("no 1-4 exception")


def add_bond(system):
    find(system, "HarmonicBondForce").addBond(0, 11, 0.5, 10.0)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (scale("NonbondedForce", 1, 0), "molecules"),
        (scale("NonbondedForce", 13, 0), "molecules"),
        (scale("NonbondedForce", 1, 1), "molecules"),
        (scale("NonbondedForce", 1, 2), "molecules"),
        (scale("HarmonicBondForce", 0, 2), "molecules"),
        (scale("HarmonicBondForce", 0, 3), "molecules"),
        (scale("HarmonicAngleForce", 2, 3), "molecules"),
        (scale("HarmonicAngleForce", 2, 4), "molecules"),
        (scale("PeriodicTorsionForce", 3, 4, 2), "molecules"),
        (change_exception, "molecules"),
        (add_bond, "molecules"),
        (nonbonded("setCutoffDistance", 0.71), "settings"),
        (nonbonded("setEwaldErrorTolerance", 1e-4), "settings"),
        (nonbonded("setNonbondedMethod", 5), "settings"),
        (nonbonded("setUseDispersionCorrection", False), "settings"),
        (nonbonded("setUseSwitchingFunction", True), "settings"),
        (nonbonded("setPMEParameters", 3.0, 20, 20, 20), "settings"),
    ],
)
def test_what_changes_the_energy_counts(classical, change, part):
    topology, system = classical
    changed = copy.deepcopy(system)
    change(changed)
    before, after = of(system, topology), of(changed, topology)
    assert before["hash"] != after["hash"]
    assert before[part] != after[part]
    assert (before["settings"] == after["settings"]) == (part == "molecules")
    with pytest.raises(ValueError, match=r"here: expected the .* baseline"):
        check_baseline(before, after, "here")


def test_the_number_of_molecules_does_not_count(classical):
    topology, system = classical
    more_topology, more = amber(copies=3)
    assert more.getNumParticles() == 3 * system.getNumParticles()
    assert of(more, more_topology) == of(system, topology)


def ethanol(order, swap=False):
    """Atoms in another order; optionally with the charges of C and O swapped."""
    symbols = ["C", "C", "O", "H", "H", "H", "H", "H", "H"]
    bonds = [(0, 1), (1, 2), (0, 3), (0, 4), (0, 5), (1, 6), (1, 7), (2, 8)]
    charges = [-0.2, 0.1, -0.6, 0.05, 0.05, 0.05, 0.05, 0.05, 0.45]
    if swap:
        charges[1], charges[2] = charges[2], charges[1]
    place = {old: new for new, old in enumerate(order)}
    system, force = openmm.System(), openmm.NonbondedForce()
    stretch = openmm.HarmonicBondForce()
    for old in order:
        system.addParticle(1.0)
        force.addParticle(charges[old], 0.3, 0.4)
    for i, j in bonds:
        stretch.addBond(place[i], place[j], 0.1, 1e5)
    force.createExceptionsFromBonds([(place[i], place[j]) for i, j in bonds], 0.5, 0.5)
    system.addForce(force)
    system.addForce(stretch)
    return fingerprint(system, [symbols[old] for old in order])


def test_the_order_of_atoms_does_not_count():
    first = ethanol(range(9))
    assert ethanol(np.random.default_rng(0).permutation(9).tolist()) == first
    assert ethanol(range(9), swap=True)["molecules"] != first["molecules"]


def custom(expression="k*(r-d)^2", value=2.0, table=(1.0, 2.0, 3.0), maps=(0.0, 1.0)):
    """A System of custom forces, a table and two CMAPs; its maps in either order."""
    system = openmm.System()
    for _ in range(6):
        system.addParticle(1.0)
    bond = openmm.CustomBondForce(expression)
    bond.addGlobalParameter("k", value)
    bond.addPerBondParameter("d")
    bond.addBond(0, 1, [0.1])
    pair = openmm.CustomNonbondedForce("f(q1*q2*r)")
    pair.addPerParticleParameter("q")
    pair.addTabulatedFunction("f", openmm.Continuous1DFunction(list(table), 0.0, 9.0))
    for i in range(6):
        pair.addParticle([0.1 * i])
    pair.addExclusion(0, 1)
    cmap = openmm.CMAPTorsionForce()
    for height in maps:
        cmap.addMap(2, [0.0, 0.0, 0.0, height])
    cmap.addTorsion(int(np.argmax(maps)), 0, 1, 2, 3, 1, 2, 3, 4)
    for force in (bond, pair, cmap):
        system.addForce(force)
    return fingerprint(system, "HHOOCC")


def test_custom_forces_tables_and_maps():
    first = custom()
    assert custom(maps=(1.0, 0.0)) == first
    for changes in (
        {"expression": "k*(r-d)^4"},
        {"value": 2.1},
        {"table": (1.0, 2.0, 3.1)},
        {"maps": (0.0, 1.1)},
    ):
        assert custom(**changes)["hash"] != first["hash"]


def test_fewer_molecules_are_fine_and_messages_say_what_differs(classical):
    topology, system = classical
    whole = of(system, topology)
    water = {h: f for h, f in whole["molecules"].items() if f == "H2O"}
    check_baseline(whole, whole | {"molecules": water}, "here")
    with pytest.raises(ValueError, match=r"here: .* H2O; found others, C3H7NO$"):
        check_baseline(whole | {"molecules": water}, whole, "here")
    other = whole | {"molecules": {"0" * 16: "H2O"}}
    with pytest.raises(ValueError, match="H2O with other parameters"):
        check_baseline(whole, other, "here")
    changed = copy.deepcopy(system)
    find(changed, "NonbondedForce").setCutoffDistance(0.65)
    with pytest.raises(ValueError, match=r"cutoff 0\.7; found .* cutoff 0\.65"):
        check_baseline(whole, of(changed, topology), "here")
    with pytest.raises(ValueError, match="found no baseline"):
        check_baseline(None, whole, "here")


def test_what_cannot_be_compared():
    system = openmm.System()
    for _ in range(3):
        system.addParticle(1.0)
    with pytest.raises(ValueError, match=r"System of 2 particles.*found 3"):
        fingerprint(system, "HO")
    sites = copy.deepcopy(system)
    sites.setVirtualSite(2, openmm.TwoParticleAverageSite(0, 1, 0.5, 0.5))
    with pytest.raises(ValueError, match=r"without virtual sites, found one .* 2"):
        fingerprint(sites, "HOH")
    for force, message in (
        (openmm.CustomExternalForce("x"), "found CustomExternalForce"),
        (openmm.NonbondedForce(), "found parameter offsets"),
        (openmm.CustomNonbondedForce("r"), "interaction groups"),
    ):
        other = copy.deepcopy(system)
        if "offsets" in message:
            force.addGlobalParameter("scale", 1.0)
            force.addParticle(0.0, 1.0, 0.0)
            force.addParticleParameterOffset("scale", 0, 1.0, 0.0, 0.0)
        if "groups" in message:
            force.addInteractionGroup([0], [1])
        other.addForce(force)
        with pytest.raises(ValueError, match=message):
            fingerprint(other, "HOH")
