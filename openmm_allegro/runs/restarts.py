# SPDX-License-Identifier: MIT
"""Restart files of LAMMPS: whether one is whole, its step, and what wrote it."""

import contextlib
import os
import struct
from pathlib import Path
from typing import NamedTuple

from .names import lammps_paths_of

# Begins and ends a file that is whole: LAMMPS writes the end last.
_MAGIC = b"LammpS RestartT\0"
# Numbers of entries in the header, and what follows them.
_VERSION, _UNITS = 0, 4  # texts: a length, and so many bytes
_SIZES = (1, 48, 2, 3)  # bytes of integers; the last is that of steps
_BIGINT, _STEP = 3, 5


class Restart(NamedTuple):
    """A state of a run: its step, and the version of LAMMPS, as ``22 Jul 2025``."""

    step: int
    version: str


def read_restart(path: Path) -> Restart | None:
    """Read the beginning of a restart file.

    Returns
    -------
    Restart or None
        None if there is no such file, or it is not all there.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(512)
            if size < 2 * len(_MAGIC):
                return None
            file.seek(size - len(_MAGIC))
            if file.read() != _MAGIC:
                return None
    except FileNotFoundError:
        return None
    if not head.startswith(_MAGIC):
        return None
    try:
        return _header(head, len(_MAGIC))
    except struct.error:
        return None


def _header(head: bytes, place: int) -> Restart | None:
    """Read version and step behind the magic text."""
    # an endianness that reads as 1 is that of the file
    order = "<" if head[place : place + 4] == b"\1\0\0\0" else ">"
    place += 8  # and the revision of the format
    width, version = 8, ""
    while True:
        (kind,) = struct.unpack_from(f"{order}i", head, place)
        place += 4
        if kind == _STEP:
            code = "q" if width == 8 else "i"
            return Restart(struct.unpack_from(order + code, head, place)[0], version)
        (value,) = struct.unpack_from(f"{order}i", head, place)
        place += 4
        if kind in (_VERSION, _UNITS):
            if kind == _VERSION:
                version = (
                    head[place : place + value].rstrip(b"\0").decode("ascii", "replace")
                )
            place += value
        elif kind not in _SIZES:
            return None
        elif kind == _BIGINT:
            width = value


def version_of_lammps(prefix: str | Path) -> dict[str, str]:
    """Version of LAMMPS for a record, as far as LAMMPS has written a state."""
    for path in lammps_paths_of(prefix).values():
        with contextlib.suppress(OSError):  # it is not needed for anything else
            state = read_restart(path)
            if state is not None:
                return {"lammps_version": state.version}
    return {}
