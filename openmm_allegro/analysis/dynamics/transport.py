# SPDX-License-Identifier: MIT
"""Mean square displacements and self-diffusion coefficients."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from ...units import NM2_PER_PS_TO_CM2_PER_S
from ...utils.config import SettingError
from ..defaults import LONG_BLOCKS
from ..statistics import block_edges, check_blocks, jackknife
from .linear import later_slopes, line_weights, linear_start
from .regime import find_regime, slope_error
from .unwrap import follow

_MIN_FRAMES = 20
_MAX_LAGS = 100
# Atoms whose spectra are held at a time.
_ATOMS = 50


class Diffusion(NamedTuple):
    """Self-diffusion coefficient with its uncertainty, and the data it came from.

    Attributes
    ----------
    coefficient : float
        D in cm²/s. Below 0 where the displacements shrink within their noise.
    error : float
        Half-width of the 68 % interval of D in cm²/s.
    lag_times : (n_lags,) array
        Lag times in ps.
    msd : (n_lags,) array
        Mean square displacement in nm².
    msd_error : (n_lags,) array
        Half-width of the 68 % interval of `msd` in nm².
    fit_start : float
        Smallest lag time in ps that entered the fit; the longest is the last of
        `lag_times`.
    intercept : float
        Intercept in nm² of the fitted line ``msd = 6 D t + intercept``.
    displacement : float
        Root mean square displacement at the longest lag in nm.
    exponent : float
        Slope of ln MSD over ln t at the longest lags, 1 of diffusion.
    regime : str
        "diffusive"; "caged", "faster" or "slower" where motion is not yet diffusive,
        and "ballistic" in free flight: `error` is wider for that, see `regime`.
    particles : int
        Number of atoms that the displacements are of.
    """

    coefficient: float
    error: float
    lag_times: np.ndarray
    msd: np.ndarray
    msd_error: np.ndarray
    fit_start: float
    intercept: float
    displacement: float = np.nan
    exponent: float = np.nan
    regime: str = "diffusive"
    particles: int = 0


def diffusion(
    trajectory,
    selection,
    *,
    time_step=None,
    remove_drift=True,
    reference="all",
    max_lag=None,
    fit_start=None,
    n_blocks=LONG_BLOCKS,
):
    """Self-diffusion coefficient of the selected atoms, D = MSD / 6t at long times.

    D is the best linear unbiased slope of the mean square displacements, with the
    covariance that they have in Brownian motion (`linear.line_weights`). Its error is
    a jackknife over blocks of time origins, which holds for hops and for particles that
    move together too, where that of Brownian motion is several times too small. Of what
    changes more slowly than a block it knows little. No correction for the finite box
    is made: see `yeh_hummer_correction`.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, equally spaced in time, or a stream of chunks. Frames
        must be close enough that no atom moves half a cell between two (see `unwrap`).
    selection : str or (n,) array of int
        Atoms to average over: an mdtraj selection such as ``"element Na"``, or indices.
    time_step : float, optional
        Time between frames in ps. Default: from ``trajectory.time``. Needed for files
        without times, such as DCD and PDB, whose frames mdtraj numbers 0, 1, 2, ...
    remove_drift : bool, optional
        Subtract the displacement of the centre of mass of the atoms of `reference`.
    reference : str or (n,) array of int, optional
        Default: all atoms. Of ions in a solid, its lattice.
    max_lag : float, optional
        Longest lag time in ps. Default: a fifth of the trajectory: at longer ones the
        MSD is the mean of few displacements, and hides where it becomes linear.
    fit_start : float, optional
        Lag time in ps at which motion is taken to be diffusive; shorter ones do not
        enter the fit. Default: found by comparing slopes (`linear_start`). Look at
        `plot_msd` before you trust it.
    n_blocks : int, optional
        Blocks of time origins that the errors come from. Five are as long as the
        longest lag is by default.

    Returns
    -------
    Diffusion
        D and its error in cm²/s, and at most 100 lags of the MSD.
    """
    reference = reference if remove_drift else None
    paths = follow(trajectory, selection, reference=reference, time_step=time_step)
    n_frames = len(paths.positions)
    if n_frames < _MIN_FRAMES:
        raise ValueError(
            f"expected at least {_MIN_FRAMES} frames, found {n_frames}; give a longer "
            "run, or frames at shorter intervals"
        )
    lags = _lags(n_frames, paths.time_step, max_lag)
    edges = _block_edges(n_frames, lags[-1], n_blocks)
    sums = [x[:, lags] for x in _squares(paths.positions, lags[-1], edges)]
    return _fit(lags, *sums, paths, fit_start)


def mean_square_displacement(positions, *, max_lag=None):
    r"""Mean square displacement over all atoms and all time origins.

    .. math:: MSD(m) = \langle |r_i(k + m) - r_i(k)|^2 \rangle_{i, k}

    computed in O(n log n) by fast Fourier transform (Calandrini, Pellegrini, Calligari,
    Hinsen and Kneller, Collect. SFN 12, 201, 2011, doi:10.1051/sfn/201112010).

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array
        Unwrapped positions in any unit of length, here nm.
    max_lag : int, optional
        Longest lag in frames. Default: n_frames - 1.

    Returns
    -------
    lags : (max_lag + 1,) array of int
        Lags in frames, from 0.
    msd : (max_lag + 1,) array
        Mean square displacement, in nm² for positions in nm.
    """
    positions = np.asarray(positions, dtype=float)
    if positions.ndim != 3 or positions.shape[1] == 0:
        raise ValueError(
            "expected positions of shape (n_frames, n_atoms, dimensions), found "
            f"{positions.shape}"
        )
    n_frames = len(positions)
    max_lag = n_frames - 1 if max_lag is None else max_lag
    if not 0 <= max_lag < n_frames:
        raise ValueError(f"expected 0 <= max_lag <= {n_frames - 1}, found {max_lag}")

    sums, counts = _squares(positions, max_lag, np.array([0, n_frames]))
    return np.arange(max_lag + 1), np.maximum(sums[0] / counts[0], 0.0)


def _fit(lags, squares, counts, paths, fit_start):
    """Lay a line through the MSD of block sums (n_blocks, n_lags); a Diffusion."""
    n_frames, n_atoms, _ = paths.positions.shape
    lag_times = lags * paths.time_step
    msd, msd_error = jackknife(np.divide, squares, counts)
    # Float32 coordinates of a few nm carry rounding errors near 1e-13 nm².
    if msd.max() < 1e-10 or not np.all(msd_error > 1e-9 * msd):
        raise ValueError(
            "expected atoms that move independently, found a largest mean square "
            f"displacement of {msd.max():.3g} nm², equal for all"
        )
    if fit_start is None:
        fit_start = lag_times[linear_start(lags, msd, n_frames, n_atoms, strict=True)]
    fitted = lag_times >= fit_start * (1 - 1e-6)
    if fitted.sum() < 3:
        raise SettingError(
            "expected at least 3 lag times from the start of the fit (--fit-start, "
            f"fit_start), {fit_start:.6g} ps, to the longest (--max-lag, max_lag), "
            f"{lag_times[-1]:.6g} ps, found {fitted.sum()}",
            "fit_start",
            "max_lag",
        )
    slope, intercept = line_weights(lags[fitted], n_frames)
    unit = NM2_PER_PS_TO_CM2_PER_S / (6 * paths.time_step)
    value, error = jackknife(
        lambda total, terms: unit * slope @ (total / terms),
        squares[:, fitted],
        counts[:, fitted],
    )
    regime = find_regime(lags, squares, counts, n_frames, n_atoms)
    later = later_slopes(lags[fitted], msd[fitted], n_frames)
    return Diffusion(
        coefficient=value,
        error=slope_error(
            value,
            error,
            regime,
            n_atoms,
            later=[unit * x for x in later],
            origin=unit * msd[-1] / lags[-1],
        ),
        lag_times=lag_times,
        msd=msd,
        msd_error=msd_error,
        fit_start=float(lag_times[fitted][0]),
        intercept=float(intercept @ msd[fitted]),
        displacement=regime.displacement,
        exponent=regime.exponent.value,
        regime=regime.name,
        particles=n_atoms,
    )


def _lags(n_frames, time_step, max_lag):
    """Lags in frames, at most `_MAX_LAGS`, equally spread up to `max_lag` ps."""
    # A single window of a single atom would have no variance.
    longest = (n_frames - 2) * time_step
    if max_lag is None:
        last = max(n_frames // 5, min(10, n_frames // 2))
    elif 3 * time_step <= max_lag <= longest * (1 + 1e-6):
        last = min(int(max_lag / time_step * (1 + 1e-6)), n_frames - 2)
    else:
        raise SettingError(
            f"expected a longest lag (--max-lag, max_lag) from {3 * time_step:.6g} to "
            f"{longest:.6g} ps, found {max_lag:.6g} ps",
            "max_lag",
        )
    return np.unique(np.linspace(1, last, min(last, _MAX_LAGS)).round().astype(int))


def _block_edges(n_frames, longest, n_blocks):
    """Edges of blocks of time origins, of which two at least have all lags."""
    check_blocks(n_blocks, n_frames, each=2)
    edges = block_edges(n_frames, n_blocks)
    origins = n_frames - longest
    if origins > edges[1]:
        return edges
    edges = block_edges(origins, min(n_blocks, origins))
    return np.append(edges[:-1], n_frames)


def _squares(positions, max_lag, edges):
    """Square displacements and their numbers, summed over origins between the edges.

    Returns
    -------
    sums, counts : (n_blocks, max_lag + 1) arrays
        Over atoms and time origins, at lags from 0.
    """
    n_frames, n_atoms, _ = positions.shape
    lags = np.arange(max_lag + 1)
    sums = np.zeros((len(edges) - 1, len(lags)))
    ends = np.clip(n_frames - lags, edges[:-1, None], edges[1:, None])
    # |r(k+m) - r(k)|² = r(k+m)² + r(k)² - 2 r(k+m)·r(k); the last term is a
    # correlation. A few atoms at a time, since the padded spectra are large.
    for first in range(0, n_atoms, _ATOMS):
        paths = positions[:, first : first + _ATOMS].reshape(n_frames, -1)
        # The three terms cancel: centring keeps them small, and rounding errors too.
        paths = paths - paths.mean(axis=0)
        square = np.cumsum(np.einsum("fx,fx->f", paths, paths))
        square = np.concatenate([[0.0], square])
        paths = np.ascontiguousarray(paths.T)
        for i, (start, stop) in enumerate(pairwise(edges)):
            padded = next_fast_len(int(stop - start + max_lag), real=True)
            product = rfft(paths[:, start:stop], n=padded)
            if stop == n_frames:  # nothing comes after the block
                product = product.real**2 + product.imag**2
            else:
                later = rfft(paths[:, start : stop + max_lag], n=padded)
                product = np.conj(product) * later
            correlation = irfft(product.sum(axis=0), n=padded)[: len(lags)]
            first_end, last_end = np.minimum([start + lags, ends[i] + lags], n_frames)
            sums[i] += square[ends[i]] - square[start] - 2 * correlation
            sums[i] += square[last_end] - square[first_end]
    return sums, (ends - edges[:-1, None]) * n_atoms
