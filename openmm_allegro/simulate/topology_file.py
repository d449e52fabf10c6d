# SPDX-License-Identifier: MIT
"""Write a topology so that it is read back as it was, of whatever size."""

import io
import itertools
from pathlib import Path
from typing import Any

from openmm import app

from ..topology.names import is_water, known_element
from ..utils.files import replace_file

# Serial numbers that OpenMM has texts for, in hex from 100,000 on.
_MOST_SERIALS = 493_215
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def write_topology(path: Path, topology: app.Topology, positions: Any) -> None:
    """Write a PDB file with all bonds, which `read_coordinates` reads back.

    Unlike OpenMM's writer it keeps names of residues of four letters, numbers residues
    anew where neighbours could not be told apart, lists bonds between standard residues
    and has serial numbers for more than 493,215 atoms, as hybrid-36.

    Parameters
    ----------
    path : Path
    topology : openmm.app.Topology
    positions : [N, 3] Quantity
    """
    model = io.StringIO()
    app.PDBFile.writeModel(topology, positions, model, keepIds=True)
    lines = model.getvalue().splitlines()
    lines = _with_names(lines, topology)
    if len(lines) > _MOST_SERIALS:
        lines = [
            f"{line[:6]}{_hybrid_36(number)}{line[11:]}"
            for number, line in enumerate(lines, start=1)
        ]
    serials = [line[6:11] for line in lines if not line.startswith("TER")]
    header = io.StringIO()
    app.PDBFile.writeHeader(topology, header)
    content = [header.getvalue().rstrip("\n"), *lines, *_bonds(topology, serials)]
    replace_file(path, "\n".join([*content, "END", ""]))


def _with_names(lines: list[str], topology: app.Topology) -> list[str]:
    """Give records names of residues in full, and numbers that tell them apart."""
    distinct = _are_distinct(topology)
    records = iter(lines)
    written = []
    for chain in topology.chains():
        residues = list(chain.residues())
        for residue in residues:
            count = len(list(residue.atoms()))
            last = residue is residues[-1]
            for _ in range(count + last):
                line = next(records)
                line = f"{line[:17]}{residue.name[:4]:>3}".ljust(21) + line[21:]
                if not distinct:
                    line = f"{line[:22]}{residue.index % 9999 + 1:4d} {line[27:]}"
                written.append(line)
    return written


def _are_distinct(topology: app.Topology) -> bool:
    """Tell whether the numbers of all neighbouring residues differ."""
    for chain in topology.chains():
        ids = [(r.id[:4], r.insertionCode, len(r.id) > 4) for r in chain.residues()]
        for first, second in itertools.pairwise(ids):
            # OpenMM writes the index in the place of a longer one.
            if first == second and not first[2]:
                return False
    return True


def _bonds(topology: app.Topology, serials: list[str]) -> list[str]:
    """CONECT records of all bonds but those of waters, which every reader knows."""
    partners: dict[int, list[int]] = {}
    for first, second in topology.bonds():
        if first.residue is second.residue and _is_water_bond(first, second):
            continue
        partners.setdefault(first.index, []).append(second.index)
        partners.setdefault(second.index, []).append(first.index)
    return [
        "CONECT"
        + serials[atom]
        + "".join(serials[i] for i in bonded[start : start + 4])
        for atom, bonded in sorted(partners.items())
        for start in range(0, len(bonded), 4)
    ]


def _is_water_bond(first: app.topology.Atom, second: app.topology.Atom) -> bool:
    """Tell whether a bond is that of O and H in a water, as their names say."""
    residue = first.residue.name[:4]
    symbols = {known_element(atom.name[:4], residue) for atom in (first, second)}
    return is_water(residue) and symbols == {"O", "H"}


def _hybrid_36(number: int) -> str:
    """Text of five characters for a number: decimal, then from A0000 on."""
    if number < 100_000:
        return f"{number:5d}"
    number += 10 * 36**4 - 100_000
    lower = number >= 36**5
    if lower:
        number -= 26 * 36**4
    text = ""
    for _ in range(5):
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text.lower() if lower else text
