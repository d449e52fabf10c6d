# SPDX-License-Identifier: MIT
"""Read the atoms of a PDB file, each ATOM record one atom unless it is an alternative.

Files of simulation codes break the format in ways that libraries take for something
else: all atoms in one residue, named by their elements (ASE), serial numbers in hex,
hybrid-36 or as stars above 99,999, no element columns, or a segment's name in them.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np

from .names import SITE, is_known, is_water, known_element, symbol_of
from .records import Records, ResidueRecord, open_text

# What writers put in the place of an element for a virtual site.
_SITES = ("EP", "VS", "LP", "XX", "X")
_CHARGE = re.compile(r"(\d?[+-]|[+-]\d|\d|)$")


def read_pdb(path: str | Path) -> Records:
    """Read the first model of a PDB file.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If a record cannot be read, or CONECT records name no single atom.
    """
    with open_text(path) as file:
        return parse_pdb(file, str(path))


def parse_pdb(lines: Iterable[str], where: str) -> Records:
    """Read the first model of the lines of a PDB file, see `read_pdb`."""
    reader, connections = _Reader(), []
    # Records of atoms in each part of the file that MODEL or END begin or end.
    counts, named = [0], False
    for number, line in enumerate(lines, start=1):
        kind = line[:6]
        if kind in ("ATOM  ", "HETATM"):
            counts[-1] += 1
            if len(counts) > 1:
                continue
            try:
                reader.add(line)
            except (ValueError, IndexError) as error:
                raise ValueError(
                    f"{where}: expected an atom in columns of the PDB format in line "
                    f"{number}, found {line.rstrip()!r} ({error})"
                ) from None
        elif kind == "CONECT":
            connections.append(line)
        elif kind == "CRYST1":
            reader.records.cell = _cell(line, where)
        elif line.startswith(("MODEL", "END")):
            named = named or line.startswith("MODEL")
            if counts[-1]:
                counts.append(0)
        elif line.startswith("TER") and len(counts) == 1:
            reader.end_chain()
        elif line[:4].upper() == "ATOM" or kind.upper() == "HETATM":
            raise ValueError(
                f"{where}: expected ATOM or HETATM, or blanks after it, in columns 1-6 "
                f"of line {number}, found {line.rstrip()!r}"
            )
    counts = [count for count in counts if count]
    if not named and len(set(counts)) > 1:
        raise ValueError(
            f"{where}: expected one structure, or frames of as many atoms, found END "
            f"after {counts[0]} atoms and {sum(counts[1:])} behind it; remove what is "
            "not to be read, or the END between"
        )
    return reader.finish(connections, len(counts), where)


class _Reader:
    """Collects atoms, and knows the residue that it is in."""

    def __init__(self) -> None:
        self.records = Records()
        self._positions: list[tuple[float, float, float]] = []
        self._serials: dict[str, int] = {}
        self._twice: set[str] = set()
        self._chain: str | None = None
        self._place: tuple[str, str] | None = None
        self._residue, self._is_water = "", False
        self._members: dict[str, str] = {}
        self._counts: Counter[str | None] = Counter()

    def add(self, line: str) -> None:
        """Read an ATOM or HETATM record."""
        records = self.records
        name, letter = line[12:16].strip(), line[16]
        residue = line[17:21].strip()
        position = float(line[30:38]), float(line[38:46]), float(line[46:54])
        if self._is_alternative(name, letter, residue, line[21:27]):
            records.left_out[letter] = records.left_out.get(letter, 0) + 1
            return
        self._enter(name, letter, residue, line)
        serial = line[6:11].strip()
        if serial in self._serials:
            self._twice.add(serial)
        self._serials[serial] = len(records.names)
        element, charge = _element(line[75:80], line[12:16])
        number = int(serial) if serial.isdecimal() else len(records.names) + 1
        records.serials.append(number)
        records.names.append(name)
        records.residue_of.append(len(records.residues) - 1)
        records.stated.append(element)
        records.charges.append(charge)
        self._positions.append(position)
        self._members[name] = letter
        if self._is_water:
            self._counts[known_element(name, residue)] += 1

    def end_chain(self) -> None:
        """Note a TER record."""
        self._chain = self._place = None

    def finish(self, connections: list[str], models: int, where: str) -> Records:
        """Add bonds and positions."""
        records = self.records
        if not records.names:
            raise ValueError(
                f"{where}: expected a PDB file with atoms, found no ATOM or HETATM"
            )
        records.positions = 0.1 * np.array(self._positions).reshape(-1, 3)
        records.models = models
        bonds = [*water_bonds(records), *self._connected(connections, where)]
        pairs = sorted({(min(bond), max(bond)) for bond in bonds})
        records.bonds = np.array(pairs, dtype=int).reshape(-1, 2)
        return records

    def _is_alternative(self, name: str, letter: str, residue: str, place: str) -> bool:
        """Tell whether a record is another location of an atom, or of a residue."""
        if letter == " " or self._place != (self._chain, place[1:]):
            return False
        if place[0] != self._chain:
            return False
        if residue != self._residue:  # another residue at the same place
            return letter not in self._members.values()
        return self._members.get(name, letter) != letter

    def _enter(self, name: str, letter: str, residue: str, line: str) -> None:
        """Begin a chain or a residue where the record is of another one."""
        records, chain, number = self.records, line[21], line[22:27]
        if chain != self._chain:
            records.chains.append(chain.strip())
            self._chain, self._place = chain, None
        same = self._place == (chain, number) and residue == self._residue
        if same and not self._is_repeated(name, residue, number):
            return
        self._place, self._residue, self._members = (chain, number), residue, {}
        self._is_water, self._counts = is_water(residue), Counter()
        before = records.residues[-1].number if records.residues else 0
        records.residues.append(
            ResidueRecord(
                residue,
                _number(number[:4], before),
                number[4].strip(),
                line[72:76].strip(),
                len(records.chains) - 1,
            )
        )

    def _is_repeated(self, name: str, residue: str, number: str) -> bool:
        """Tell whether an atom begins another residue of the same name and number.

        Molecules that are known have each name once, or waters H twice. Others may be
        a whole box of atoms in one residue, as ASE writes it.
        """
        if self._is_water:
            element = known_element(name, residue)
            most = {"O": 1, "H": 2, "D": 2, SITE: 2}.get(element, 99)
            again = element == "O" or name in self._members
            return again and self._counts[element] >= most
        if name not in self._members:
            return False
        return is_known(residue) or "*" in number

    def _connected(
        self, connections: list[str], where: str
    ) -> Iterable[tuple[int, int]]:
        """Bonds of the CONECT records, whose numbers are compared as texts."""
        bonds = []
        for line in connections:
            line = line.rstrip("\n")
            fields = [line[i : i + 5].strip() for i in (6, 11, 16, 21, 26)]
            several = self._twice.intersection(fields)
            if several:
                raise ValueError(
                    f"{where}: expected serial numbers of one atom each in CONECT "
                    f"records, found {several.pop()!r} at several atoms; write the "
                    "topology as PDBx/mmCIF, or leave the CONECT records out"
                )
            atoms = [self._serials[f] for f in fields if f in self._serials]
            if atoms and fields[0] in self._serials:
                bonds += [(atoms[0], other) for other in atoms[1:] if other != atoms[0]]
        return bonds


def water_bonds(records: Records) -> list[tuple[int, int]]:
    """List the bonds of waters, whatever their atoms are called.

    Other solvents are called SOL too; they have atoms that no water has.
    """
    waters = [is_water(residue.name) for residue in records.residues]
    oxygens: dict[int, int] = {}
    hydrogens: list[tuple[int, int]] = []
    for index, place in enumerate(records.residue_of):
        if waters[place]:
            residue = records.residues[place].name
            element = known_element(records.names[index], residue)
            if element == "O":
                oxygens[place] = index
            elif element in ("H", "D"):
                hydrogens.append((place, index))
            elif element is None:
                waters[place] = False
    return [(oxygens[p], i) for p, i in hydrogens if waters[p] and p in oxygens]


@lru_cache(maxsize=65536)
def _element(text: str, name: str) -> tuple[str | None, int | None]:
    """Element in columns 77-78 and charge in 79-80; None where there is none.

    Columns that hold a part of something else, such as the end of a longer name of a
    segment or an element that was shifted, state nothing.

    Parameters
    ----------
    text : str
        Columns 76 to 80.
    name : str
        Of the atom.
    """
    text = text.rstrip("\r\n").ljust(5)
    before, symbol, charge = text[0], text[1:3], text[3:].strip()
    if not _CHARGE.match(charge):
        return None, None
    number = None
    if charge:
        digits = re.sub(r"[+-]", "", charge) or "1"
        number = -int(digits) if "-" in charge else int(digits)
    if symbol.strip().upper() in _SITES:
        return SITE, number
    element = symbol_of(symbol)
    if element is None:
        return None, None
    if symbol[0] == " " or before == " ":
        return element, number
    fits = name.strip().upper().startswith(element.upper())
    return (element if len(element) == 2 and fits else None), number


def _number(text: str, before: int) -> int:
    """Number of a residue: decimal, in hex from 10,000 on, or the next one."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return int(text, 16) - 0xA000 + 10000
    except ValueError:
        return before + 1


def _cell(line: str, where: str) -> np.ndarray | None:
    """Lengths in nm and angles of a CRYST1 record; None of one that is a dummy of 0.

    One that is impossible is taken as it is: an analysis does not need it.
    """
    edges = ((6, 15), (15, 24), (24, 33), (33, 40), (40, 47), (47, 54))
    try:
        cell = np.array([float(line[i:j]) for i, j in edges])
    except ValueError:
        raise ValueError(
            f"{where}: expected six numbers in CRYST1, found {line.rstrip()!r}"
        ) from None
    cell[:3] *= 0.1
    return cell if cell[:3].any() else None
