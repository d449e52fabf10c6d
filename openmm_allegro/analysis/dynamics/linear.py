# SPDX-License-Identifier: MIT
"""Straight lines through mean square displacements: their start and their weights."""

import numpy as np

# How many times its error two slopes may differ while they agree: many are compared,
# the errors are uncertain where displacements are few, and a window that chance makes
# late costs more than one that is a little early.
_TOLERANCE = 4.0
# The same for the shortest lag of all, where there are particles enough: its slope is
# the most certain, and nothing keeps it apart from what comes before diffusion.
_TOLERANCE_OF_FIRST, FEW_PARTICLES = 2.0, 10
# A slope differs from its limit by less than the noise long before it is there. For a
# difference that decays as exp(-t / tau), of 10 % where seen, 0.1 % is left at thrice
# that lag.
_SAFETY = 3.0
# Times its start that a fit is begun again, to see whether the slope stays.
_LATER = (2, 3, 4, 6)


def linear_start(lags, msd, n_frames, n_particles, *, strict=False):
    """Index of the lag from which a mean square displacement grows linearly.

    Slopes are compared in pairs: from all lags beyond one, and from those beyond at
    least twice that. The estimate from more lags is the efficient one, so the variance
    of the difference is the difference of the variances (Hausman, Econometrica 46,
    1251, 1978, doi:10.2307/1913827), both for motion with the former slope. The motion
    starts to be diffusive at thrice the shortest lag whose slope agrees with that of
    every later start within 4 errors, or at once where the shortest lag of all does.

    Parameters
    ----------
    lags : (n_lags,) array of int
        Ascending, in frames.
    msd : (n_lags,) array
        Mean square displacements, in three dimensions.
    n_frames, n_particles : int
        What the displacements were averaged over.
    strict : bool, optional
        Whether the slope from the shortest lag has to agree within 2 errors, where
        there are 10 particles or more. Chance then makes more windows late, whose
        errors need `later_slopes`.

    Returns
    -------
    int
        At most the middle of the lags.
    """
    middle = len(lags) // 2
    starts = np.unique(np.geomspace(1, max(1, middle), 24).astype(int) - 1)
    slopes, variances = np.empty((2, len(starts)))
    for i, start in enumerate(starts):
        weights, error = slope_weights(lags[start:], n_frames)
        slopes[i] = weights @ msd[start:]
        variances[i] = error**2 / n_particles
    for i, start in enumerate(starts):
        later = lags[starts] >= 2 * lags[start]
        # Never exactly zero, where the two slopes come from nearly the same lags.
        variance = np.maximum(variances[later] - variances[i], 1e-6 * variances[i])
        # In errors of its own a slope that is low by chance would seem certain, and
        # start a window in which it is low.
        certain = strict and start == 0 and n_particles >= FEW_PARTICLES
        tolerance = _TOLERANCE_OF_FIRST if certain else _TOLERANCE
        allowed = tolerance * np.abs(slopes[i]) * np.sqrt(variance)
        if np.all(np.abs(slopes[later] - slopes[i]) < allowed):
            break
    if start == 0:
        return 0
    return min(int(np.searchsorted(lags, _SAFETY * lags[start])), middle)


def later_slopes(lags, msd, n_frames):
    """Slopes per frame of an MSD beyond several times the first of the lags of a fit.

    As many as leave more than half of the lag times, maybe none.
    """
    slopes = []
    for factor in _LATER:
        first = int(np.searchsorted(lags, factor * lags[0]))
        if len(lags) - first >= 3 and lags[first] <= lags[-1] / 2:
            weights, _ = line_weights(lags[first:], n_frames)
            slopes.append(float(weights @ msd[first:]))
    return slopes


def slope_weights(lags, n_frames):
    """Weights w of the best linear unbiased slope, w·MSD, and its relative error.

    Parameters
    ----------
    lags : (n_lags,) array of int
        Ascending, in frames, at least 2.
    n_frames : int
        Length of the path.

    Returns
    -------
    weights : (n_lags,) array
        Per frame.
    error : float
        Standard error over value, for one Brownian particle in three dimensions.
    """
    weights, _ = line_weights(lags, n_frames)
    covariance = brownian_covariance(lags, n_frames)
    return weights, float(np.sqrt(weights @ covariance @ weights))


def line_weights(lags, n_frames):
    """Weights (2, n_lags) of the best linear unbiased slope and intercept of an MSD.

    Generalised least squares with the covariance of Brownian motion (Bullerjahn, von
    Bülow and Hummer, J. Chem. Phys. 153, 024116, 2020, doi:10.1063/5.0008312). Times
    the mean square displacements at the `lags` they give the slope per frame and the
    intercept.
    """
    if len(lags) < 2:
        raise ValueError(
            f"expected at least 2 lag times in a fit, found {len(lags)}; give more "
            "frames or a longer --max-lag (max_lag)"
        )
    covariance = brownian_covariance(lags, n_frames)
    design = np.stack([lags, np.ones(len(lags))], axis=1).astype(float)
    solved = np.linalg.solve(covariance, design)
    return np.linalg.solve(design.T @ solved, solved.T)


def brownian_covariance(lags, n_frames):
    """Covariance (n_lags, n_lags) of the MSD of one Brownian particle of unit slope.

    Of averages over overlapping windows (Michalet, Phys. Rev. E 82, 041914, 2010,
    doi:10.1103/PhysRevE.82.041914), without the effect of the ends. Windows of m and
    n ≥ m frames share up to m, so that the squares of what they share sum to
    m (m - 1) (2 m - 1) / 3 + (n - m + 1) m².
    """
    lags = np.asarray(lags, dtype=float)
    short, long = np.minimum.outer(lags, lags), np.maximum.outer(lags, lags)
    shared = short * (short - 1) * (2 * short - 1) / 3 + (long - short + 1) * short**2
    return 2 / 3 * shared / (n_frames - short)
