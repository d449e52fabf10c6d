# SPDX-License-Identifier: MIT
"""Displacements of atoms after a time: van Hove functions, non-Gaussian parameter."""

from typing import NamedTuple

import numpy as np

from ...utils.config import SettingError
from ..defaults import BLOCKS
from ..frames import (
    cell_vectors,
    check_radius,
    frame_interval,
    select_atoms,
    vectors_of_atoms,
    wrapped,
)
from ..statistics import jackknife
from ..structure.pairs import neighbor_pairs
from .correlation import Correlation, frame_lags

_MAX_LAGS = 60


class VanHove(NamedTuple):
    """Van Hove function at some lag times.

    Attributes
    ----------
    r : (n_bins,) array
        Bin centres in nm.
    lag_times : (n_lags,) array
        In ps.
    values, error : (n_lags, n_bins) arrays
        Self part: 4 π r² G_s(r, t) in 1/nm, of integral 1. Distinct part: G_d(r, t)
        over the density, 1 far away, g(r) at t = 0.
    """

    r: np.ndarray
    lag_times: np.ndarray
    values: np.ndarray
    error: np.ndarray


def van_hove_self(
    positions, time_step, lag_times, r_max, *, bin_width=0.01, n_blocks=BLOCKS
):
    r"""Distribution of the distances that atoms have moved in a time.

    .. math:: G_s(r, t) = \langle \delta(r - |r_i(t) - r_i(0)|) \rangle / 4 \pi r^2

    Van Hove, Phys. Rev. 95, 249, 1954, doi:10.1103/PhysRev.95.249.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array
        Unwrapped paths in nm, as ``follow(...).positions``.
    time_step : float
        Time between frames in ps.
    lag_times : sequence of float
        In ps; the nearest multiples of `time_step` are taken.
    r_max : float
        In nm. What moved further is counted in the norm but not shown.
    bin_width : float, optional
        In nm.
    n_blocks : int, optional
        Blocks of time origins that the errors come from.

    Returns
    -------
    VanHove
    """
    positions = vectors_of_atoms(positions, "positions")
    lags = _nearest(lag_times, time_step, len(positions), n_blocks)
    edges = _edges(r_max, bin_width)
    values, errors = [], []
    for lag in lags:
        counts, norms = [], []
        for origins in np.array_split(np.arange(len(positions) - lag), n_blocks):
            moved = positions[origins + lag] - positions[origins]
            distances = np.sqrt(np.einsum("fix,fix->fi", moved, moved))
            counts.append(np.histogram(distances, edges)[0])
            norms.append([distances.size])
        density = jackknife(
            lambda number, total: number / total / np.diff(edges), counts, norms
        )
        values.append(density.value)
        errors.append(density.error * _overlap(lag, len(positions), n_blocks))
    return _result(edges, lags * time_step, values, errors)


def van_hove_distinct(
    trajectory,
    selection_a,
    selection_b,
    lag_times,
    *,
    r_max,
    bin_width=0.01,
    n_origins=200,
    time_step=None,
    n_blocks=BLOCKS,
):
    r"""Density of other atoms b at a time t around where an atom a was, over the mean.

    .. math::
        \frac{G_d(r, t)}{\rho} = \frac{V}{N_{ab}} \sum_{i \in a} \sum_{j \in b, j \ne i}
        \langle \delta(\mathbf r - \mathbf r_j(t) + \mathbf r_i(0)) \rangle

    Van Hove, Phys. Rev. 95, 249, 1954, doi:10.1103/PhysRev.95.249.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        Frames with a unit cell, equally spaced.
    selection_a, selection_b : str or (n,) array of int
        Atoms at time 0 and at time t; they may share atoms.
    lag_times : sequence of float
        In ps, 0 allowed; the nearest multiples of the time between frames are taken.
    r_max : float
        In nm, at most half the smallest width of the cell.
    bin_width : float, optional
        In nm.
    n_origins : int, optional
        Time origins at most, equally spaced.
    time_step : float, optional
        Time between frames in ps. Default: from ``trajectory.time``.
    n_blocks : int, optional
        Blocks of time origins that the errors come from.

    Returns
    -------
    VanHove
    """
    a, b = select_atoms(trajectory, selection_a), select_atoms(trajectory, selection_b)
    cells = cell_vectors(trajectory)
    check_radius(r_max, cells)
    n_pairs = len(a) * len(b) - len(np.intersect1d(a, b))
    if n_pairs == 0:
        raise ValueError("expected at least one pair of different atoms, found none")
    time_step = frame_interval(trajectory.time, time_step)
    lags = _nearest(lag_times, time_step, trajectory.n_frames, n_blocks, smallest=0)
    edges = _edges(r_max, bin_width)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    volumes = np.abs(np.linalg.det(cells))
    values, errors = [], []
    for lag in lags:
        last = trajectory.n_frames - lag - 1
        origins = np.unique(np.linspace(0, last, min(n_origins, last + 1)).astype(int))
        counts, ideal = [], []
        for block in np.array_split(origins, n_blocks):
            count = np.zeros(len(shells))
            for k in block:
                _, _, vectors = neighbor_pairs(
                    # As in `unwrap`: far from the origin a breathing cell would
                    # move the images but not the atoms.
                    wrapped(trajectory.xyz[k].astype(float), cells[k]),
                    cells[k + lag],
                    a,
                    b,
                    r_max,
                    later=trajectory.xyz[k + lag],
                )
                count += np.histogram(np.linalg.norm(vectors, axis=1), edges)[0]
            counts.append(count)
            ideal.append(n_pairs * shells * np.sum(1 / volumes[block + lag]))
        ratio = jackknife(np.divide, counts, ideal)
        values.append(ratio.value)
        errors.append(ratio.error * _overlap(lag, trajectory.n_frames, n_blocks))
    return _result(edges, lags * time_step, values, errors)


def non_gaussian_parameter(positions, time_step, *, max_lag=None, n_blocks=BLOCKS):
    r"""Departure of displacements from a Gaussian, 0 for free diffusion.

    .. math::
        \alpha_2(t) = \frac{3 \langle \Delta r^4 \rangle}
        {5 \langle \Delta r^2 \rangle^2} - 1

    Rahman, Phys. Rev. 136, A405, 1964, doi:10.1103/PhysRev.136.A405.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array
        Unwrapped paths in nm, as ``follow(...).positions``.
    time_step : float
        Time between frames in ps.
    max_lag : float, optional
        Longest lag time in ps. Default: a twentieth of the trajectory.
    n_blocks : int, optional
        Blocks of time origins that the errors come from.

    Returns
    -------
    Correlation
        At lag times above 0; dimensionless.
    """
    positions = vectors_of_atoms(positions, "positions")
    n_frames = len(positions)
    longest = frame_lags(n_frames, time_step, max_lag, n_blocks)[-1]
    lags = np.unique(np.geomspace(1, longest, min(_MAX_LAGS, longest)).astype(int))
    values, errors = [], []
    for lag in lags:
        squares = np.zeros((n_frames - lag, positions.shape[1]))
        for x in range(3):
            squares += (positions[lag:, :, x] - positions[:-lag, :, x]) ** 2
        blocks = np.array_split(squares, n_blocks)
        alpha = jackknife(
            lambda fourth, second, n: 0.6 * fourth * n / second**2 - 1,
            [np.sum(block**2) for block in blocks],
            [np.sum(block) for block in blocks],
            [block.size for block in blocks],
        )
        values.append(alpha.value)
        errors.append(alpha.error)
    return Correlation(lags * time_step, np.array(values), np.array(errors))


def _overlap(lag, n_frames, n_blocks):
    """Factor of the error of blocks of origins that are shorter than a lag."""
    return np.sqrt(max(1.0, lag * n_blocks / n_frames))


def _nearest(lag_times, time_step, n_frames, n_blocks, smallest=1):
    """Lags in frames nearest to the times in ps, checked."""
    lags = np.rint(np.atleast_1d(lag_times) / time_step).astype(int)
    longest = n_frames - n_blocks
    if lags.size == 0 or lags.min() < smallest or lags.max() > longest:
        raise SettingError(
            f"expected lag times from {smallest * time_step:.6g} to "
            f"{longest * time_step:.6g} ps, found {lag_times}",
            "times",
            "blocks",
        )
    return lags


def _edges(r_max, bin_width):
    """Edges in nm of bins of about the width, which is checked."""
    if not 0 < bin_width <= r_max:
        raise SettingError(
            "expected bins (--bin-width, bin_width) wider than 0 and up to "
            f"{r_max:.6g} nm, the largest distance, found {bin_width:.6g} nm",
            "bin_width",
            "r_max",
        )
    return np.linspace(0.0, r_max, round(r_max / bin_width) + 1)


def _result(edges, lag_times, values, errors):
    """VanHove of the edges of bins."""
    centers = 0.5 * (edges[1:] + edges[:-1])
    return VanHove(centers, lag_times, np.array(values), np.array(errors))
