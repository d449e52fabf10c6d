# SPDX-License-Identifier: MIT
"""Format of files of charges of atoms over time, which grow by a record a frame.

A file begins with a line of JSON, filled with blanks to 128 bytes, and is then an array
of records, so that numpy alone can read it:

    np.fromfile(path, [("step", "<i8"), ("time", "<f8"), ("charges", "<f4", n)],
                offset=128)
"""

import json
from pathlib import Path

import numpy as np

# Bytes of the first line.
HEADER_SIZE = 128
_FORMAT = {"format": "openmm-allegro charges", "version": 1}


def record_type(n_atoms: int) -> np.dtype:
    """Type of a record: step, time in ps, charges in e."""
    return np.dtype([("step", "<i8"), ("time", "<f8"), ("charges", "<f4", (n_atoms,))])


def header(n_atoms: int) -> bytes:
    """Make the first line of a file."""
    text = json.dumps(_FORMAT | {"atoms": n_atoms})
    return text.ljust(HEADER_SIZE - 1).encode() + b"\n"


def read_records(path: Path) -> np.ndarray:
    """Map a file of charges into memory; a last record cut short is left out.

    Returns
    -------
    (n_frames,) array of `record_type`

    Raises
    ------
    ValueError
        If it is no such file.
    """
    with open(path, "rb") as file:
        line = file.read(HEADER_SIZE)
    try:
        content = json.loads(line)
        n_atoms = content.pop("atoms")
        good = content == _FORMAT and type(n_atoms) is int and 0 < n_atoms < 2**31
    except (AttributeError, KeyError, UnicodeDecodeError, ValueError):
        good = False
    if not good or len(line) < HEADER_SIZE:
        raise ValueError(
            f"expected charges of atoms over time at {path}, in the format of "
            f"{_FORMAT['format']} {_FORMAT['version']}, found a file that begins with "
            f"{line[:40]!r}"
        )
    kind = record_type(n_atoms)
    count = (path.stat().st_size - HEADER_SIZE) // kind.itemsize
    if count == 0:
        return np.zeros(0, dtype=kind)
    return np.memmap(path, dtype=kind, mode="r", offset=HEADER_SIZE, shape=(count,))
