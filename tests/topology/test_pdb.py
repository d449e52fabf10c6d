# SPDX-License-Identifier: MIT
"""Records of PDB files: each is an atom, unless it is an alternative of one."""

import numpy as np
import pytest

from openmm_allegro.topology.names import SITE
from openmm_allegro.topology.pdb import parse_pdb


def atom(serial, name, residue, number, tail="", *, letter=" ", chain="A", x=0.0):
    """A record; the tail begins in column 73."""
    return (
        f"ATOM  {serial:>5} {name:<4}{letter}{residue:<4}{chain}{number:>4}    "
        f"{x:8.3f}{0:8.3f}{0:8.3f}  1.00  0.00      {tail}\n"
    )


@pytest.mark.parametrize(
    ("tail", "name", "element"),
    [
        ("     C", "CA", "C"),
        ("    NA", "NA", "Na"),
        ("    na", "NA", "Na"),
        ("    C ", "CA", "C"),  # left-justified
        ("    NA1+", "NA", "Na"),
        ("     O2-", "O", "O"),
        ("HETANA", "NA", "Na"),  # a segment of four letters before
        ("    EP", "M", SITE),
        ("    VS", "M", SITE),
        # shifted by one, to either side, and parts of longer names of segments
        ("     NA", "NA", None),
        ("   NA", "NA", None),
        ("   SI", "SI", None),
        ("WATER", "O", None),
        ("SOLUTE", "C1", None),
        ("MEMBRANE", "C1", None),
        ("1ABC 123", "CA", None),
        ("    ??", "CA", None),
        ("", "CA", None),
    ],
)
def test_columns_of_the_element(tail, name, element):
    records = parse_pdb([atom(1, name, "LIG", 1, tail)], "x.pdb")
    assert records.stated == [element]


def test_a_box_in_one_residue_named_by_elements():
    """As ASE writes it: every record is an atom."""
    lines = [atom(i + 1, "Na" if i % 2 else "Cl", "MOL", 1) for i in range(320)]
    records = parse_pdb(lines, "x.pdb")
    assert len(records.names) == 320
    assert len(records.residues) == 1
    assert not records.left_out


@pytest.mark.parametrize("names", ["O H1 H2", "O H H", "H H O", "OW HW1 HW2 MW"])
@pytest.mark.parametrize("number", ["1", "****"])
def test_waters_of_one_number(names, number):
    """Molecules that are known are told apart, and bonded whatever atoms are called."""
    names = names.split()
    lines = [atom(i + 1, name, "HOH", number) for i, name in enumerate(names * 3)]
    records = parse_pdb(lines, "x.pdb")
    assert len(records.residues) == 3
    assert len(records.bonds) == 6
    residues = np.array(records.residue_of)
    assert (residues[records.bonds[:, 0]] == residues[records.bonds[:, 1]]).all()


def test_ions_of_one_number():
    lines = [atom(i + 1, "SOD", "SOD", 1) for i in range(4)]
    assert len(parse_pdb(lines, "x.pdb").residues) == 4


def test_alternate_locations():
    lines = [
        atom(1, "N", "SER", 1),
        atom(2, "CB", "SER", 1, letter="A", x=1.0),
        atom(3, "CB", "SER", 1, letter="B", x=2.0),
        atom(4, "OG", "SER", 1, letter="A"),
        atom(5, "OG", "SER", 1, letter="B"),
        atom(6, "N", "GLY", 2, letter="A"),
        atom(7, "N", "ALA", 2, letter="B"),  # another residue in its place
        atom(8, "CB", "ALA", 2, letter="B"),
        atom(9, "N", "GLY", 3),
    ]
    records = parse_pdb(lines, "x.pdb")
    assert records.names == ["N", "CB", "OG", "N", "N"]
    assert records.positions[1, 0] == pytest.approx(0.1)
    assert records.left_out == {"B": 4}
    assert "left out were 4 of B" in records.remarks[0]


def test_insertion_codes_and_chains():
    lines = [
        atom(1, "CA", "GLY", "52"),
        atom(2, "CA", "GLY", "52").replace("  52 ", "  52A"),
        "TER\n",
        atom(3, "CA", "GLY", "52"),
        atom(4, "CA", "GLY", "52", chain="B"),
    ]
    records = parse_pdb(lines, "x.pdb")
    assert [r.insertion for r in records.residues] == ["", "A", "", ""]
    assert records.chains == ["A", "A", "B"]


@pytest.mark.parametrize(
    "serials",
    [
        ["99999", "A0000", "A0001"],  # hex of OpenMM, or hybrid-36
        ["99999", "186a0", "186a1"],  # VMD's
        ["99999", "A000Z", "A0010"],  # hybrid-36
    ],
)
def test_bonds_of_large_numbers(serials):
    lines = [atom(s, name, "LIG", 1) for s, name in zip(serials, "OAB", strict=True)]
    lines += ["END\n", f"CONECT{serials[0]}{serials[1]}{serials[2]}\n"]
    lines += [f"CONECT{serials[1]}{serials[0]}\n"]
    assert parse_pdb(lines, "x.pdb").bonds.tolist() == [[0, 1], [0, 2]]


def test_bonds_of_numbers_that_several_atoms_have():
    lines = [atom(1, "O", "LIG", 1), atom(1, "H", "LIG", 1), atom(2, "H", "LIG", 1)]
    with pytest.raises(ValueError, match="one atom each in CONECT records, found '1'"):
        parse_pdb([*lines, "CONECT    1    2\n"], "x.pdb")
    assert len(parse_pdb([*lines, "CONECT    2    2\n"], "x.pdb").bonds) == 0


def test_models():
    lines = [atom(1, "C", "LIG", 1), atom(2, "O", "LIG", 1), "ENDMDL\n"]
    records = parse_pdb(["MODEL 1\n", *lines, "MODEL 2\n", *lines, "END\n"], "x.pdb")
    assert (len(records.names), records.models) == (2, 2)
    # two structures put together with an END left between
    with pytest.raises(ValueError, match="END after 2 atoms and 1 behind it"):
        parse_pdb([*lines[:2], "END\n", lines[0], "END\n"], "x.pdb")


def test_box():
    cryst = "CRYST1   20.000   30.000   40.000  90.00  90.00 120.00 P 1           1\n"
    records = parse_pdb([cryst, atom(1, "C", "LIG", 1)], "x.pdb")
    np.testing.assert_allclose(records.cell, [2, 3, 4, 90, 90, 120])
    with pytest.raises(ValueError, match="six numbers in CRYST1"):
        parse_pdb([cryst.replace("30.000", "??????")], "x.pdb")


def test_lines_that_are_no_records():
    with pytest.raises(ValueError, match=r"x.pdb: expected an atom .* in line 1"):
        parse_pdb([atom(1, "C", "LIG", 1)[:40] + "\n"], "x.pdb")
    for line in ("ATOM 1 C LIG 1 0.0 0.0 0.0\n", "ATOM 100000  C   LIG\n", "atom  \n"):
        with pytest.raises(ValueError, match="in columns 1-6 of line 2"):
            parse_pdb([atom(1, "C", "LIG", 1), line], "x.pdb")
    with pytest.raises(ValueError, match="found no ATOM"):
        parse_pdb(["END\n"], "x.pdb")


def test_other_molecules_in_residues_of_waters():
    """Hydronium as HOH, ethanol as SOL, heavy water as DOD."""
    for residue, names, bonds in (
        ("HOH", ("O", "H1", "H2", "H3"), [[0, 1], [0, 2], [0, 3]]),
        ("SOL", ("C1", "C2", "O", "H1", "H2", "H3", "H4", "H5", "H6"), []),
        ("DOD", ("O", "D1", "D2"), [[0, 1], [0, 2]]),
    ):
        lines = [
            atom(i, f" {name}", residue, 1, f"    {name[0]:>2}")
            for i, name in enumerate(names, start=1)
        ]
        records = parse_pdb(lines, "x.pdb")
        assert records.residue_of == [0] * len(names)
        assert records.bonds.tolist() == bonds


def test_numbers_of_lines_are_no_charges():
    lines = [atom(i, " CA ", "GLY", i, f"1ABC{i:4d}") for i in (1, 2)]
    assert parse_pdb(lines, "x.pdb").charges == [None, None]
