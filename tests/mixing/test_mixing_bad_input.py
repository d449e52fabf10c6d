# SPDX-License-Identifier: MIT
"""Inputs that cannot be mixed are refused, before any work."""

import openmm
import pytest
from mixed_helpers import SOLUTE, cluster, organic_model, solvated
from openmm import app, unit
from openmm_helpers import BACKEND, make_topology

from openmm_allegro import AllegroPotential, Model

pytestmark = pytest.mark.small

WATER = [SOLUTE, SOLUTE + 1, SOLUTE + 2]


@pytest.fixture(scope="module")
def potential():
    return AllegroPotential(organic_model())


@pytest.fixture(scope="module")
def droplet():
    return cluster(solvated())


@pytest.fixture
def system(droplet):
    """A copy that a test may change."""
    return openmm.XmlSerializer.clone(droplet.system)


@pytest.fixture
def refused(potential, droplet, system):
    """Asserts that creating a mixed System fails with this message."""

    def create(message, atoms=WATER, topology=droplet.topology, **options):
        with pytest.raises(ValueError, match=message):
            potential.create_mixed_system(topology, system, atoms, **options)

    return create


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        ([12, 13, 14, 12], "each index once, found 1 repeated"),
        ([12, 13, 99], "0 to 30, found 99"),
        ([-1], "0 to 30, found -1"),
        ([], "at least one index, found none"),
        ([1.0], "indices of atoms, found 'float'"),
        ("abc", "indices of atoms, found 'str'"),
        (None, "indices of atoms, found 'NoneType'"),
        ([False, True], "indices of atoms, found booleans"),
    ],
)
def test_atoms(refused, atoms, message):
    refused(message, atoms)


@pytest.mark.parametrize("atoms", [[12], [13, 14], [12, 13]])
def test_water_that_is_split(refused, droplet, atoms):
    """By its bonds, and where the topology has none by its constraints."""
    refused("whole molecules .* found cut bonds HOH", atoms)
    refused("between heavy atoms, found bonds of hydrogen", atoms, link="cap")
    symbols = [a.element.symbol for a in droplet.topology.atoms()]
    refused("no constraint across the border", atoms, make_topology(symbols))


def test_flexible_water_that_is_split(refused, system):
    while system.getNumConstraints():
        system.removeConstraint(0)
    refused("whole molecules .* found cut bonds HOH", [12])
    refused("between heavy atoms, found bonds of hydrogen", [12], link="cap")


@pytest.mark.parametrize("link", ["error", "cap"])
def test_cut_bond_that_only_the_force_field_knows(refused, droplet, link):
    """A topology without bonds, as some readers make it; the bond is C(1)-N(6)."""
    loose = make_topology([a.element.symbol for a in droplet.topology.atoms()])
    refused(
        "mm_system: .* bonds of the topology .* another one between atoms 1 and 6",
        range(6),
        loose,
        link=link,
    )


def test_terms_across_the_border_of_second_neighbours(potential, droplet, system):
    """Urey and Bradley's are no bonds: C(1) and C(8) are both bonded to N(6)."""
    bonds = openmm.HarmonicBondForce()
    bonds.addBond(1, 8, 0.25, 1e4)
    system.addForce(bonds)
    potential.create_mixed_system(
        droplet.topology, system, range(6), link="cap", backend=BACKEND
    )


@pytest.mark.parametrize("remove", [False, True])
def test_constraint_across_the_border(refused, system, remove):
    system.addConstraint(12, 15, 0.3)
    refused("border of the ML region, found .* 12 and 15", remove_constraints=remove)


def test_other_number_of_particles(refused, system):
    system.addParticle(1.0)
    refused("expected the 31 atoms of the topology, found 32 particles")


def test_unknown_options(refused):
    refused(
        "embedding of .'mechanical', 'electrostatic'., found 'none'", embedding="none"
    )
    refused("link of .'error', 'cap'., found 'H'", link="H")
    refused("expected backend", backend="other")
    refused("expected precision", precision="half")


def test_element_that_the_model_does_not_know(refused):
    refused("Na", [30])


def test_delta_model(droplet):
    delta = Model(**vars(organic_model()) | {"kind": "delta"})
    with pytest.raises(ValueError, match=r"create_mixed_system: .* kind delta"):
        AllegroPotential(delta).create_mixed_system(
            droplet.topology, droplet.system, WATER
        )


@pytest.mark.parametrize(
    "force",
    [
        openmm.DrudeForce(),
        openmm.AmoebaVdwForce(),
        openmm.CustomCVForce("0"),
        openmm.CustomCentroidBondForce(2, "distance(g1,g2)"),
        openmm.CustomHbondForce("0"),
        openmm.CustomManyParticleForce(3, "0"),
        openmm.GayBerneForce(),
    ],
    ids=lambda force: type(force).__name__,
)
def test_forces_that_may_act_inside(refused, system, force):
    force = openmm.XmlSerializer.clone(force)
    force.setName("mine")
    system.addForce(force)
    refused(rf"found a {type(force).__name__} \('mine'\)")


def test_implicit_solvent_with_exclusions(refused, system):
    force = openmm.CustomGBForce()
    force.addEnergyTerm("r", openmm.CustomGBForce.ParticlePair)
    for _ in range(31):
        force.addParticle([])
    system.addForce(force)
    refused("without exclusions, as implicit solvents are, found .* term 'r'")


def test_derivatives_and_split_direct_space_do_not_interpolate(refused, system):
    bond = openmm.CustomBondForce("k*r")
    bond.addGlobalParameter("k", 1.0)
    bond.addEnergyParameterDerivative("k")
    bond.addBond(12, 13, [])
    system.addForce(bond)
    refused("without derivatives .* found one in 'CustomBondForce'", interpolate=True)
    system.removeForce(system.getNumForces() - 1)
    (force,) = (f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    force.setIncludeDirectSpace(False)
    refused("includes direct space, found one without", interpolate=True)


def test_box_of_less_than_two_cutoffs(refused, system):
    (force,) = (f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    force.setNonbondedMethod(force.PME)
    system.setDefaultPeriodicBoxVectors((2, 0, 0), (0, 2, 0), (0.9, 0.9, 0.7))
    refused(r"two cutoffs of the model \(8 Å\), found a width of 7 Å")


def test_virtual_sites(potential):
    """Those of a water model with four sites, in it or at its atoms."""
    field = app.ForceField("amber14/tip4pew.xml")
    modeller = app.Modeller(app.Topology(), [] * unit.nanometer)
    modeller.addSolvent(field, model="tip4pew", numAdded=2)
    system = field.createSystem(modeller.topology)
    site = next(a.index for a in modeller.topology.atoms() if a.element is None)
    for atoms in (range(site), range(site + 1)):
        with pytest.raises(ValueError, match=rf"virtual site .* particle {site} at"):
            potential.create_mixed_system(modeller.topology, system, atoms)
    atoms = range(site + 1, site + 5)
    with pytest.raises(ValueError, match="virtual site"):
        potential.create_mixed_system(modeller.topology, system, atoms)


@pytest.mark.parametrize(
    ("charge", "told"), [(0.3, True), (1.0, False), (0.005, False)]
)
def test_charges_that_do_not_add_up(potential, droplet, system, caplog, charge, told):
    """An atom outside has such a charge: the region's own is an integer."""
    (force,) = (f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    given, *rest = force.getParticleParameters(20)
    force.setParticleParameters(20, given._value + charge, *rest)
    potential.create_mixed_system(droplet.topology, system, WATER, backend=BACKEND)
    # the sodium ion has +1 e
    assert ("charges of mm_system add up to +1.300 e" in caplog.text) == told
    assert bool(caplog.records) == told


def test_atoms_in_another_order(potential, droplet, system, caplog):
    """Heavy hydrogens are fine, and so are frozen atoms; a swap is told."""

    def create():
        potential.create_mixed_system(droplet.topology, system, WATER, backend=BACKEND)

    oxygen, hydrogen = system.getParticleMass(15), system.getParticleMass(16)
    system.setParticleMass(12, 0.0)
    for index in (16, 17):
        system.setParticleMass(index, 4.0)
        mass = system.getParticleMass(15)
        system.setParticleMass(15, mass - 4.0 * unit.dalton + hydrogen)
    create()
    assert not caplog.records
    system.setParticleMass(16, oxygen)
    create()
    assert "atom 16 is H in the topology, but has a mass of 15.99" in caplog.text
