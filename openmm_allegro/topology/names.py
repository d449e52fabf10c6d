# SPDX-License-Identifier: MIT
"""The table of names: which element an atom of a known residue is.

It holds ions, waters, amino acids and nucleotides as CHARMM, Amber, GROMACS and OPLS
name them. In any other residue the name of an atom says nothing: CA is calcium or a
carbon, C1 a carbon or a bead, NE nitrogen or neon.
"""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

# Atoms of a group that a sentence names.
_SHOWN = 3
# Stands for what has no element: virtual sites, lone pairs and Drude particles.
SITE = "EP"
SYMBOLS = tuple(
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn "
    "Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce "
    "Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At "
    "Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn "
    "Nh Fl Mc Lv Ts Og".split()
)
_UPPER = {symbol.upper(): symbol for symbol in (*SYMBOLS, "D")}

# Names of ions that are not their element's symbol, as CHARMM and older files have.
_IONS = {
    "SOD": "Na", "POT": "K", "CES": "Cs", "RUB": "Rb", "LIT": "Li", "CLA": "Cl",
    "CAL": "Ca", "MGA": "Mg", "CAD": "Cd", "BAR": "Ba", "ZN2": "Zn", "FE2": "Fe",
    "FE3": "Fe", "MG2": "Mg", "CA2": "Ca", "MN2": "Mn", "CU1": "Cu", "CU2": "Cu",
    "IOD": "I", "BRO": "Br", "FLU": "F", "CHL": "Cl",
}  # fmt: skip
# Heavier elements than these are no ions of anybody's: CN is cyanide.
_HEAVIEST = 94
# Residues of single atoms of any kind: their atom's name alone says which.
_ION_RESIDUES = ("ION", "IONS", "Ion")
# Residues that are called as their atom and are none of that element: Martini's water.
_NO_ELEMENT = ("W",)

WATERS = frozenset(
    "HOH WAT H2O H20 SOL DOD TIP TIP2 TIP3 TIP4 TIP5 TP3 TP4 TP5 T3P T4P T5P T3H T4E "
    "TP4E TIP3P TIP4P TIP5P TP3M TIPS SPC SPCE SPC/E OPC OPC3 HO4 HO5 SWM SWM4 SWM6 "
    "SWD4 FB3 FB4".split()
)
_WATER_SITES = re.compile(r"(M|MW\d?|EP\d?|EPW\d?|OM|IW|LP\w?\d?|DOH2|DO|DW|DOW)$")
_OF_WATER = re.compile(r"(O|OW|OH2|OH|O1|OW1|H|H[1-3]|HW|HW\d|H1[12]|HH\d|D[12]?)$")

AMINO_ACIDS = frozenset(
    "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL "
    "HID HIE HIP HSD HSE HSP HISA HISB HISD HISE HISH HIS1 HIS2 HISP ASH ASPH ASPP GLH "
    "GLUH GLUP LYN LYSH LSN LYP ARGN CYX CYM CYN CYSH CYS1 CYS2 CYSS MSE SEC PYL HYP "
    "ACE NME NMA NAC NH2 NHE FOR ACEX CT3 CT2 ABA AIB ORN NLE NVA SEP TPO PTR".split()
)
NUCLEOTIDES = frozenset(
    "A C G U I T DA DC DG DT DU DI ADE CYT GUA URA THY RA RC RG RU DAD DCY DGU".split()
)
_TERMINAL_ACID = re.compile(r"[NC]([A-Z]{3})$")
_TERMINAL_BASE = re.compile(r"([DR]?[ACGTU])[35N]$")
# Names of atoms in them, without digits before; the first letter is the element.
_OF_ACID = re.compile(
    r"(C|CA|CB|C[GDEZH]\d?|CH3|CM|CAY|CY|CAT|CT\d?|N|NT|N[DEZH]\d?|O|O[GDEHY]\d?|OXT"
    r"|O[TC]?\d|OCT\d|S[GD]\d?|P|O\dP|H(|N|T|NT|XT|C|O|Y|[ABGDEZH])\d{0,3})$"
)
_OF_BASE = re.compile(
    r"(P|O[123]P|OP[123]|[CO]\d['*]|C[1-9]|C5M|N[1-9]|O[1-9]|O5T|O3T"
    r"|H(\d{0,2}['*\"]{0,2}\d?|O\d['*]?|[35]T|N\d{1,2}|5M\d|O'\d))$"
)
_ACID_SITES = re.compile(r"(LP\w{0,2}|M(CH3|NH3?|TRP|C\w{0,2}|N\w{0,2})\d?)$")


def is_symbol(text: str) -> bool:
    """Tell whether a text is the symbol of an element, as ``Na``."""
    return text in _UPPER.values()


def symbol_of(text: str) -> str | None:
    """Find the symbol that a text of any case is: ``NA`` is ``Na``."""
    return _UPPER.get(text.strip().upper())


def is_water(residue: str) -> bool:
    """Tell whether a residue is a water of any model."""
    return residue.upper() in WATERS


def is_polymer(residue: str) -> bool:
    """Tell whether a residue is an amino acid, a nucleotide or a cap."""
    name = residue.upper()
    if name in AMINO_ACIDS or residue in NUCLEOTIDES:
        return True
    acid, base = _TERMINAL_ACID.match(name), _TERMINAL_BASE.match(residue)
    return bool(acid and acid[1] in AMINO_ACIDS) or bool(base)


def is_known(residue: str) -> bool:
    """Tell whether the table holds a residue."""
    return is_water(residue) or is_polymer(residue) or _ion(residue) is not None


@lru_cache(maxsize=65536)
def known_element(name: str, residue: str, monatomic: bool = False) -> str | None:
    """Look up the element of an atom by its name and its residue's.

    Parameters
    ----------
    name, residue : str
        As ``"CA"`` and ``"GLY"``, a carbon, or ``"CA"`` and ``"CA"``, calcium.
    monatomic : bool
        Whether the atom is the only one of its residue.

    Returns
    -------
    str or None
        A symbol, `SITE` where the atom has no element, or None where it is not known.
    """
    if is_water(residue):
        return _of_water(name.upper())
    ion = _ion(residue)
    if residue in _ION_RESIDUES and monatomic:
        return _ion(name)
    if ion is not None and _ion(name.rstrip("0123456789") or name) == ion:
        return ion
    if ion is not None and _ion(name) == ion:
        return ion
    return _of_polymer(name.upper(), residue) if is_polymer(residue) else None


def is_drude(name: str, others: Collection[str]) -> bool:
    """Tell whether a name is that of the Drude particle of another atom.

    Parameters
    ----------
    name : str
        As ``"DC1"`` beside ``"C1"``.
    others : collection of str
        Names in the residue.
    """
    return len(name) > 2 and name[0] == "D" and name[1:] in others


def _ion(name: str) -> str | None:
    """Element of an ion by the name of it or of its residue: ``Na+``, ``SOD``."""
    if name in _NO_ELEMENT:
        return None
    bare = re.sub(r"(\d?[+-]{1,2}|[+-]\d)$", "", name.strip())
    symbol = symbol_of(bare)
    if symbol is not None and symbol not in SYMBOLS[:_HEAVIEST]:
        return None
    return _IONS.get(bare.upper()) or symbol


def _of_water(name: str) -> str | None:
    if _WATER_SITES.match(name):
        return SITE
    bare = name.lstrip("0123456789")
    return bare[0] if _OF_WATER.match(bare) else None


def _of_polymer(name: str, residue: str) -> str | None:
    bare = name.lstrip("0123456789")
    if residue in NUCLEOTIDES or _TERMINAL_BASE.match(residue):
        return bare[0] if _OF_BASE.match(bare) else None
    if bare == "SE":
        return "Se"
    if _ACID_SITES.match(bare):
        return SITE
    return bare[0] if _OF_ACID.match(bare) else None


def name_atom(residue: str, number: int | str, atom: str) -> str:
    """Name an atom by its residue: ``ALA2:CA``."""
    return f"{residue}{number}:{atom}"


def name_groups(groups: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Name the points of a collective variable, each by its atom or its first ones.

    Parameters
    ----------
    groups : sequence of sequences of int
        Atoms of each point.
    names : sequence of str
        Of all atoms, see `name_atom`.

    Returns
    -------
    str
        As ``"ACE1:C–ALA2:N–ALA2:CA–ALA2:C"``, and of groups
        ``"(ACE1:C, ALA2:N and 3 more)–ALA2:C"``.
    """
    words = []
    for group in groups:
        each = [names[i] if i < len(names) else f"atom {i}" for i in group]
        text = ", ".join(each[:_SHOWN])
        text += f" and {len(each) - _SHOWN} more" if len(each) > _SHOWN else ""
        words.append(text if len(each) == 1 else f"({text})")
    return "–".join(words)
