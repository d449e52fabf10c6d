# SPDX-License-Identifier: MIT
"""Unwrapped paths, mean square displacements and diffusion coefficients."""

from typing import NamedTuple

import numpy as np

from .frames import cell_vectors, frame_interval, masses, select_atoms

_MIN_FRAMES = 20
_MAX_LAGS = 100
# 1 nm²/ps = 1e-14 cm² / 1e-12 s
_NM2_PER_PS_IN_CM2_PER_S = 1e-2


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
        Smallest lag time in ps that entered the fit.
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
    doi:10.1021/acs.jctc.4c01249). No correction for the finite box is made (Yeh and
    Hummer, doi:10.1021/jp0477147).

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        Frames with a unit cell, equally spaced in time. Frames must be close enough
        that no atom moves half a cell between two (see `unwrap`).
    selection : str or (n,) array of int
        Atoms to average over: an mdtraj selection such as ``"element Na"``, or indices.
    time_step : float, optional
        Time between frames in ps. Default: from ``trajectory.time``. Give it for DCD
        and PDB files, which store no times: mdtraj then numbers frames 0, 1, 2, ... ps.
    remove_drift : bool, optional
        Subtract the displacement of the centre of mass of *all* atoms.
    max_lag : float, optional
        Longest lag time in ps. Default: half the trajectory.
    fit_start : float, optional
        Lag time in ps at which motion is taken to be diffusive; shorter ones do not
        enter the fit. Default: a tenth of `max_lag`. Look at `plot_msd` before you
        trust it: sub-diffusive lags make D too large.
    seed : int, optional
        Seed of the sampling; the same seed gives the same numbers.

    Returns
    -------
    Diffusion
        D and its standard deviation in cm²/s, and at most 100 lags of the MSD.
    """
    atoms = select_atoms(trajectory, selection)
    if trajectory.n_frames < _MIN_FRAMES:
        raise ValueError(
            f"expected at least {_MIN_FRAMES} frames, found {trajectory.n_frames}"
        )
    time_step = frame_interval(trajectory.time, time_step)
    if remove_drift:
        positions = unwrap(trajectory)
        positions = positions[:, atoms] - _centre_of_mass(trajectory, positions)
    else:
        positions = unwrap(trajectory.atom_slice(atoms))

    lags = _lags(trajectory.n_frames, time_step, max_lag)
    lag_times = lags * time_step
    if fit_start is None:
        fit_start = 0.1 * lag_times[-1]
    fitted = lag_times >= fit_start * (1 - 1e-6)
    if fitted.sum() < 3:
        raise ValueError(
            f"expected at least 3 lag times from fit_start = {fit_start:.6g} ps to the "
            f"longest, {lag_times[-1]:.6g} ps, found {fitted.sum()}"
        )
    msd, variance, samples = _windowed(positions, lags)
    # Float32 coordinates of a few nm carry rounding errors near 1e-13 nm².
    if msd[fitted].max() < 1e-10 or not np.all(variance[fitted] > 0):
        raise ValueError(
            "expected atoms that move independently, found a largest mean square "
            f"displacement of {msd[fitted].max():.3g} nm², equal for all"
        )
    slopes, intercepts = _regression(
        lag_times[fitted], msd[fitted], variance[fitted], samples[fitted], seed
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


def unwrap(trajectory):
    """Positions that follow each atom through the periodic boundaries.

    The Cartesian displacements between successive frames, each brought to its minimum
    image in the cell of the later frame, are summed: the toroidal-view-preserving
    scheme (Bullerjahn, von Bülow, Heidari, Hénin and Hummer, J. Chem. Theory Comput.
    19, 3406, 2023, doi:10.1021/acs.jctc.3c00308). In a constant cell it is exact. In a
    fluctuating one (NPT) it keeps the diffusion right where summing displacements in
    fractional coordinates makes it too large, at a price: each atom goes its own way,
    so bonds across a boundary may stretch. Use it for paths, not for molecules.

    An atom must move less than half the smallest perpendicular width of the cell
    between frames; nothing in the trajectory could tell otherwise.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        Frames with a unit cell, orthorhombic or triclinic; wrapped or not, by atom or
        by molecule.

    Returns
    -------
    (n_frames, n_atoms, 3) array
        Positions in nm, the first frame as it is in the trajectory.
    """
    cells = cell_vectors(trajectory)
    inverse = np.linalg.inv(cells)
    positions = np.asarray(trajectory.xyz, dtype=float)
    # The scheme is defined on wrapped positions: of atoms many cells away from the
    # origin, a breathing cell moves the images but not the atoms.
    wrapped = positions - np.floor(positions @ inverse) @ cells
    steps = np.diff(wrapped, axis=0)
    # For steps under half the smallest width all fractional components are under 1/2,
    # in a triclinic cell too, so that rounding finds the minimum image.
    steps -= np.round(steps @ inverse[1:]) @ cells[1:]
    return np.concatenate([positions[:1], positions[0] + np.cumsum(steps, axis=0)])


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
    # autocorrelation. Atom by atom, since the padded spectra are large.
    total = np.zeros(max_lag + 1)
    for path in positions.transpose(1, 0, 2):
        # The three terms cancel: centring keeps them small, and rounding errors too.
        path = path - path.mean(axis=0)
        square = np.cumsum(np.concatenate([[0.0], np.sum(path**2, axis=1)]))
        spectrum = np.fft.rfft(path, n=2 * n_frames, axis=0)
        power = np.sum(np.abs(spectrum) ** 2, axis=1)
        correlation = np.fft.irfft(power)[: max_lag + 1]
        lags = np.arange(max_lag + 1)
        total += square[-1] - square[lags] + square[n_frames - lags] - 2 * correlation
    lags = np.arange(max_lag + 1)
    return lags, np.maximum(total / (n_atoms * (n_frames - lags)), 0.0)


def _centre_of_mass(trajectory, positions):
    """Path (n_frames, 1, 3) in nm of the centre of mass of all atoms."""
    weights = masses(trajectory)
    return np.einsum("i,fix->fx", weights / weights.sum(), positions)[:, None]


def _lags(n_frames, time_step, max_lag):
    """Lags in frames, at most `_MAX_LAGS`, equally spread up to `max_lag` ps."""
    # A single window of a single atom would have no variance.
    longest = (n_frames - 2) * time_step
    if max_lag is None:
        last = n_frames // 2
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
    msd, variance = np.empty(len(lags)), np.empty(len(lags))
    for i, lag in enumerate(lags):
        squares = np.sum((positions[lag:] - positions[:-lag]) ** 2, axis=-1)
        msd[i] = squares.mean()
        variance[i] = squares.var(ddof=1) / samples[i]
    return msd, variance, samples


def _regression(lag_times, msd, variance, samples, seed):
    """Posterior samples of the slope [nm²/ps] and the intercept [nm²] of the MSD."""
    import scipp
    from kinisi.diffusion import Diffusion as Regression

    # kinisi's parser would wrap the paths again, so its regression is fed directly.
    intervals = scipp.array(dims=["time interval"], values=lag_times, unit="ps")
    data = scipp.DataArray(
        scipp.array(
            dims=["time interval"], values=msd, variances=variance, unit="nm**2"
        ),
        coords={
            "time interval": intervals,
            "n_samples": scipp.array(dims=["time interval"], values=samples),
        },
    )
    fit = Regression(scipp.DataGroup(da=data, dimensionality=scipp.scalar(3)))
    # kinisi seeds NumPy's global generator, which belongs to the user.
    state = np.random.get_state()  # noqa: NPY002
    try:
        fit.bayesian_regression(
            start_dt=intervals[0],
            progress=False,
            random_state=np.random.RandomState(seed),
        )
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return fit.gradient.values, fit.intercept.values
