# SPDX-License-Identifier: MIT
"""Mean square displacements and self-diffusion coefficients."""

from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from .linear import brownian_covariance, linear_start, slope
from .unwrap import follow

_MIN_FRAMES = 20
_MAX_LAGS = 100
# 1 nm²/ps = 1e-14 cm² / 1e-12 s
_NM2_PER_PS_IN_CM2_PER_S = 1e-2
# Time origins from which the spread of the displacements is taken.
_ORIGINS = 1000
# Atoms whose spectra are held at a time.
_ATOMS = 50


class Diffusion(NamedTuple):
    """Self-diffusion coefficient with its uncertainty, and the data it came from.

    Attributes
    ----------
    coefficient : float
        Mean of the posterior of D in cm²/s.
    error : float
        Standard deviation of that posterior in cm²/s.
    lag_times : (n_lags,) array
        Lag times in ps.
    msd : (n_lags,) array
        Mean square displacement in nm².
    msd_error : (n_lags,) array
        Standard error of `msd` in nm².
    fit_start : float
        Smallest lag time in ps that entered the fit; the longest is the last of
        `lag_times`.
    intercept : float
        Intercept in nm² of the fitted line ``msd = 6 D t + intercept``.
    """

    coefficient: float
    error: float
    lag_times: np.ndarray
    msd: np.ndarray
    msd_error: np.ndarray
    fit_start: float
    intercept: float


def diffusion(
    trajectory,
    selection,
    *,
    time_step=None,
    remove_drift=True,
    max_lag=None,
    fit_start=None,
    seed=0,
):
    """Self-diffusion coefficient of the selected atoms, D = MSD / 6t at long times.

    kinisi estimates it: Bayesian regression of the mean square displacements with their
    full covariance, which gives D the least statistical error and an honest one
    (McCluskey, Coles and Morgan, J. Chem. Theory Comput. 21, 79, 2025,
    doi:10.1021/acs.jctc.4c01249); the covariance is that of Brownian motion over
    overlapping windows (`linear.brownian_covariance`). No correction for the finite
    box is made: see `yeh_hummer_correction`.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, equally spaced in time, or a stream of chunks. Frames
        must be close enough that no atom moves half a cell between two (see `unwrap`).
    selection : str or (n,) array of int
        Atoms to average over: an mdtraj selection such as ``"element Na"``, or indices.
    time_step : float, optional
        Time between frames in ps. Default: from ``trajectory.time``. Give it for DCD
        and PDB files, which store no times: mdtraj then numbers frames 0, 1, 2, ... ps.
    remove_drift : bool, optional
        Subtract the displacement of the centre of mass of *all* atoms.
    max_lag : float, optional
        Longest lag time in ps. Default: a fifth of the trajectory: at longer ones the
        MSD is the mean of few displacements, and hides where it becomes linear.
    fit_start : float, optional
        Lag time in ps at which motion is taken to be diffusive; shorter ones do not
        enter the fit. Default: found by comparing slopes (`linear_start`). Look at
        `plot_msd` before you trust it.
    seed : int, optional
        Seed of the sampling; the same seed gives the same numbers.

    Returns
    -------
    Diffusion
        D and its standard deviation in cm²/s, and at most 100 lags of the MSD.
    """
    reference = "all" if remove_drift else None
    paths = follow(trajectory, selection, reference=reference, time_step=time_step)
    n_frames = len(paths.positions)
    if n_frames < _MIN_FRAMES:
        raise ValueError(f"expected at least {_MIN_FRAMES} frames, found {n_frames}")
    lags = _lags(n_frames, paths.time_step, max_lag)
    lag_times = lags * paths.time_step
    msd, variance, samples = _windowed(paths.positions, lags)
    # Float32 coordinates of a few nm carry rounding errors near 1e-13 nm².
    if msd.max() < 1e-10 or not np.all(variance > 0):
        raise ValueError(
            "expected atoms that move independently, found a largest mean square "
            f"displacement of {msd.max():.3g} nm², equal for all"
        )
    if fit_start is None:
        fit_start = lag_times[linear_start(lags, msd, n_frames, len(paths.atoms))]
    fitted = lag_times >= fit_start * (1 - 1e-6)
    if fitted.sum() < 3:
        raise ValueError(
            f"expected at least 3 lag times from fit_start = {fit_start:.6g} ps to the "
            f"longest, {lag_times[-1]:.6g} ps, found {fitted.sum()}"
        )
    of_one = brownian_covariance(lags[fitted], n_frames)
    per_frame, _ = slope(lags[fitted], msd[fitted], n_frames, 1)
    covariance = of_one * per_frame**2 / len(paths.atoms)
    slopes, intercepts = _regression(
        lag_times[fitted], msd[fitted], covariance, samples[fitted], seed
    )
    coefficients = slopes / 6 * _NM2_PER_PS_IN_CM2_PER_S
    return Diffusion(
        coefficient=float(coefficients.mean()),
        error=float(coefficients.std(ddof=1)),
        lag_times=lag_times,
        msd=msd,
        msd_error=np.sqrt(variance),
        fit_start=float(lag_times[fitted][0]),
        intercept=float(intercepts.mean()),
    )


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
    n_frames, n_atoms, _ = positions.shape
    max_lag = n_frames - 1 if max_lag is None else max_lag
    if not 0 <= max_lag < n_frames:
        raise ValueError(f"expected 0 <= max_lag <= {n_frames - 1}, found {max_lag}")

    # |r(k+m) - r(k)|² = r(k+m)² + r(k)² - 2 r(k+m)·r(k); the last term is an
    # autocorrelation. A few atoms at a time, since the padded spectra are large.
    lags = np.arange(max_lag + 1)
    padded = next_fast_len(n_frames + max_lag, real=True)
    total = np.zeros(max_lag + 1)
    for first in range(0, n_atoms, _ATOMS):
        paths = positions[:, first : first + _ATOMS]
        # The three terms cancel: centring keeps them small, and rounding errors too.
        paths = paths - paths.mean(axis=0)
        square = np.cumsum(np.einsum("fix,fix->f", paths, paths))
        square = np.concatenate([[0.0], square])
        spectrum = rfft(paths.reshape(n_frames, -1).T, n=padded)
        power = np.sum(spectrum.real**2 + spectrum.imag**2, axis=0)
        correlation = irfft(power, n=padded)[: max_lag + 1]
        total += square[-1] - square[lags] + square[n_frames - lags] - 2 * correlation
    return lags, np.maximum(total / (n_atoms * (n_frames - lags)), 0.0)


def _lags(n_frames, time_step, max_lag):
    """Lags in frames, at most `_MAX_LAGS`, equally spread up to `max_lag` ps."""
    # A single window of a single atom would have no variance.
    longest = (n_frames - 2) * time_step
    if max_lag is None:
        last = max(n_frames // 5, min(10, n_frames // 2))
    elif 3 * time_step <= max_lag <= longest * (1 + 1e-6):
        last = min(int(max_lag / time_step * (1 + 1e-6)), n_frames - 2)
    else:
        raise ValueError(
            f"expected max_lag from {3 * time_step:.6g} to {longest:.6g} ps, found "
            f"{max_lag:.6g} ps"
        )
    return np.unique(np.linspace(1, last, min(last, _MAX_LAGS)).round().astype(int))


def _windowed(positions, lags):
    """MSD [nm²], variance of that mean [nm⁴] and independent samples, each (n_lags,).

    Windows overlap, so the number of independent displacements at a lag is that of
    windows laid end to end, times atoms (doi:10.1021/acs.jctc.4c01249).
    """
    samples = positions.shape[1] * (len(positions) - 1) / lags
    _, msd = mean_square_displacement(positions, max_lag=lags[-1])
    variance = np.empty(len(lags))
    for i, lag in enumerate(lags):
        # The spread of the squares needs no more origins than this.
        origins = slice(None, -lag, max(1, (len(positions) - lag) // _ORIGINS))
        squares = np.zeros(positions[origins].shape[:2])
        for x in range(positions.shape[2]):
            path = positions[..., x]
            squares += (path[lag:][:: origins.step] - path[origins]) ** 2
        variance[i] = squares.var(ddof=1) / samples[i]
    return msd[lags], variance, samples


def _regression(lag_times, msd, covariance, samples, seed):
    """Posterior samples of the slope [nm²/ps] and the intercept [nm²] of the MSD."""
    import scipp
    from kinisi.diffusion import Diffusion as Regression

    # kinisi's parser would wrap the paths again, so its regression is fed directly.
    intervals = scipp.array(dims=["time interval"], values=lag_times, unit="ps")
    data = scipp.DataArray(
        scipp.array(
            dims=["time interval"],
            values=msd,
            variances=np.diag(covariance).copy(),
            unit="nm**2",
        ),
        coords={
            "time interval": intervals,
            "n_samples": scipp.array(dims=["time interval"], values=samples),
        },
    )
    fit = Regression(scipp.DataGroup(da=data, dimensionality=scipp.scalar(3)))
    # kinisi's own takes windows that overlap for windows end to end, with the spread
    # found at each lag: the error is then too large, and D too small where the motion
    # is diffusive late.
    matrix = scipp.array(dims=["i", "j"], values=covariance, unit="nm**4")
    fit.compute_covariance_matrix = lambda: matrix
    # kinisi seeds NumPy's global generator, which belongs to the user.
    state = np.random.get_state()  # noqa: NPY002
    try:
        fit.bayesian_regression(
            start_dt=intervals[0],
            progress=False,
            # Walkers start at an intercept of 0 and have far to go to the right one:
            # few of them for long, where kinisi's default is many for a short time.
            n_walkers=16,
            n_samples=1000,
            n_burn=1000,
            random_state=np.random.RandomState(seed),
        )
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return fit.gradient.values, fit.intercept.values
