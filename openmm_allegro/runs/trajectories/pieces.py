# SPDX-License-Identifier: MIT
"""Join the index of a trajectory with that of frames that follow in another file."""

from pathlib import Path

import numpy as np

from .index import FrameIndex, Piece


def join_indices(
    path: Path, index: FrameIndex, part: Path, of_part: FrameIndex
) -> FrameIndex:
    """Index two files as one trajectory, each of whose frames is there once.

    LAMMPS cannot append to an XTC. It writes a file of its own when it continues a run,
    which is joined to the trajectory afterwards; if that was interrupted, frames are in
    both. The trajectory may end within a frame that is whole in the other file.

    Parameters
    ----------
    path, part : Path
        Of the trajectory and of the frames that follow.
    index, of_part : FrameIndex
        Of each, with steps.
    """
    if index.damage and not index.is_cut:
        return index
    first = overlap(index.steps, of_part.steps)
    torn = of_part.is_cut or part.stat().st_size == 0
    if of_part.n_frames == first and (torn or not of_part.damage):
        if of_part.is_cut and index.n_frames:
            return index._replace(damage=of_part.damage, is_cut=True)
        return index
    pieces = (
        Piece(path, index._replace(damage="", is_cut=False)),
        Piece(part, of_part, first),
    )
    return FrameIndex(
        index.n_frames + of_part.n_frames - first,
        _joined(index.times, of_part.times, first),
        _joined(index.steps, of_part.steps, first),
        of_part.damage,
        of_part.is_cut,
        n_atoms=index.n_atoms or of_part.n_atoms,
        pieces=pieces,
    )


def overlap(steps: np.ndarray | None, later: np.ndarray | None) -> int:
    """Count the first of the later frames whose steps the earlier ones have too."""
    if steps is None or later is None or not len(steps) or not len(later):
        return 0
    new = later > steps[-1]
    return int(np.argmax(new)) if new.any() else len(later)


def _joined(
    values: np.ndarray | None, later: np.ndarray | None, first: int
) -> np.ndarray | None:
    after = None if later is None else later[first:]
    there = [part for part in (values, after) if part is not None]
    return np.concatenate(there) if there else None
