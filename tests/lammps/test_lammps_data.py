# SPDX-License-Identifier: MIT
"""Atoms, masses and boxes as LAMMPS has them."""

import numpy as np
import pytest
from openmm_helpers import make_topology

from openmm_allegro.lammps.atoms import atom_types, element_masses, skeleton
from openmm_allegro.lammps.data import Atoms, data_text
from openmm_allegro.lammps.plan import AtomType
from openmm_allegro.lammps.replicas import (
    repeat_positions,
    repeat_topology,
)
from openmm_allegro.runs.system import read_system
from openmm_allegro.simulate.masses import stage_masses
from openmm_allegro.simulate.settings import Stage

BOX = np.array([[1.2, 0, 0], [0.3, 1.1, 0], [-0.2, 0.25, 1.0]])


@pytest.fixture
def water():
    """Two waters: symbols, topology and System of masses and bonds."""
    symbols = ["O", "H", "H"] * 2
    topology = make_topology(symbols, BOX, waters=True)
    return (
        symbols,
        topology,
        skeleton(element_masses(topology), topology, BOX),
    )


def bonds_of(topology):
    """Indices [B, 2] of bonded atoms."""
    return np.array([[atom.index for atom in bond] for bond in topology.bonds()])


def numbers(text, section):
    """Rows of a section of a data file, without comments."""
    rows = text.partition(f"\n{section}")[2].split("\n\n")[1].strip().split("\n")
    return np.array([row.partition("#")[0].split() for row in rows], float)


def test_data_has_positions_velocities_and_box_in_units_of_lammps():
    random = np.random.default_rng(0)
    positions, velocities = random.random((2, 5, 3))
    types = (AtomType("H", (1.008, 3.0)), AtomType("O", (15.999, 12.0)))
    kinds = np.array([1, 0, 0, 1, 0])
    text = data_text("x", types, Atoms(kinds, positions, velocities, BOX))
    atoms = numbers(text, "Atoms")
    np.testing.assert_array_equal(atoms[:, 0], np.arange(1, 6))
    np.testing.assert_array_equal(atoms[:, 1], kinds + 1)
    np.testing.assert_allclose(atoms[:, 2:], 10 * positions, rtol=0, atol=1e-8)
    np.testing.assert_allclose(numbers(text, "Velocities")[:, 1:], 10 * velocities)
    np.testing.assert_array_equal(numbers(text, "Masses"), [[1, 1.008], [2, 15.999]])
    head = text.partition("\nMasses")[0].splitlines()[2:]
    assert head[:6] == [
        *("5 atoms", "2 atom types", ""),
        *("0 12 xlo xhi", "0 11 ylo yhi", "0 10 zlo zhi"),
    ]
    assert head[6] == "3 -2 2.5 xy xz yz"


def test_tilts_are_there_where_they_may_come():
    atoms = Atoms(np.zeros(1, dtype=int), np.zeros((1, 3)), None, np.eye(3))
    types = (AtomType("Ar", (39.948,)),)
    assert "xy xz yz" not in data_text("x", types, atoms)
    assert "0 0 0 xy xz yz" in data_text("x", types, atoms, tilted=True)
    without = data_text("x", types, atoms._replace(box=None))
    assert "-1 1 xlo xhi" in without
    assert "Velocities" not in without


def test_types_are_elements_of_one_mass(water):
    """Hydrogens take their mass from oxygen, in the stages that say so."""
    symbols, topology, system = water
    stages = [Stage("a", hydrogen_mass_da=2.0), Stage("b"), Stage("c")]
    masses = stage_masses(topology, system, stages)
    types, kinds = atom_types(symbols, masses)
    assert [one.element for one in types] == ["H", "O"]
    assert kinds.tolist() == [1, 0, 0] * 2
    assert types[0].masses[0] == 2.0
    np.testing.assert_allclose(masses.sum(axis=1), masses[1].sum())
    np.testing.assert_array_equal(masses[1:], [element_masses(topology)] * 2)
    assert system.getParticleMass(1)._value == masses[1, 1]  # as it was


def test_types_of_one_element_differ_by_mass(water):
    """A hydroxide's oxygen gives less than a water's."""
    symbols = ["O", "H", "H", "O", "H"]
    topology = make_topology(symbols, BOX, waters=True)
    system = skeleton(element_masses(topology), topology, BOX)
    types, kinds = atom_types(
        symbols, stage_masses(topology, system, [Stage("a", hydrogen_mass_da=3.0)])
    )
    assert [one.element for one in types] == ["H", "O", "O"]
    assert kinds.tolist() == [1, 0, 0, 2, 0]
    taken = 3.0 - 1.007947
    np.testing.assert_allclose(types[1].masses, 15.99943 - 2 * taken)
    np.testing.assert_allclose(types[2].masses, 15.99943 - taken)


def test_mass_of_hydrogens_without_bonds_names_the_stage():
    topology = make_topology(["H", "H"])
    system = skeleton(element_masses(topology), topology, None)
    with pytest.raises(ValueError, match="stage a: hydrogen_mass: expected bonds"):
        stage_masses(topology, system, [Stage("a", hydrogen_mass_da=3.0)])


@pytest.mark.parametrize("box", [BOX, None])
def test_system_is_read_back(water, box, tmp_path):
    """Analyses find masses, bonds, and whether there is a box."""
    import openmm

    _, topology, _ = water
    system = skeleton(element_masses(topology), topology, box)
    path = tmp_path / "x.system.xml"
    path.write_text(openmm.XmlSerializer.serialize(system))
    read = read_system(path)
    assert read.periodic is (box is not None)
    np.testing.assert_array_equal(read.bonds, bonds_of(topology))
    np.testing.assert_allclose(read.masses, element_masses(topology))


def test_replicas(water):
    """The first vector is the fastest, and each replica has the bonds of the first."""
    symbols, topology, _ = water
    counts = (2, 1, 2)
    positions = np.random.default_rng(1).random((6, 3))
    places = repeat_positions(positions, BOX, counts).reshape(2, 1, 2, 6, 3)
    for c, b, a in np.ndindex(2, 1, 2):
        shift = np.array([a, b, c]) @ BOX
        np.testing.assert_allclose(places[c, b, a], positions + shift)
    whole = repeat_topology(topology, BOX, counts)
    assert [atom.element.symbol for atom in whole.atoms()] == symbols * 4
    assert whole.getNumResidues() == 8
    bonds = [bonds_of(topology) + 6 * number for number in range(4)]
    np.testing.assert_array_equal(bonds_of(whole), np.concatenate(bonds))
    vectors = whole.getPeriodicBoxVectors()._value
    np.testing.assert_allclose(vectors, BOX * np.array(counts)[:, None])
    assert repeat_topology(topology, None, (1, 1, 1)) is topology
