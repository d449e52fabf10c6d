# SPDX-License-Identifier: MIT
"""Names of molecules and of their atoms, as a reader of results expects them."""

from types import SimpleNamespace

import pytest

mdtraj = pytest.importorskip("mdtraj")

from openmm_allegro.measure.subjects import (  # noqa: E402
    default_pairs,
    default_species,
)
from openmm_allegro.runs.molecule_names import Sites, molecule_name  # noqa: E402
from openmm_allegro.runs.species import find_kinds  # noqa: E402

# Heavy atoms and their bonds, hydrogens by atom.
EC = "C O O O C C", [(0, 1), (0, 2), (0, 3), (2, 4), (3, 5), (4, 5)], {4: 2, 5: 2}
EMC = (
    "C O O O C C C",
    [(0, 1), (0, 2), (0, 3), (2, 4), (3, 5), (5, 6)],
    {4: 3, 5: 2, 6: 3},
)
PF6 = "P F F F F F F", [(0, i) for i in range(1, 7)], {}


def atoms_of(molecule):
    """Symbols and bonds with hydrogens."""
    heavy, bonds, hydrogens = molecule
    symbols, bonds = heavy.split(), list(bonds)
    for atom, count in hydrogens.items():
        for _ in range(count):
            bonds.append((atom, len(symbols)))
            symbols.append("H")
    return symbols, bonds


def mixture(*parts):
    """mdtraj topology of (residue, molecule, number)."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for name, molecule, number in parts:
        for _ in range(number):
            residue = topology.add_residue(name, chain)
            symbols, bonds = atoms_of(molecule)
            made = [
                topology.add_atom(s, mdtraj.element.get_by_symbol(s), residue)
                for s in symbols
            ]
            for first, second in bonds:
                topology.add_bond(made[first], made[second])
    return topology


def test_an_electrolyte_is_named_as_its_chemists_do():
    li = "Li", [], {}
    topology = mixture(("EC", EC, 3), ("EMC", EMC, 7), ("LI", li, 2), ("PF6", PF6, 2))
    source = SimpleNamespace(topology=topology, kinds=find_kinds(topology))
    assert list(default_species(source)) == [
        *("EMC, ether O", "EC, methylene C", "Li", "PF6, P"),
    ]
    pairs = default_pairs(source)
    around = [pair.names[1] for pair in pairs.values() if pair.solvation]
    assert around == [
        *("EMC, ether O", "F", "EMC, carbonyl O", "EC, ether O", "EC, carbonyl O"),
        "P",
    ]
    carbonyl = pairs["Li-EMC, carbonyl O"].b
    assert len(carbonyl) == 7
    assert {topology.atom(i).residue.name for i in carbonyl} == {"EMC"}


def test_too_many_sites_are_told_apart_by_element_alone():
    ions = [(symbol.upper(), (symbol, [], {}), 1) for symbol in ("Li", "Na", "K")]
    topology = mixture(("EC", EC, 3), ("EMC", EMC, 7), *ions)
    source = SimpleNamespace(topology=topology, kinds=find_kinds(topology))
    assert [k for k, pair in default_pairs(source).items() if pair.solvation] == [
        *("Li-O", "Na-O", "K-O"),
    ]


@pytest.mark.parametrize(
    ("residues", "name"),
    [
        (["ACE", "ALA", "NME"], "alanine dipeptide"),
        (["GLY"], "glycine"),
        (["ALA", "GLY", "SER"], "peptide of 3 residues"),
        (["ALA"] * 76, "protein of 76 residues"),
        (["EMC"], "EMC"),
        (["UNL"], "C4H8O3"),
        (["DMC", "EC"], "C4H8O3"),
    ],
)
def test_molecules_are_named_by_their_residues(residues, name):
    assert molecule_name(residues, "C4H8O3") == name


@pytest.mark.parametrize(
    ("symbols", "bonds", "atom", "name"),
    [
        ("C O O C", [(0, 1), (0, 2), (0, 3)], 1, "carboxylate O"),
        ("C O H", [(0, 1), (1, 2)], 1, "hydroxyl O"),
        ("C N", [(0, 1)], 1, "nitrile N"),
        ("C O N H H", [(0, 1), (0, 2), (2, 3), (2, 4)], 2, "amide N"),
        ("S O N S", [(0, 1), (0, 2), (2, 3)], 2, "imide N"),
        ("S O N S", [(0, 1), (0, 2), (2, 3)], 1, "sulfonyl O"),
        ("O H H", [(0, 1), (0, 2)], 0, "O"),
        ("C H H H C", [(0, 1), (0, 2), (0, 3), (0, 4)], 0, "methyl C"),
        ("Na", [], 0, "Na"),
    ],
)
def test_atoms_are_named_by_their_bonds(symbols, bonds, atom, name):
    assert Sites(symbols.split(), bonds).name(atom) == name
