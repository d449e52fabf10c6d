# SPDX-License-Identifier: MIT
"""Refuse files of extended XYZ of which ase would overlook something."""

import contextlib
import lzma
import re
import zlib
from collections import deque
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

_WORDS = re.compile(rb"[\s,]+")
_FIND_PBC = re.compile(rb"""(?<![^\s])pbc=("[^"]*"|'[^']*'|\[[^]]*\]|\{[^}]*\}|\S+)""")
# ase takes any other text for true.
_TRUTHS = {b"T", b"F", b"true", b"false", b"True", b"False", b"TRUE", b"FALSE"}
_LARGEST_RATIO = 1100  # of the sizes of a file and its compressed form


def check_extxyz(path: Path) -> None:
    """Refuse numbers of atoms, periodicities and empty lines that ase misreads.

    Raises
    ------
    ValueError
        If a frame has a number of atoms for which the file is too small, a ``pbc``
        that is neither true nor false, or an empty line before it, where ase stops.
    """
    # ase finds damage in a compressed file again, and it is reported with the frame
    with contextlib.suppress(EOFError, OSError, zlib.error, lzma.LZMAError):
        _check_frames(path)


def _check_frames(path: Path) -> None:
    from ase.io.formats import open_with_compression

    largest = _LARGEST_RATIO * path.stat().st_size
    with open_with_compression(str(path), "rb") as file:
        frame = 0
        for line in file:
            if line.lstrip().startswith(b"VEC"):
                continue
            where = f"{path}, frame {frame}"
            if not line.strip():
                _check_end(file, where)
                return
            try:
                atoms = int(line)
            except ValueError:  # ase refuses it
                return
            if not 0 <= atoms <= largest:
                raise ValueError(
                    f"{where}: expected a number of atoms that the file can hold, "
                    f"found {atoms}"
                )
            _check_periodicity(next(file, b""), where)
            deque(islice(file, atoms), maxlen=0)
            frame += 1


def _check_end(file: Iterable[bytes], where: str) -> None:
    if any(line.strip() for line in file):
        raise ValueError(
            f"{where}: expected frames without empty lines between them, found one "
            "before this frame, where ase stops reading; remove it"
        )


def _check_periodicity(comment: bytes, where: str) -> None:
    match = _FIND_PBC.search(comment)
    if match is None:
        return
    value = match[1][1:-1] if match[1][:1] in b"\"'[{" else match[1]
    words = [word for word in _WORDS.split(value) if word]
    if not {*words} <= _TRUTHS and not all(map(_is_0_or_1, words)):
        raise ValueError(
            f'{where}: expected pbc="T T F" and its like in the comment line, found '
            f"pbc={match[1].decode(errors='replace')}"
        )


def _is_0_or_1(word: bytes) -> bool:
    try:
        return float(word) in (0, 1)
    except ValueError:
        return False
