# SPDX-License-Identifier: MIT
"""Restart files of LAMMPS: whether one is whole, and its step."""

import os
import struct
from pathlib import Path

# Begins and ends a file that is whole: LAMMPS writes the end last.
_MAGIC = b"LammpS RestartT\0"
# Numbers of entries in the header, and what follows them.
_TEXTS = (0, 4)  # version and units: a length, and so many bytes
_SIZES = (1, 48, 2, 3)  # bytes of integers; the last is that of steps
_BIGINT, _STEP = 3, 5


def restart_step(path: Path) -> int | None:
    """Read the step of a restart file.

    Returns
    -------
    int or None
        None if there is no such file, or it is not all there.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(512)
            if size < len(head) or size < 2 * len(_MAGIC):
                return None
            file.seek(size - len(_MAGIC))
            if file.read() != _MAGIC:
                return None
    except FileNotFoundError:
        return None
    if not head.startswith(_MAGIC):
        return None
    return _step(head, len(_MAGIC))


def _step(head: bytes, place: int) -> int | None:
    """Find the step behind the magic text."""
    # an endianness that reads as 1 is that of the file
    order = "<" if head[place : place + 4] == b"\1\0\0\0" else ">"
    place += 8  # and the revision of the format
    width = 8
    try:
        while True:
            (kind,) = struct.unpack_from(f"{order}i", head, place)
            place += 4
            if kind == _STEP:
                code = "q" if width == 8 else "i"
                return int(struct.unpack_from(order + code, head, place)[0])
            (value,) = struct.unpack_from(f"{order}i", head, place)
            place += 4
            if kind in _TEXTS:
                place += value
            elif kind not in _SIZES:
                return None
            elif kind == _BIGINT:
                width = value
    except struct.error:
        return None
