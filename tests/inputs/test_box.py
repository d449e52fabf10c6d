# SPDX-License-Identifier: MIT
"""Boxes of molecules and supercells: density, distances, bonds, and what is written."""

import shutil
import sys
from collections import Counter
from pathlib import Path

import ase.io
import numpy as np
import openmm
import pytest
from input_files import CELL, waters, write
from openmm import unit
from openmm_helpers import make_topology
from outcome_helpers import outcome_of

from openmm_allegro.cli.main import main
from openmm_allegro.inputs import read_coordinates
from openmm_allegro.inputs.coordinates import box_of
from openmm_allegro.inputs.supercell import supercell
from openmm_allegro.topology.cells import lengths_and_angles

has_packmol = shutil.which("packmol", path=Path(sys.executable).parent)
has_packmol = has_packmol or shutil.which("packmol")
needs_packmol = pytest.mark.skipif(not has_packmol, reason="packmol is not installed")


def box(*arguments):
    return main(["box", *map(str, arguments), "--force"])


def test_without_packmol_its_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert box("water=2", "--density", 0.9, "--output", tmp_path / "x.pdb") == 2
    assert "pip install 'openmm-allegro[box]'" in capsys.readouterr().err


@needs_packmol
@pytest.mark.parametrize("ending", ["pdb", "cif"])
def test_a_liquid_of_molecules_and_ions(tmp_path, ending):
    ethanol = "3\nCO and H\nC 0 0 0\nO 1.43 0 0\nH 1.75 0.9 0\n"
    (tmp_path / "alc.xyz").write_text(ethanol)
    out = tmp_path / f"x.{ending}"
    counts = ("water=12", f"{tmp_path / 'alc.xyz'}=3", "Na=1", "Cl=1")
    assert box(*counts, "--density", 0.9, "--output", out) == 0
    topology, positions = read_coordinates(out)
    assert Counter(r.name for r in topology.residues()) == {
        **{"HOH": 12, "ALC": 3},
        **{"NA": 1, "CL": 1},
    }
    assert topology.getNumBonds() == 2 * 12 + 2 * 3
    mass = sum(a.element.mass.value_in_unit(unit.dalton) for a in topology.atoms())
    edges = np.diag(topology.getPeriodicBoxVectors().value_in_unit(unit.nanometer))
    # PDB has three digits in Å
    assert mass * 1.66053907e-3 / edges.prod() == pytest.approx(0.9, rel=1e-3)
    places = np.array(positions.value_in_unit(unit.nanometer))
    of = np.array([a.residue.index for a in topology.atoms()])
    apart = places[:, None] - places
    apart -= edges * np.round(apart / edges)
    distances = np.linalg.norm(apart, axis=-1)
    assert distances[of[:, None] != of].min() > 0.1
    for first, second in topology.bonds():
        assert distances[first.index, second.index] < 0.15


def test_a_supercell_repeats_bonds_across_borders(tmp_path):
    """Each water of each image keeps its two bonds, of the same length."""
    atoms = waters()
    atoms.wrap()  # molecules now lie on both sides of the cell
    write("POSCAR", tmp_path, atoms)
    out = tmp_path / "x.pdb"
    words = ["box", tmp_path / "POSCAR", "--repeat", 2, 1, 3, "--output", out]
    outcome = outcome_of(tmp_path / "x.json", *words)
    assert outcome["results"]["atoms"] > 0 and outcome["units"] == {"box": "nm"}
    topology, positions = read_coordinates(out)
    assert topology.getNumAtoms() == 6 * 24 and topology.getNumBonds() == 6 * 16
    cell = CELL * np.array([2, 1, 3])[:, None]
    places = np.array(positions.value_in_unit(unit.angstrom))
    again = ase.Atoms("H" * 144, places, cell=cell, pbc=True)
    check_bonds(again, topology)
    # Bonds that a file has are those of the nearest images, too.
    read = read_coordinates(out)
    twice = supercell(*read, (1, 2, 1))
    assert twice.topology.getNumBonds() == 2 * 6 * 16
    whole = np.array(twice.positions.value_in_unit(unit.angstrom))
    more = ase.Atoms("H" * 288, whole, cell=cell * [[1], [2], [1]], pbc=True)
    check_bonds(more, twice.topology)


def check_bonds(atoms, topology):
    """Lengths of the nearest images are those of a water."""
    pairs = [(a.index, b.index) for a, b in topology.bonds()]
    lengths = [atoms.get_distance(*pair, mic=True) for pair in pairs]
    np.testing.assert_allclose(lengths, 0.96, atol=0.03)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["water=3"], "--density in g/cm³, or --box"),
        (["water=3", "--density", "1", "--box", "2,2,2"], "found both"),
        (["water=0", "--density", "1"], "a number of at least 1"),
        (["water=3", "Na", "--density", "1"], "a number of at least 1"),
        (["water=3", "--density", "1", "--repeat", "1", "1", "1"], "--repeat beside"),
        (["none.xyz=3", "--density", "1"], "nothing at none.xyz"),
        (["water=900", "--box", "2,2,2"], "a box with room for 900 molecules"),
        (["water=3", "--density", "-1"], "--density above 0"),
        (["none.cif"], "nothing at none.cif"),
    ],
)
def test_what_is_asked_for(tmp_path, capsys, arguments, words):
    assert box(*arguments, "--output", tmp_path / "x.pdb") == 2
    assert words in capsys.readouterr().err


def test_a_box_is_written_as_pdb_or_mmcif(tmp_path, capsys):
    assert box("water=3", "--density", 1, "--output", tmp_path / "x.xyz") == 2
    assert ".pdb, .cif, .mmcif" in capsys.readouterr().err


@needs_packmol
def test_molecules_by_smiles(tmp_path, capsys):
    """Bonds and names are those of the SMILES; those without a name are told apart."""
    pytest.importorskip("rdkit")
    out = tmp_path / "x.pdb"
    counts = ("smiles:C1COC(=O)O1 EC=2", "smiles:CCO=1", "smiles:CO=2", "Li=1")
    assert box(*counts, "--density", 0.5, "--output", out) == 0
    topology, positions = read_coordinates(out)
    residues = Counter(r.name for r in topology.residues())
    assert residues == {"EC": 2, "M01": 1, "M02": 2, "LI": 1}
    assert topology.getNumBonds() == 2 * 10 + 8 + 2 * 5
    places = np.array(positions.value_in_unit(unit.nanometer))
    lengths = [
        np.linalg.norm(places[a.index] - places[b.index]) for a, b in topology.bonds()
    ]
    assert 0.08 < min(lengths) and max(lengths) < 0.17
    for wrong, word in (("CC(", "expected a SMILES"), ("[Na+].[Cl-]", "one molecule")):
        assert box(f"smiles:{wrong}=1", "--density", 0.5, "--output", out) == 2
        assert word in capsys.readouterr().err


def test_without_rdkit_its_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    assert box("smiles:CCO=2", "--density", 0.9, "--output", tmp_path / "x.pdb") == 2
    assert "pip install 'openmm-allegro[smiles]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "vectors",
    [
        [[1.4, 0, 0], [1.2, 1.35, 0], [0.9, -0.8, 1.5]],  # c ends at half of a
        [[1, 0, 0], [-0.5, 0.75**0.5, 0], [0, 0, 1.6]],
        [[0, 1, 1], [1, 0, 1], [1, 1, 0]],
    ],
)
def test_cells_with_halves_are_taken_by_openmm(vectors):
    """At any size, and repeated: it refuses half of a vector with a rounding error."""
    topology = make_topology(["Ar"], None)
    for size in np.linspace(0.7, 1.3, 20):
        cell = lengths_and_angles(size * np.array(vectors))
        box = box_of(cell, Path("a.POSCAR"), "poscar")
        topology.setPeriodicBoxVectors(box)
        whole = supercell(topology, [[0, 0, 0]] * unit.nanometer, (2, 3, 1)).topology
        for made, times in ((topology, 1), (whole, 6)):
            system = openmm.System()
            system.setDefaultPeriodicBoxVectors(*made.getPeriodicBoxVectors())
            box = system.getDefaultPeriodicBoxVectors()
            rows = np.array([row.value_in_unit(unit.nanometer) for row in box])
            volume = times * abs(np.linalg.det(size * np.array(vectors)))
            assert np.linalg.det(rows) == pytest.approx(volume)
