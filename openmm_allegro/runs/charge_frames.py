# SPDX-License-Identifier: MIT
"""Frames of a run with the charges that its model gave to the atoms."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..utils.charge_records import read_records
from .frames import Frames
from .run import Run
from .table import Unreadable

# Times of a trajectory are float32.
_SLACK = 4e-7


class ChargedFrames:
    """Frames of a run that have charges, in chunks, to pass repeatedly.

    Parameters
    ----------
    run : Run
        With charges.
    frames : Frames
        Of that run alone.

    Attributes
    ----------
    charges : (n_frames, n_atoms) array
        In e, of the frames in their order.
    n_frames : int

    Raises
    ------
    ValueError
        If the file of the charges cannot be read, is of other atoms, or has charges of
        no frame.
    """

    def __init__(self, run: Run, frames: Frames):
        try:
            records = read_records(run.charges)
        except ValueError as error:
            raise Unreadable(str(error)) from error
        frames.check_times()
        times = np.concatenate([np.asarray(c.time, dtype=float) for c in frames])
        rows = _rows(records["time"], times)
        self._frames, self._kept = frames, rows >= 0
        self.n_frames = int(self._kept.sum())
        if not self.n_frames:
            raise ValueError(
                f"expected charges in {run.charges} of the frames of {run.name}, found "
                f"charges at none of the times of {len(times)} frames"
            )
        self.charges = records["charges"][rows[self._kept]]
        n_atoms = frames.topology.n_atoms
        if self.charges.shape[1] != n_atoms:
            raise Unreadable(
                f"expected charges of {n_atoms} atoms in {run.charges}, found those of "
                f"{self.charges.shape[1]}"
            )

    def __iter__(self) -> Iterator[Any]:
        done = 0
        for chunk in self._frames:
            kept = self._kept[done : done + chunk.n_frames]
            done += chunk.n_frames
            if kept.all():
                yield chunk
            elif kept.any():
                yield chunk[np.flatnonzero(kept)]


def _rows(known: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Number of the record at each of some times; -1 where there is none."""
    if not len(known):
        return np.full(len(times), -1)
    order = np.argsort(known, kind="stable")
    after = np.clip(np.searchsorted(known[order], times), 1, len(known) - 1 or 1)
    near = [order[np.clip(after - i, 0, len(known) - 1)] for i in (0, 1)]
    apart = [np.abs(known[rows] - times) for rows in near]
    rows = np.where(apart[0] < apart[1], *near)
    missed = np.minimum(*apart) > _SLACK * np.abs(times) + 1e-6
    return np.where(missed, -1, rows)
