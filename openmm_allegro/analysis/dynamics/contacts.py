# SPDX-License-Identifier: MIT
"""Contacts of atoms: the intervals of time in which each pair is together."""

from typing import NamedTuple

import numpy as np

from ...utils.config import SettingError
from ..frames import (
    cell_vectors,
    check_radius,
    check_times,
    chunked,
    frame_interval,
    select_atoms,
)
from ..structure.pairs import neighbor_pairs


class Contacts(NamedTuple):
    """Intervals in which pairs of atoms were in contact.

    Attributes
    ----------
    pairs : (n, 2) array of int
        Atom indices of each interval, ascending; a pair has as many rows as intervals.
    starts, stops : (n,) arrays of int
        First frame of contact, and first frame without it (`n_frames` if there is
        none).
    n_frames : int
    time_step : float
        Time between frames in ps.
    n_pairs : int
        Pairs of atoms that could be in contact.
    """

    pairs: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    n_frames: int
    time_step: float
    n_pairs: int


def contacts(
    source,
    selection_a,
    selection_b,
    r_in,
    *,
    r_out=None,
    time_step=None,
    tolerance=0.0,
    molecules=None,
):
    """Find when atoms a and b are in contact.

    A contact forms below `r_in` and breaks beyond `r_out`: between the two it stays as
    it was, so that a pair that trembles at the edge of a shell does not break again and
    again (stable states: Northrup and Hynes, J. Chem. Phys. 73, 2700, 1980,
    doi:10.1063/1.440484; Laage and Hynes, J. Phys. Chem. B 112, 7697, 2008,
    doi:10.1021/jp802033r).

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, equally spaced, or a stream of chunks.
    selection_a, selection_b : str or (n,) array of int
        The two groups; they may share atoms.
    r_in : float
        In nm: the first maximum of g(r), or with no `r_out` its first minimum.
    r_out : float, optional
        In nm: past the first minimum. Default: `r_in`.
    time_step : float, optional
        Time between frames in ps. Default: from ``trajectory.time``.
    tolerance : float, optional
        Absences of at most this time in ps do not break a contact (Impey, Madden and
        McDonald, J. Phys. Chem. 87, 5071, 1983, doi:10.1021/j150643a008).
    molecules : (n_atoms,) array of int, optional
        Molecule of each atom; pairs in one molecule are then no contacts.

    Returns
    -------
    Contacts
    """
    r_out = r_in if r_out is None else r_out
    if not 0 < r_in <= r_out:
        raise SettingError(
            "expected a radius at which contacts form (--shell, r_in) above 0 and no "
            f"larger than that at which they break (--outer, r_out), found {r_in:.6g} "
            f"and {r_out:.6g} nm",
            "shell",
            "outer",
        )
    first, chunks = chunked(source)
    check_times(first.time, time_step)
    a, b = select_atoms(first, selection_a), select_atoms(first, selection_b)
    shared = len(np.intersect1d(a, b))
    n_pairs = len(a) * len(b) - shared * (shared + 1) // 2
    if n_pairs == 0:
        raise ValueError("expected at least one pair of different atoms, found none")

    touching, times, held = [], [], np.array([], dtype=np.int64)
    for chunk in chunks:
        cells = cell_vectors(chunk)
        check_radius(r_out, cells, "--outer, r_out")
        times.append(chunk.time)
        for positions, cell in zip(chunk.xyz, cells, strict=True):
            near_pairs = neighbor_pairs(
                positions, cell, a, b, r_out, molecules=molecules
            )
            centers, neighbors, vectors = near_pairs
            # A pair of two shared atoms is found from both ends.
            keys, where = np.unique(
                np.minimum(centers, neighbors) * first.n_atoms
                + np.maximum(centers, neighbors),
                return_index=True,
            )
            near = np.linalg.norm(vectors[where], axis=1) < r_in
            held = keys[near | np.isin(keys, held, assume_unique=True)]
            touching.append(held)
    times = np.concatenate(times)
    if len(times) < 2:
        raise ValueError(f"expected at least 2 frames, found {len(times)}")
    interval = frame_interval(times, time_step)
    keys, starts, stops = _intervals(touching, int(tolerance / interval * (1 + 1e-6)))
    pairs = np.stack(np.divmod(keys, first.n_atoms), axis=1)
    return Contacts(pairs, starts, stops, len(times), interval, n_pairs)


def _intervals(touching, tolerance):
    """Keys, first frames and first frames without contact, from each frame's keys."""
    keys = np.concatenate(touching)
    frames = np.repeat(np.arange(len(touching)), [len(held) for held in touching])
    order = np.lexsort((frames, keys))
    keys, frames = keys[order], frames[order]
    # A new interval begins where the pair changes or was away for too long.
    begins = np.ones(len(keys), dtype=bool)
    begins[1:] = (np.diff(keys) != 0) | (np.diff(frames) > tolerance + 1)
    ends = np.append(begins[1:], True)[: len(keys)]
    return keys[begins], frames[begins], frames[ends] + 1
