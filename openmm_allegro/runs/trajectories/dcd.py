# SPDX-License-Identifier: MIT
"""Index of DCD, whose frames have one length and no times that can be relied on."""

import struct
from pathlib import Path

import numpy as np

from .index import FrameIndex

# Length of the first record and of a record with a cell.
_HEADER, _CELL = 84, 48
# Reason for a frame at the end that is not all there.
_CUT = "its end is missing"


def index_dcd(path: Path) -> FrameIndex | None:
    """Index a DCD, as CHARMM, NAMD, OpenMM and mdtraj write it.

    The header has a time step, but in the units of each program or none: CHARMM and
    OpenMM write 48.9 fs, LAMMPS its own, VMD 1. So there are no times.

    Returns
    -------
    FrameIndex or None
        None for rarer kinds: with fixed atoms, a fourth dimension, 64-bit records.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8 + _HEADER + 4)
        if len(start) < 8 + _HEADER:
            return FrameIndex(0, damage="the file ends in its header", is_cut=size > 0)
        order = next((o for o in "<>" if _int(start, 0, o) == _HEADER), None)
        if order is None:
            # The records of a 64-bit Fortran begin with 84 as well, in 8 bytes.
            wide = any(struct.unpack_from(f"{o}q", start)[0] == _HEADER for o in "<>")
            reason = "another length of its header"
            return None if wide else FrameIndex(0, damage=reason)
        if start[4:8] != b"CORD":
            if _int(start, 4, order) == 0:
                return None
            return FrameIndex(0, damage="no CORD in its header")
        fixed, of_charmm = (_int(start, 8 + 4 * i, order) for i in (8, 19))
        with_cell, fourth = (
            bool(of_charmm and _int(start, 8 + 4 * i, order)) for i in (10, 11)
        )
        try:
            title = _record(file, 4 + _HEADER + 4, order)
            atoms_at = 4 + _HEADER + 4 + title + 8
            n_bytes = _record(file, atoms_at, order)
            file.seek(atoms_at + 4)
            n_atoms = _int(file.read(4), 0, order)
        except (struct.error, ValueError):
            return FrameIndex(0, damage="impossible records in its header")
        if n_bytes != 4 or not 0 < n_atoms <= size:
            return FrameIndex(0, damage=f"{n_atoms} atoms in its header")
        if fixed or fourth:
            return None
    return _index(path, order, atoms_at + 12, n_atoms, with_cell, size)


def _index(path, order, begin, n_atoms, with_cell, size) -> FrameIndex:
    lengths = [_CELL] * with_cell + [4 * n_atoms] * 3
    frame = sum(lengths) + 8 * len(lengths)
    n, rest = divmod(size - begin, frame)
    if n == 0:
        return FrameIndex(0, damage=_CUT, is_cut=True)
    content = np.memmap(path, np.uint8, "r", begin, (n, frame))
    good, place = np.ones(n, dtype=bool), 0
    for length in lengths:
        for at in (place, place + 4 + length):
            marker = np.ascontiguousarray(content[:, at : at + 4]).view(f"{order}i4")
            good &= marker[:, 0] == length
        place += 8 + length
    if not good.all():
        reason = "other lengths of its records"
        return FrameIndex(int(np.argmin(good)), damage=reason, n_atoms=n_atoms)
    cut = bool(rest)
    return FrameIndex(n, damage=_CUT if cut else "", is_cut=cut, n_atoms=n_atoms)


def _record(file, place: int, order: str) -> int:
    """Length of the record at a place, which it holds before and after it."""
    file.seek(place)
    length = _int(file.read(4), 0, order)
    if not 0 <= length <= 1 << 20:
        raise ValueError("expected a short record")
    file.seek(place + 4 + length)
    if _int(file.read(4), 0, order) != length:
        raise ValueError("expected a record with its length at both ends")
    return length


def _int(content: bytes, place: int, order: str) -> int:
    return struct.unpack_from(f"{order}i", content, place)[0]
