# SPDX-License-Identifier: MIT
"""Indices of XTC and TRR, whose frames have other lengths each."""

import mmap
import os
import struct
from pathlib import Path

import numpy as np

from .index import FrameIndex, XtcExtent

# Of an XTC frame: magic, atoms, step, time, box, atoms; then precision, bounds, index
# of the smallest step, bytes that follow.
_XTC = np.dtype(
    [
        *(("magic", ">i4"), ("atoms", ">i4"), ("step", ">i4"), ("time", ">f4")),
        *(("box", ">f4", 9), ("again", ">i4"), ("precision", ">f4")),
        *(("low", ">i4", 3), ("high", ">i4", 3), ("small", ">i4"), ("bytes", ">i4")),
    ]
)
_XTC_MAGIC = 1995
# Of at most so many atoms coordinates are not packed, and no fields follow the number.
_FEW = 9
_PLAIN = 4 + 4 + 4 + 4 + 36 + 4
# Of a TRR frame: magic, length and text of the version, sizes of what follows.
_TRR_VERSION = struct.pack(">iii", 1993, 13, 12) + b"GMX_trn_file"
_TRR_SIZES = struct.Struct(">13i")
_TRR_HEAD = len(_TRR_VERSION) + _TRR_SIZES.size
# Reason for a frame at the end that is not all there; largest length of a cell in nm.
_CUT = "its end is missing"
_IMPOSSIBLE = "impossible values in its header"
_LARGEST = 1e6
# A TRR has velocities more or less often than positions, as GROMACS was told.
_WITHOUT = "no {} in it; gmx trjconv writes an XTC without such frames"


def index_xtc(path: Path) -> FrameIndex:
    """Index an XTC, as GROMACS, OpenMM and mdtraj write it."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < _PLAIN:
            damage = f"{size} bytes, less than a frame"
            return FrameIndex(0, damage=damage, is_cut=size > 0)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _index_xtc(content, size)


def _index_xtc(content: mmap.mmap, size: int) -> FrameIndex:
    atoms = int.from_bytes(content[4:8], "big", signed=True)
    few = atoms <= _FEW
    head = _PLAIN if few else _XTC.itemsize
    plain = _PLAIN + 12 * max(atoms, 0)
    # No atom takes more than 13 bytes: 96 bits of coordinates, 6 of their packing.
    most = 16 * max(atoms, 0)
    magic = _XTC_MAGIC.to_bytes(4, "big")
    offsets, place, damage, is_cut = [], 0, "", False
    unpack = struct.Struct(">i").unpack_from
    while place < size:
        if place + head > size:
            damage, is_cut = _CUT, True
            break
        if few:
            end = place + plain
        else:
            (n_bytes,) = unpack(content, place + head - 4)
            if not 0 < n_bytes <= most:
                damage = f"{n_bytes} bytes of coordinates in its header"
                break
            end = place + head + (n_bytes + 3) // 4 * 4
        if content[place : place + 4] != magic:
            damage = "another magic number in its header"
            break
        if end > size:
            damage, is_cut = _CUT, True
            break
        offsets.append(place)
        place = end
    frames = np.frombuffer(
        b"".join(content[o : o + head].ljust(_XTC.itemsize, b"\0") for o in offsets),
        dtype=_XTC,
    )
    bad = (frames["atoms"] != atoms) | (frames["again"] != atoms) | (atoms <= 0)
    with np.errstate(invalid="ignore", over="ignore"):
        bad |= ~np.isfinite(frames["box"]).all(axis=1)
        bad |= (np.abs(frames["box"]) > _LARGEST).any(axis=1)
        low, high = (frames[k].astype(np.int64) for k in ("low", "high"))
        if not few:
            bad |= ~(frames["precision"] > 0) | ~(frames["precision"] < 1e9)
            bad |= _alone(frames["precision"])
            bad |= (low > high).any(axis=1) | (high - low >= 2**31 - 2).any(axis=1)
            bad |= (frames["small"] < 9) | (frames["small"] > 72)
    n = len(frames)
    if bad.any():
        n, damage, is_cut = int(np.argmax(bad)), _IMPOSSIBLE, False
    ends = np.array([*offsets[1:], place][:n], dtype=np.int64)
    bounds = (frames[k][:n].astype(np.int32) for k in ("low", "high"))
    extent = XtcExtent(*bounds, frames["precision"][:n].astype(float))
    return FrameIndex(
        n,
        frames["time"][:n].astype(float),
        frames["step"][:n].astype(np.int64),
        damage,
        is_cut,
        None if few else extent,
        atoms,
        ends=ends,
    )


def _alone(values: np.ndarray) -> np.ndarray:
    """Mark values (n,) that differ from both neighbours, which are alike."""
    marks = np.zeros(len(values), dtype=bool)
    if len(values) > 2:
        same = values[1:] == values[:-1]
        marks[1:-1] = ~same[1:] & ~same[:-1] & (values[2:] == values[:-2])
        marks[0], marks[-1] = ~same[0] & same[1], ~same[-1] & same[-2]
    return marks


def index_trr(path: Path) -> FrameIndex:
    """Index a TRR, as GROMACS and mdtraj write it."""
    size, place = path.stat().st_size, 0
    times, steps, damage, is_cut, atoms = [], [], "", False, None
    if size == 0:
        return FrameIndex(0, damage="0 bytes, less than a frame")
    with open(path, "rb") as file:
        while place < size:
            file.seek(place)
            head = file.read(_TRR_HEAD + 16)
            if len(head) < _TRR_HEAD + 8:
                damage, is_cut = _CUT, True
                break
            *sizes, n_atoms, step, _ = _TRR_SIZES.unpack_from(head, len(_TRR_VERSION))
            box, x = sizes[2], sizes[7]
            # numbers are float or double, which the sizes alone tell
            each = box // 9 if box else x // (3 * n_atoms) if n_atoms > 0 else 0
            good = head.startswith(_TRR_VERSION) and each in (4, 8)
            good = good and min(sizes) >= 0 and box in (0, 9 * each)
            good = good and all(s in (0, 3 * n_atoms * each) for s in sizes[7:])
            atoms = n_atoms if atoms is None else atoms
            if not good or n_atoms != atoms or n_atoms <= 0:
                damage = _IMPOSSIBLE
                break
            if not (x and box):  # mdtraj takes what is in memory for them
                damage = _WITHOUT.format("positions" if box else "box")
                break
            end = place + _TRR_HEAD + 2 * each + sum(sizes)
            if end > size:
                damage, is_cut = _CUT, True
                break
            kind = ">f" if each == 4 else ">d"
            times.append(struct.unpack_from(kind, head, _TRR_HEAD)[0])
            steps.append(step)
            place = end
    return FrameIndex(
        len(times),
        np.array(times, dtype=float),
        np.array(steps),
        damage,
        is_cut,
        n_atoms=atoms,
    )
