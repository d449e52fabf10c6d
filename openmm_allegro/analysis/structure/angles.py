# SPDX-License-Identifier: MIT
"""Angles between the neighbours of an atom."""

from typing import NamedTuple

import numpy as np

from ..defaults import BLOCKS
from ..frames import cell_vectors, check_radius, chunked, select_atoms
from ..statistics import (
    few_factor,
    holds_few,
    independent_values,
    jackknife,
    sum_blocks,
)
from .pairs import neighbor_pairs


class AngleDistribution(NamedTuple):
    """Distribution of the angle a-b-c.

    Attributes
    ----------
    angle : (n_bins,) array
        Bin centres in degrees.
    density, error : (n_bins,) arrays
        Probability per degree, 1 in sum over all angles. Of neighbours in random
        directions it is sin(angle) π / 360.
    n_angles : int
        Number of angles.
    independent : float
        Independent values over time of the number of angles in the fullest bin; fewer
        than 20 widen `error`.
    few : bool
        Whether they are fewer.
    """

    angle: np.ndarray
    density: np.ndarray
    error: np.ndarray
    n_angles: int
    independent: float = np.nan
    few: bool = False


def angle_distribution(
    source,
    selection_a,
    selection_b,
    selection_c,
    r_ab,
    r_cb=None,
    *,
    n_bins=90,
    n_blocks=BLOCKS,
):
    """Distribution of the angles a-b-c around atoms b.

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, or a stream of chunks.
    selection_a, selection_b, selection_c : str or (n,) array of int
        Atoms at the ends (a, c) and in the middle (b): ``"element P", "element O",
        "element O"`` for P-O-O.
    r_ab, r_cb : float
        Radii of the shells around b in nm that hold a and c. Default of `r_cb`: `r_ab`.
    n_bins : int, optional
        Bins from 0 to 180 degrees.
    n_blocks : int, optional
        Blocks of frames that the errors come from.

    Returns
    -------
    AngleDistribution
    """
    r_cb = r_ab if r_cb is None else r_cb
    first, chunks = chunked(source)
    a, b, c = (
        np.sort(select_atoms(first, s)) for s in (selection_a, selection_b, selection_c)
    )
    like = np.array_equal(a, c) and r_ab == r_cb
    counts = []
    for chunk in chunks:
        cells = cell_vectors(chunk)
        check_radius(max(r_ab, r_cb), cells, "--shell, r_ab and r_cb")
        for positions, cell in zip(chunk.xyz, cells, strict=True):
            arms_a = neighbor_pairs(positions, cell, b, a, r_ab)
            arms_c = arms_a if like else neighbor_pairs(positions, cell, b, c, r_cb)
            angles = _angles(arms_a, arms_c, like)
            counts.append(np.histogram(angles, bins=n_bins, range=(0.0, 180.0))[0])
    counts = np.array(counts)
    if counts.sum() == 0:
        raise ValueError("expected at least one atom with two neighbours, found none")
    width = 180.0 / n_bins
    density, error = jackknife(
        lambda total: total / (total.sum() * width), sum_blocks(counts, n_blocks)
    )
    angle = (np.arange(n_bins) + 0.5) * width
    fullest = counts[:, np.argmax(density)]
    return AngleDistribution(
        angle,
        density,
        error * few_factor(fullest),
        int(counts.sum()),
        independent_values(fullest),
        holds_few(fullest),
    )


def _angles(arms_a, arms_c, like):
    """Angles in degrees between (centers, neighbors, vectors) around each centre."""
    centers, a, arms = arms_a
    other_centers, c, other_arms = arms_c
    starts = np.searchsorted(other_centers, centers, "left")
    numbers = np.searchsorted(other_centers, centers, "right") - starts
    i = np.repeat(np.arange(len(centers)), numbers)
    j = np.arange(len(i)) - np.repeat(np.cumsum(numbers) - numbers - starts, numbers)
    keep = a[i] < c[j] if like else a[i] != c[j]
    first, second = arms[i[keep]], other_arms[j[keep]]
    # Of the arc tangent, unlike the cosine, small angles keep their digits.
    sine = np.linalg.norm(np.cross(first, second), axis=1)
    return np.degrees(np.arctan2(sine, np.sum(first * second, axis=1)))
