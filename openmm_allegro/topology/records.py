# SPDX-License-Identifier: MIT
"""Atoms, residues and bonds as a file has them, before a library's topology is made."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np


class ResidueRecord(NamedTuple):
    """A residue of a file.

    Attributes
    ----------
    name : str
    number : int
    insertion : str
        Insertion code, empty without one.
    segment : str
        Segment's name, empty without one.
    chain : int
        Index of its chain.
    """

    name: str
    number: int
    insertion: str
    segment: str
    chain: int


@dataclass
class Records:
    """What a file says about its atoms.

    Attributes
    ----------
    names : list of str
        Of N atoms.
    serials : list of int
        Their numbers in the file, or from 1 where that is not decimal.
    residue_of : list of int
        Index of each atom's residue.
    stated : list of str or None
        Element that the file states for each atom, see `elements.find_elements`.
    charges : list of int or None
        Formal charges.
    residues : list of ResidueRecord
    chains : list of str
        Their names.
    positions : (N, 3) array
        In nm.
    bonds : (n, 2) array of int
        Bonds that the file lists, each once.
    cell : (6,) array or None
        Lengths in nm and angles in degrees.
    vectors : (3, 3) array or None
        Rows a, b and c in nm as the file has them, if it has vectors; the atoms are
        turned already, to what lengths and angles say.
    models : int
        Number of models in the file; the atoms are those of the first.
    left_out : dict of str to int
        Numbers of records that are alternatives of atoms, by their letter.
    more_remarks : list of str
        What else a reader chose, or left out.
    """

    names: list[str] = field(default_factory=list)
    serials: list[int] = field(default_factory=list)
    residue_of: list[int] = field(default_factory=list)
    stated: list[str | None] = field(default_factory=list)
    charges: list[int | None] = field(default_factory=list)
    residues: list[ResidueRecord] = field(default_factory=list)
    chains: list[str] = field(default_factory=list)
    positions: np.ndarray = field(default_factory=lambda: np.empty((0, 3)))
    bonds: np.ndarray = field(default_factory=lambda: np.empty((0, 2), dtype=int))
    cell: np.ndarray | None = None
    vectors: np.ndarray | None = None
    models: int = 1
    left_out: dict[str, int] = field(default_factory=dict)
    more_remarks: list[str] = field(default_factory=list)

    @property
    def residue_names(self) -> list[str]:
        """Names of the residues."""
        return [residue.name for residue in self.residues]

    @property
    def remarks(self) -> list[str]:
        """What a reader of the file chose, in words."""
        return [*alternatives_left_out(self.left_out), *self.more_remarks]


@contextlib.contextmanager
def open_text(path: str | Path) -> Iterator[TextIO]:
    """Open a file of text, which may be packed with gzip.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be unpacked.
    """
    opened = gzip.open if str(path).endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8", errors="replace") as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise OSError(
            f"expected a whole file of gzip at {path}, found one that is damaged or "
            f"cut short ({error})"
        ) from error


def alternatives_left_out(counts: Mapping[str, int]) -> list[str]:
    """Say how many records of alternate locations were left out, by their letters."""
    if not counts:
        return []
    listed = ", ".join(f"{count} of {letter}" for letter, count in counts.items())
    return [f"took the first location of each atom; left out were {listed}"]
