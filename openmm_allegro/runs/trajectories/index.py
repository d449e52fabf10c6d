# SPDX-License-Identifier: MIT
"""Frames of a file, found and checked before any coordinates are read."""

from pathlib import Path
from typing import NamedTuple

import numpy as np


class FrameIndex(NamedTuple):
    """Frames of a trajectory, as far as they are whole.

    Attributes
    ----------
    n_frames : int
        Frames before the end, or before the first that is damaged.
    times : (n_frames,) array or None
        In ps, as the file has them; None for a format without times.
    steps : (n_frames,) array or None
        Numbers of steps.
    damage : str
        What is wrong with the next frame; empty if there is no other.
    is_cut : bool
        Whether the file ends within the next frame: all before it are whole.
    extent : XtcExtent or None
        Of an XTC.
    n_atoms : int or None
        Atoms of the first frame.
    pieces : tuple of Piece
        Files that the frames are in, one after the other; empty for one file.
    ends : (n_frames,) array or None
        Bytes of an XTC up to the end of each frame.
    """

    n_frames: int
    times: np.ndarray | None = None
    steps: np.ndarray | None = None
    damage: str = ""
    is_cut: bool = False
    extent: "XtcExtent | None" = None
    n_atoms: int | None = None
    pieces: "tuple[Piece, ...]" = ()
    ends: np.ndarray | None = None


class Piece(NamedTuple):
    """A file that holds a piece of a trajectory: its frames from ``first`` on."""

    path: Path
    index: FrameIndex
    first: int = 0


class DamagedFrame(ValueError):
    """A frame that is not what its header says: its number, and the reason."""


class XtcExtent(NamedTuple):
    """Smallest and largest coordinates of each frame, which its header holds.

    Attributes
    ----------
    low, high : (n_frames, 3) arrays of int
        In units of 1 / precision.
    precision : (n_frames,) array
        In 1/nm.
    """

    low: np.ndarray
    high: np.ndarray
    precision: np.ndarray

    def misfit(self, first: int, positions: np.ndarray) -> int | None:
        """Find the first frame whose coordinates (n, n_atoms, 3) have other bounds.

        Bits that have changed within a frame spoil all that was packed after them.
        """
        n = len(positions)
        part, good = slice(first, first + n), np.ones(n, dtype=bool)
        scale = self.precision[part]
        for bounds, reduce in ((self.low, np.min), (self.high, np.max)):
            for axis in range(3):  # faster one by one
                found = reduce(positions[:, :, axis], axis=1) * scale
                expected = bounds[part, axis].astype(np.int64)
                # float32 has 24 bits
                good &= np.abs(found - expected) <= 1 + 2e-7 * np.abs(expected)
        return None if good.all() else first + int(np.argmin(good))
