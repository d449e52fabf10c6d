# SPDX-License-Identifier: MIT
"""Shells of g(r): coordination numbers and potentials of mean force."""

from typing import NamedTuple

import numpy as np
from scipy.constants import gas_constant

from ..defaults import BIN_WIDTH, BLOCKS
from ..statistics import (
    holds_few,
    independent_values,
    jackknife,
    sum_blocks,
    widen,
)
from .rdf import histograms

# Width [nm] of the Gaussian that smooths g(r) before its extrema are looked for:
# below the width of the sharpest ion-water peaks, above two default bins.
_SMOOTHING = 0.01


class Coordination(NamedTuple):
    """Mean number of neighbours, and the shell in which they were counted.

    Attributes
    ----------
    number : float
        Mean number of atoms b closer than `r_max` to an atom a.
    r_max : float
        Radius of the shell in nm.
    r_peak : float
        Distance in nm of the highest g(r) within `r_max`.
    g_peak : float
        g(r) there, dimensionless.
    number_error : float
        Half-width of the 68 % interval of `number`; NaN for a single frame.
    independent : float
        Independent values of the number over time; fewer than 20 widen its error.
    few : bool
        Whether they are fewer.
    """

    number: float
    r_max: float
    r_peak: float
    g_peak: float
    number_error: float = np.nan
    independent: float = np.nan
    few: bool = False

    @property
    def holds_more(self):
        """True if the shell reaches beyond √3 `r_peak`, to the second neighbours.

        That far they are in a dense packing of equal spheres; the g(r) of a liquid
        whose first minimum is hidden has its next one there.
        """
        return self.r_max > np.sqrt(3) * self.r_peak


class PotentialOfMeanForce(NamedTuple):
    """Potential of mean force; unpacks as ``r, potential, error``.

    Attributes
    ----------
    r : (n_bins,) array
        Distances in nm where g(r) is above zero.
    potential, error : (n_bins,) arrays
        -RT ln g(r) in kJ/mol, zero at infinite distance.
    """

    r: np.ndarray
    potential: np.ndarray
    error: np.ndarray


def coordination_number(
    trajectory,
    selection_a,
    selection_b,
    *,
    r_max=None,
    bin_width=BIN_WIDTH,
    n_blocks=BLOCKS,
):
    """Mean number of atoms b within `r_max` of an atom a.

    The neighbours are counted, not integrated from a normalised g(r), so the number is
    exact for the frames given, for like species and for a changing cell alike.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, or a stream of chunks, as in `rdf`.
    selection_a, selection_b : str or (n,) array of int
        Centres and neighbours, as in `rdf`.
    r_max : float, optional
        Radius of the shell in nm. Default: the first minimum of the smoothed g(r)
        after its first peak; where g(r) is flat there, the middle of the flat part.
    bin_width : float, optional
        Width in nm of the bins in which extrema of g(r) are looked for.
    n_blocks : int, optional
        Blocks of frames that the error comes from, fewer of fewer frames.

    Returns
    -------
    Coordination
        Number and the radius used [nm], position [nm] and height of the peak.

    Raises
    ------
    ValueError
        If no `r_max` is given and g(r) has no clear first peak and minimum.
    """
    (counted,) = histograms(trajectory, [(selection_a, selection_b)], r_max, bin_width)
    return coordination_of(counted, first_shell=r_max is None, n_blocks=n_blocks)


def coordination_of(histogram, *, first_shell=True, n_blocks=BLOCKS):
    """Coordination of a `rdf.Histogram`: of its first shell, or of all of it."""
    edges = histogram.edges
    counts, ideal = histogram.counts.sum(axis=0), histogram.ideal.sum(axis=0)
    shell = _first_minimum(edges, counts, ideal) + 1 if first_shell else len(counts)
    g = counts[:shell] / ideal[:shell]
    peak = int(np.argmax(g))
    number, error = _number(histogram, shell, n_blocks)
    by_stretch = histogram.counts[:, :shell].sum(axis=1) / histogram.exposure
    return Coordination(
        number=number,
        r_max=float(edges[shell]),
        r_peak=float(0.5 * (edges[peak] + edges[peak + 1])),
        g_peak=float(g[peak]),
        number_error=widen(error, by_stretch),
        independent=independent_values(by_stretch),
        few=holds_few(by_stretch),
    )


def potential_of_mean_force(distribution, temperature):
    """Reversible work of bringing two atoms to a distance r, W(r) = -RT ln g(r).

    Chandler, Introduction to Modern Statistical Mechanics, 1987, section 7.3.

    Parameters
    ----------
    distribution : RadialDistribution
        From `radial_distributions`.
    temperature : float
        In K.

    Returns
    -------
    PotentialOfMeanForce
        Only of distances at which pairs were found.
    """
    if not temperature > 0:
        raise ValueError(f"expected a temperature above 0 K, found {temperature:.6g} K")
    rt = 1e-3 * gas_constant * temperature
    known = distribution.g > 0
    g, error = distribution.g[known], distribution.g_error[known]
    return PotentialOfMeanForce(distribution.r[known], -rt * np.log(g), rt * error / g)


def _number(histogram, shell, n_blocks):
    """Mean neighbours in the first `shell` bins, and its error."""
    inside = histogram.counts[:, :shell].sum(axis=1)
    blocks = min(n_blocks, len(inside))
    if blocks < 2:
        return float(inside.sum() / histogram.exposure.sum()), np.nan
    inside, exposure = (sum_blocks(x, blocks) for x in (inside, histogram.exposure))
    return jackknife(np.divide, inside, exposure)


def _first_minimum(edges, counts, ideal):
    """Bin of the first minimum after the first peak of the smoothed g(r).

    The curve is walked outwards; a peak (minimum) is believed once g has fallen
    (risen) from it by more than its noise and 5 % of the highest g so far, so ripples
    of a few counts are passed over.
    """
    g, noise = _smooth(edges, counts, ideal)
    peak = low = 0
    falling = False
    for i in range(1, len(g)):
        extremum = low if falling else peak
        step = max(0.05 * g[peak], 4 * np.hypot(noise[i], noise[extremum]))
        if not falling:
            if g[i] >= g[peak]:
                peak = i
            elif g[peak] - g[i] > step:
                falling, low = True, i
        elif g[i] < g[low]:
            low = i
        elif g[i] - g[low] > step:
            # Between sharp shells g is zero over a stretch: cut in its middle.
            flat = peak + np.flatnonzero(g[peak:i] <= g[low])
            return int(flat[len(flat) // 2])
    sought = "minimum after the first peak" if falling else "peak"
    raise ValueError(
        f"expected g(r) to have a first peak and a minimum, found no clear {sought} up "
        f"to {edges[-1]:.4g} nm; give r_max, or more frames"
    )


def _smooth(edges, counts, ideal):
    """g(r) smoothed by a Gaussian, and its standard deviation if counts are Poisson."""
    width = edges[1] - edges[0]
    reach = min(int(np.ceil(4 * _SMOOTHING / width)), (len(counts) - 1) // 2)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * width / _SMOOTHING) ** 2)
    # Counts are smoothed, not g: bins near r = 0, of few counts, then weigh little.
    expected = np.convolve(ideal, kernel, mode="same")
    g = np.convolve(counts, kernel, mode="same") / expected
    variance = np.convolve(np.maximum(counts, 1), kernel**2, mode="same")
    return g, np.sqrt(variance) / expected
