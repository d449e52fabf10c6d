# SPDX-License-Identifier: MIT
"""Crystals and data files: symmetry, orientation, types, and what ase would guess."""

import ase
import ase.io
import numpy as np
import pytest

from openmm_allegro.inputs import read_coordinates
from openmm_allegro.topology.cells import standard_vectors, turn
from openmm_allegro.topology.formats import format_of

CIF = """data_zno
_cell_length_a 3.2495
_cell_length_b 3.2495
_cell_length_c 5.2069
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_symmetry_space_group_name_H-M 'P 63 m c'
_symmetry_Int_Tables_number 186
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Zn1 Zn2+ {third} {two} 0
O1 O2- {third} {two} 0.3821
"""
DATA = """LAMMPS data file via write_data, units = {units}

3 atoms
2 atom types
2 bonds
1 bond types
0 9 xlo xhi
0 9 ylo yhi
0 9 zlo zhi

Masses

1 15.9994
2 1.008

Atoms{style}

3 1 2 0.4 -0.24 0.93 0.0 0 0 0
1 1 1 -0.8 8.9 0.0 0.0 -1 0 0
2 1 2 0.4 0.86 0.0 0.0 0 0 0

Velocities

1 0 0 0
2 0 0 0
3 0 0 0

Bonds

1 1 1 2
2 1 3 1
"""


def read(path, text, *arguments, **options):
    path.write_text(text)
    return read_coordinates(path, *arguments, **options)


def nm(quantity):
    return np.array(quantity._value, dtype=float)


def test_symmetry_makes_the_atoms_of_a_crystal(tmp_path):
    """Wurtzite has four; rounded thirds would make twelve."""
    whole = read(tmp_path / "x.cif", CIF.format(third=1 / 3, two=2 / 3))
    symbols = sorted(atom.element.symbol for atom in whole.topology.atoms())
    assert symbols == ["O", "O", "Zn", "Zn"]
    with pytest.raises(ValueError, match=r"more digits \(0.33333333 for 1/3\)"):
        read(tmp_path / "y.cif", CIF.format(third="0.333", two="0.667"))


def test_atoms_are_turned_and_never_mirrored():
    """Distances stay, and so does the sign of a triple product."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        vectors = rng.normal(size=(3, 3)) * 5
        positions = rng.random((6, 3)) @ vectors
        turned, cell = turn(positions, vectors)
        a, b = positions[1:4] - positions[0], turned[1:4] - turned[0]
        np.testing.assert_allclose(b @ b.T, a @ a.T, atol=1e-9)
        assert np.linalg.det(b) == pytest.approx(np.linalg.det(a), rel=1e-6)
        np.testing.assert_allclose(
            np.linalg.norm(standard_vectors(cell), axis=1),
            np.linalg.norm(vectors, axis=1),
        )


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([[3, 0, 0], [0, 4, 0], [0, 0, 5]], ""),
        ([[3, 0, 0], [-1.2, 3, 0], [0, 1, 5]], ""),
        ([[0, 0, 3], [4, 0, 0], [0, 5, 0]], "(turned with the atoms, so that a is"),
        ([[0, 3, 0], [3, 0, 0], [0, 0, 4]], "(-a, -b and -c stand for a, b and c, "),
        (
            [[3, 0, 0], [2.5, 3, 0], [-2.9, 2.8, 5]],
            "(b - a stands for b; c + 2a - b stands for c): the lattice is the same",
        ),
    ],
)
def test_a_cell_that_is_turned_or_reduced_is_told(tmp_path, caplog, vectors, said):
    caplog.set_level("INFO")
    atoms = ase.Atoms("Cu2", [[0, 0, 0], [1, 1, 1]], cell=vectors, pbc=True)
    ase.io.write(tmp_path / "POSCAR", atoms, format="vasp")
    box = nm(read_coordinates(tmp_path / "POSCAR").topology.getPeriodicBoxVectors())
    assert said in caplog.text and bool(caplog.text) == bool(said)
    # the vectors that are used span the lattice of those that are turned
    turned = standard_vectors(turn(np.zeros((1, 3)), np.array(vectors) / 10)[1])
    numbers = box @ np.linalg.inv(turned)
    np.testing.assert_allclose(numbers, np.rint(numbers), atol=1e-6)
    assert abs(np.linalg.det(numbers)) == pytest.approx(1)


def test_a_poscar_without_elements_asks(tmp_path, monkeypatch):
    """ASE takes them from the comment, or from a POTCAR that lies beside it."""
    (tmp_path / "POTCAR").write_text(" TITEL  = PAW_PBE Mg\n TITEL  = PAW_PBE S\n")
    lines = ["Ca O", "1.0", "4 0 0", "0 4 0", "0 0 4", "1 1", "Direct", "0 0 0"]
    text = "\n".join([*lines, "0.5 0.5 0.5", ""])
    with pytest.raises(ValueError, match=r"--elements '1=...,2=...'"):
        read(tmp_path / "POSCAR", text)
    found = read(tmp_path / "POSCAR", text, {"1": "Na", "2": "Cl"})
    assert [a.element.symbol for a in found.topology.atoms()] == ["Na", "Cl"]
    np.testing.assert_allclose(nm(found.positions)[1], 0.2)
    fixed = text.replace("Direct", "Selective dynamics\nDirect")
    fixed = fixed.replace("0 0 0\n", "0 0 0 F F F\n").replace("0.5\n", "0.5 T T T\n")
    with pytest.warns(UserWarning, match="fixes move like all others"):
        read(tmp_path / "POSCAR", fixed, {"1": "Na", "2": "Cl"})


def test_types_of_lammps_are_told_by_masses(tmp_path):
    """In the order of the numbers, whole across the border, with the bonds."""
    path = tmp_path / "x.data"
    with pytest.warns(UserWarning, match="velocities"):
        found = read(path, DATA.format(units="real", style=" # full"))
    assert [a.element.symbol for a in found.topology.atoms()] == ["O", "H", "H"]
    assert [(a.index, b.index) for a, b in found.topology.bonds()] == [(0, 1), (0, 2)]
    np.testing.assert_allclose(nm(found.positions)[0], [-0.01, 0, 0], atol=1e-9)
    bare = DATA.format(units="real", style="")
    with pytest.raises(ValueError, match=r"--atom-style full.*found none"):
        read(path, bare)
    with pytest.raises(ValueError, match="atom_style charge that ase can read"):
        read(path, bare, atom_style="charge")
    with pytest.raises(ValueError, match="the atom_style full that the file states"):
        read(path, DATA.format(units="real", style=" # full"), atom_style="bond")
    with pytest.raises(ValueError, match=r"units real or metal.*found units = lj"):
        read(path, DATA.format(units="lj", style=" # full"))
    beads = DATA.format(units="real", style=" # full").replace("15.9994", "14.03")
    with pytest.raises(ValueError, match=r"--elements '1=...'"):
        read(path, beads)


def test_a_frame_is_chosen(tmp_path):
    frames = [ase.Atoms("Li", [[x, 0, 0]], cell=[4, 4, 4], pbc=True) for x in (0, 1, 2)]
    path = tmp_path / "x.extxyz"
    ase.io.write(path, frames)
    with pytest.raises(ValueError, match=r"--frame N.*found 3 frames"):
        read_coordinates(path)
    assert nm(read_coordinates(path, frame=-1).positions)[0, 0] == pytest.approx(0.2)
    with pytest.raises(ValueError, match="of 3, which are counted"):
        read_coordinates(path, frame=3)
    (tmp_path / "x.gro").write_text("x\n1\n    1NA     NA    1   0.0   0.0   0.0\n")
    with pytest.raises(ValueError, match="found GROMACS gro"):
        read_coordinates(tmp_path / "x.gro", frame=0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("POSCAR", "poscar"), ("CONTCAR.relaxed", "poscar"), ("x.vasp", "poscar")),
        *(("XDATCAR", "xdatcar"), ("data.nacl", "lammps-data"), ("x.PDB", "pdb")),
        *(("dump.nacl", "lammps-dump"), ("x.rst7", "inpcrd"), ("data.x.pdb", "pdb")),
        *(("x.pdb.gz", "pdb"), ("POSCARD", ""), ("nvt", "")),
    ],
)
def test_formats_by_names(name, kind):
    assert format_of(name) == kind


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("x.top", "%VERSION  VERSION_STAMP = V0001\n", "prmtop"),
        ("x.top", "; water\n[ defaults ]\n", "top"),
        ("x.crd", "* title\n*\n", "crd"),
        ("x.crd", "title\n    3\n", "inpcrd"),
        ("x.cif", "data_x\n_atom_site.id\n", "mmcif"),
        ("x.cif", "data_x\n_atom_site_label\n", "cif"),
    ],
)
def test_formats_of_shared_endings(tmp_path, name, text, kind):
    (tmp_path / name).write_text(text)
    assert format_of(tmp_path / name) == kind
