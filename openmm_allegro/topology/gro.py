# SPDX-License-Identifier: MIT
"""Read the atoms of a GROMACS gro file, of any number of digits."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .cells import turn
from .pdb import water_bonds
from .records import Records, ResidueRecord, open_text


def read_gro(path: str | Path) -> Records:
    """Read the first frame of a gro file.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If a line cannot be read.
    """
    with open_text(path) as file:
        return parse_gro(file, str(path))


def parse_gro(lines: Iterable[str], where: str) -> Records:
    """Read the first frame of the lines of a gro file, see `read_gro`."""
    lines = iter(lines)
    next(lines, "")
    count = next(lines, "").strip()
    if not count.isdigit() or int(count) < 1:
        raise ValueError(
            f"{where}: expected the number of atoms in line 2 of a gro file, found "
            f"{count!r}"
        )
    records, positions = Records(chains=["A"]), []
    place, moving = None, False
    for number in range(int(count)):
        line = next(lines, "").rstrip("\n")
        try:
            width = line.index(".", line.index(".", 20) + 1) - line.index(".", 20)
            texts = [line[20 + i * width : 20 + (i + 1) * width] for i in range(3)]
            positions.append([float(text) for text in texts])
            residue, name = line[5:10].strip(), line[10:15].strip()
            key = int(line[:5]), residue
        except ValueError as error:
            raise ValueError(
                f"{where}: expected an atom in columns of the gro format in line "
                f"{number + 3}, found {line!r} ({error})"
            ) from None
        moving = moving or len(line.rstrip()) > 20 + 3 * width + 3
        if key != place:
            place = key
            records.residues.append(ResidueRecord(residue, key[0], "", "", 0))
        records.names.append(name)
        records.serials.append(number + 1)
        records.residue_of.append(len(records.residues) - 1)
        records.stated.append(None)
        records.charges.append(None)
    box = next(lines, "").split()
    records.positions = np.array(positions)
    _set_cell(records, box, where)
    bonds = sorted({(min(b), max(b)) for b in water_bonds(records)})
    records.bonds = np.array(bonds, dtype=int).reshape(-1, 2)
    if moving:
        records.more_remarks.append("velocities of the file are left out")
    further = list(itertools.islice(lines, 2))
    if len(further) == 2 and further[1].strip().isdigit():
        records.more_remarks.append("took the first of several frames")
    return records


def _set_cell(records: Records, box: list[str], where: str) -> None:
    """Set the cell, and turn the atoms with one that is not in GROMACS's own form."""
    try:
        values = [float(word) for word in box]
        if len(values) not in (3, 9):
            raise ValueError(f"{len(values)} numbers")
    except ValueError as error:
        raise ValueError(
            f"{where}: expected a box of 3 or 9 numbers in the last line, found "
            f"{' '.join(box) or 'none'} ({error})"
        ) from None
    if not any(values):
        return
    xx, yy, zz, xy, xz, yx, yz, zx, zy = [*values, *[0.0] * 6][:9]
    vectors = np.array([[xx, xy, xz], [yx, yy, yz], [zx, zy, zz]])
    if not abs(np.linalg.det(vectors)) > 0:
        raise ValueError(
            f"{where}: expected box vectors that span a volume, found {' '.join(box)}"
        )
    records.positions, records.cell = turn(records.positions, vectors)
    records.vectors = vectors
