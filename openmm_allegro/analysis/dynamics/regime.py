# SPDX-License-Identifier: MIT
"""Regime of motion: whether displacements are diffusive, and errors where they are not.

The slope of a mean square displacement is 6 D only once particles have forgotten how
they began to move and have left the cage of their neighbours. Before, the scatter of
blocks knows nothing of how far the slope is from its limit.
"""

from typing import NamedTuple

import numpy as np

from ..statistics import Estimate, jackknife
from .linear import FEW_PARTICLES, brownian_covariance, slope_weights

# Particles that have moved less than this, in nm, have not left their neighbours.
NEIGHBOR = 0.3
# Exponents of free flight, from which no diffusion coefficient can be told, of motion
# that is still on its way from there, and of motion that cages hold back.
_FLIGHT, _FASTER, _SLOWER = 1.5, 1.2, 0.75
# Of a velocity that decays exponentially, the slope misses its limit by up to this
# many times the difference between the slope and MSD / t, at an exponent below 1.5.
_SAFETY = 1.5


class Regime(NamedTuple):
    """Motion at the longest lag of a mean square displacement.

    Attributes
    ----------
    name : str
        "ballistic", "caged", "faster" or "slower" than diffusion, or "diffusive".
    displacement : float
        Root of the mean square displacement at the longest lag, in nm.
    exponent : Estimate
        Slope of ln MSD over ln t in the later half of the lags: 1 of diffusion, 2 of
        free flight, 0 in a cage.
    """

    name: str
    displacement: float
    exponent: Estimate


def find_regime(lags, squares, counts, n_frames, n_particles):
    """Find the regime of motion of a mean square displacement.

    Parameters
    ----------
    lags : (n_lags,) array of int
        Ascending, in frames.
    squares, counts : (n_blocks, n_lags) arrays
        Square displacements in nm², summed over particles and time origins by blocks,
        and their numbers.
    n_frames, n_particles : int
        What the displacements were averaged over.

    Returns
    -------
    Regime
    """
    half = min(int(np.searchsorted(lags, lags[-1] / 2)), len(lags) - 2)
    ends = [half, -1]

    def slope(total, terms):
        first, last = np.log(total / terms)
        return (last - first) / np.log(lags[-1] / lags[half])

    exponent = jackknife(slope, squares[:, ends], counts[:, ends])
    # Blocks of few particles know too little of the scatter.
    least = _brownian_error(lags[ends], n_frames) / np.sqrt(n_particles)
    exponent = exponent._replace(error=max(exponent.error, least))
    last = squares[:, -1].sum() / counts[:, -1].sum()
    displacement = float(np.sqrt(max(last, 0.0)))
    return Regime(_name(displacement, exponent), displacement, exponent)


def slope_error(slope, error, regime, n_particles, *, later, origin):
    """Widen the error of a slope so that it holds what later slopes may be.

    That of free flight is infinite: it tells no coefficient, and no bound of one.

    Parameters
    ----------
    slope, error : float
        Of the fitted line.
    regime : Regime
    n_particles : int
    later : sequence of float
        Slopes of fits that begin later, maybe none.
    origin : float
        MSD / t at the longest lag, in the unit of the slope.

    Returns
    -------
    float
    """
    if regime.name == "ballistic":
        return np.inf
    error = max(error, *(abs(slope - x) for x in (slope, *later)))
    if n_particles < FEW_PARTICLES:
        error = max(error, abs(slope - origin))
    if regime.name == "caged":  # any slope from 0 to that of the rattling
        return max(error, abs(slope), abs(origin))
    if regime.name != "diffusive":
        return max(error, _SAFETY * abs(slope - origin))
    return error


def late_motion(path):
    """Displacement of particles over a fifth of their path, and its late slope.

    Parameters
    ----------
    path : (n_frames, n_particles, 3) array
        Unwrapped, in nm.

    Returns
    -------
    displacement : float
        Root of the mean square in nm.
    slope : Estimate
        Of the mean square over time from a tenth of the path to a fifth, per frame,
        with the standard error of Brownian motion.
    """
    n_frames, n_particles, _ = path.shape
    lags = np.array([max(1, n_frames // 10), max(2, n_frames // 5)])
    early, late = (_mean_square(path, lag) for lag in lags)
    _, relative = slope_weights(lags, n_frames)
    slope = (late - early) / (lags[1] - lags[0])
    error = abs(slope) * relative / np.sqrt(n_particles)
    return float(np.sqrt(late)), Estimate(float(slope), float(error))


def _mean_square(path, lag):
    """Mean square displacement after a lag in frames."""
    moved = path[lag:] - path[:-lag]
    return float(np.einsum("fix,fix->", moved, moved) / moved[..., 0].size)


def _brownian_error(lags, n_frames):
    """Standard error of the exponent between two lags, of one Brownian particle."""
    weights = np.array([-1.0, 1.0]) / lags
    covariance = brownian_covariance(lags, n_frames)
    return np.sqrt(weights @ covariance @ weights) / np.log(lags[1] / lags[0])


def _name(displacement, exponent):
    """Name the regime of a displacement in nm and an exponent."""
    value, error = exponent
    if value - error > _FLIGHT:
        return "ballistic"
    if displacement < NEIGHBOR:
        return "caged"
    if value - error > _FASTER:
        return "faster"
    return "slower" if value + error < _SLOWER else "diffusive"
