# SPDX-License-Identifier: MIT
"""Elements by the table of names, and questions where a name is all there is."""

import pytest

from openmm_allegro.topology.elements import (
    ATOMIC_NUMBERS,
    COVALENT_RADII,
    NamesUnclear,
    Naming,
    covalent_radii,
    find_elements,
)
from openmm_allegro.topology.names import SITE, SYMBOLS, is_drude, known_element


@pytest.mark.parametrize(
    ("name", "residue", "element"),
    [
        # CHARMM's ions
        *(("SOD", "SOD", "Na"), ("POT", "POT", "K"), ("CES", "CES", "Cs")),
        *(("CLA", "CLA", "Cl"), ("CAL", "CAL", "Ca"), ("LIT", "LIT", "Li")),
        *(("RUB", "RUB", "Rb"), ("ZN", "ZN2", "Zn"), ("BAR", "BAR", "Ba")),
        *(("CAD", "CAD", "Cd"), ("MG", "MG", "Mg")),
        # Amber's
        *(("Na+", "Na+", "Na"), ("Cl-", "Cl-", "Cl"), ("K+", "K+", "K")),
        *(("Li+", "Li+", "Li"), ("NA", "NA", "Na"), ("CL", "CL", "Cl")),
        *(("Cs+", "Cs+", "Cs"), ("BR", "BR", "Br"), ("I-", "I-", "I")),
        # GROMACS's and OPLS's
        *(("NA", "NA", "Na"), ("NA+", "NA+", "Na"), ("CL-", "CL", "Cl")),
        *(("K", "K", "K"), ("CA", "CA", "Ca"), ("LI", "LI", "Li")),
        *(("CU1", "CU1", "Cu"), ("ZN", "ZN", "Zn"), ("F", "F", "F")),
        # the same names elsewhere
        *(("CA", "GLY", "C"), ("CD", "GLU", "C"), ("CE", "LYS", "C")),
        *(("NE", "ARG", "N"), ("ND1", "HIS", "N"), ("HG", "SER", "H")),
        *(("HE2", "NGLN", "H"), ("SG", "CYX", "S"), ("SD", "MET", "S")),
        *(("HO5'", "DA5", "H"), ("O1P", "RU3", "O"), ("C1'", "DG", "C")),
        *(("1HB", "ALA", "H"), ("SE", "MSE", "Se"), ("CD", "CD", "Cd")),
        *(("HG", "HG", "Hg"), ("MCH3", "ALA", SITE)),
        # waters with their sites
        *(("OW", "SOL", "O"), ("HW2", "SOL", "H"), ("MW", "SOL", SITE)),
        *(("OH2", "TIP3", "O"), ("EPW", "WAT", SITE), ("OM", "SWM4", SITE)),
        *(("LP1", "TIP5", SITE), ("DOH2", "SWM4", SITE), ("M", "HOH", SITE)),
        # what nobody knows: a haem's nitrogen, a bead, a carbon or a bead
        *(("NA", "HEM", None), ("W", "W", None), ("C1", "LIG", None)),
        *(("CN", "CN", None), ("CL1", "A", None), ("SOD", "LIG", None)),
    ],
)
def test_known_names(name, residue, element):
    assert known_element(name, residue) == element


def test_residues_of_ions_of_any_kind():
    assert known_element("NA", "ION", True) == "Na"
    assert known_element("NA", "ION", False) is None


def test_drude_particles_belong_to_an_atom():
    assert is_drude("DC1", {"C1", "DC1"})
    assert not is_drude("DC1", {"C2", "DC1"})
    names = ["C1", "DC1"]
    assert find_elements(names, ["LIG"], [0, 0], ["C", None], {}, "x") == ["C", SITE]


def test_an_element_that_would_be_a_guess_is_asked_for():
    names, places = ["C1", "O1", "OW"], [0, 0, 1]
    with pytest.raises(NamesUnclear, match=r"x\.gro: .*2 of them \(C1 in EC, O1 in EC"):
        find_elements(names, ["EC", "SOL"], places, [None] * 3, {}, "x.gro")
    with pytest.raises(NamesUnclear, match=r"--elements 'C1=\.\.\.,O1=\.\.\.'"):
        find_elements(names, ["EC", "SOL"], places, [None] * 3, {}, "x.gro")


@pytest.mark.parametrize(
    "given",
    [
        {"C1": "C", "O1": "O"},
        {"C*": "C", "O*": "O"},
        {"EC:C1": "C", "EC:O*": "O"},
        {"*1": "O", "EC:C1": "C"},  # the more exact one wins
    ],
)
def test_what_is_given_comes_first(given):
    names, residues = ["C1", "O1"], ["EC"]
    found = find_elements(names, residues, [0, 0], [None, None], given, "x")
    assert found == ["C", "O"]
    stated = find_elements(names, residues, [0, 0], ["N", "N"], given, "x")
    assert stated == ["C", "O"]


def test_names_that_are_not_there():
    with pytest.raises(NamesUnclear, match="found SODD; there are SOD"):
        find_elements(["SOD"], ["SOD"], [0], [None], {"SODD": "Na"}, "x")


@pytest.mark.parametrize("symbol", ["NA", "Xx", "", "sodium"])
def test_elements_that_are_none(symbol):
    with pytest.raises(ValueError, match="expected the symbol of an element for SOD"):
        Naming({"SOD": symbol})


def test_a_file_that_contradicts_names():
    """Sodium as sulfur, as another program's guess may have written it."""
    with pytest.raises(NamesUnclear, match=r"found S for SOD in SOD \(Na by its name"):
        find_elements(["SOD"], ["SOD"], [0], ["S"], {}, "x.pdb")
    with pytest.raises(NamesUnclear, match="Ca for CA in GLY"):
        find_elements(["CA"], ["GLY"], [0], ["Ca"], {}, "x.pdb")
    # either may be said to be right; a run's own file is
    for given in ({"SOD": "S"}, {"SOD": "Na"}):
        found = find_elements(["SOD"], ["SOD"], [0], ["S"], given, "x.pdb")
        assert found == [given["SOD"]]
    assert find_elements(["SOD"], ["SOD"], [0], ["S"], {}, "x", own=True) == ["S"]
    # deuterium is hydrogen
    assert find_elements(["H1"], ["HOH"], [0], ["D"], {}, "x") == ["D"]


def test_numbers_and_radii_are_those_of_ase():
    data = pytest.importorskip("ase.data")
    assert [data.atomic_numbers[s] for s in SYMBOLS] == list(ATOMIC_NUMBERS.values())
    assert list(COVALENT_RADII[:97]) == data.covalent_radii[:97].tolist()
    assert len(COVALENT_RADII) == 1 + len(SYMBOLS)
    assert covalent_radii(["O", "H", "Cm"]) == [0.66, 0.31, 1.69]
