# SPDX-License-Identifier: MIT
"""Shells of g(r): coordination numbers and potentials of mean force."""

from typing import NamedTuple

import numpy as np

from ...units import GAS_CONSTANT
from ..defaults import BIN_WIDTH, BLOCKS
from ..statistics import (
    holds_few,
    independent_values,
    jackknife,
    sum_blocks,
    widen,
)
from .first_shell import first_minimum
from .rdf import histograms

# Width [nm] on either side of the radius over which the number of neighbours grows.
_AROUND = 0.01


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
    r_range : (float, float) or None
        Radii in nm between which g(r) is as low as in its first minimum, within its
        noise; 68 % of such ranges hold it at least. None for a radius that was
        given.
    number_range : (float, float) or None
        Mean numbers of atoms b closer than these.
    growth : float
        Mean number of atoms b per nm of the radius, at `r_max`.
    """

    number: float
    r_max: float
    r_peak: float
    g_peak: float
    number_error: float = np.nan
    independent: float = np.nan
    few: bool = False
    r_range: tuple[float, float] | None = None
    number_range: tuple[float, float] | None = None
    growth: float = np.nan

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
        after its first peak that its noise does not explain; where g(r) is flat there,
        the middle of the flat part.
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
    shell, r_range, number_range = len(counts), None, None
    near = np.cumsum(counts) / histogram.exposure.sum()
    if first_shell:
        minimum = first_minimum(histogram, n_blocks)
        shell, bins = minimum.bin + 1, [minimum.first, minimum.last]
        r_range = tuple(map(float, edges[1:][bins]))
        number_range = tuple(map(float, near[bins]))
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
        r_range=r_range,
        number_range=number_range,
        growth=_growth(edges, near, shell),
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
    rt = GAS_CONSTANT * temperature
    known = distribution.g > 0
    g, error = distribution.g[known], distribution.g_error[known]
    return PotentialOfMeanForce(distribution.r[known], -rt * np.log(g), rt * error / g)


def _growth(edges, near, shell):
    """Neighbours per nm at the end of a shell, of those closer than each edge."""
    reach = max(1, round(_AROUND / (edges[1] - edges[0])))
    last = min(shell + reach, len(near)) - 1
    first = max(shell - reach - 1, 0)
    return float(
        (near[last] - near[first]) / max(edges[last + 1] - edges[first + 1], 1e-300)
    )


def _number(histogram, shell, n_blocks):
    """Mean neighbours in the first `shell` bins, and its error."""
    inside = histogram.counts[:, :shell].sum(axis=1)
    blocks = min(n_blocks, len(inside))
    if blocks < 2:
        return float(inside.sum() / histogram.exposure.sum()), np.nan
    inside, exposure = (sum_blocks(x, blocks) for x in (inside, histogram.exposure))
    return jackknife(np.divide, inside, exposure)
