# SPDX-License-Identifier: MIT
"""First minimum of g(r), and how well its place is known."""

from typing import NamedTuple

import numpy as np

from ..defaults import BLOCKS
from ..statistics import few_factor, sum_blocks

# Widths [nm] of the Gaussians that smooth g(r) before its extrema are looked for: the
# first is below the width of the sharpest ion-water peaks and above two default bins,
# the last below half the way from a minimum to the next maximum in a liquid.
_SMOOTHING = (0.01, 0.02, 0.03)
# Least height of an extremum above the next, as a part of g at the peak, and of a
# minimum of no higher g than this.
_PART, _HIGH = 0.05, 2.0
# The same in standard deviations.
_SIGNIFICANT = 3.0
# Standard deviations within which g is as low as at its minimum, so that 68 % of the
# ranges hold it.
_AS_LOW = 1.0
# Width [nm] of what is higher between two dips.
_APART = 0.03
# Width [nm] over which the ratio of the variance of blocks to that of counts is pooled.
_POOLED = 0.1


class Minimum(NamedTuple):
    """Bin of a minimum of g(r), and those in which it may be as well.

    Attributes
    ----------
    bin, first, last : int
    """

    bin: int
    first: int
    last: int


def first_minimum(histogram, n_blocks=BLOCKS):
    """Find the first minimum after the first peak of the smoothed g(r).

    The curve is walked outwards; a peak (minimum) is believed once g has fallen
    (risen) from it by more than three times its noise and by 5 %, so that ripples of a
    few counts are passed over. The noise is that of counts, times the ratio by which
    blocks of frames vary more. Where noise hides a minimum from a narrow smoothing, the
    walk goes on to the second: of several smoothings the one that ends first is taken.

    Parameters
    ----------
    histogram : rdf.Histogram
    n_blocks : int, optional
        Blocks of frames that the noise comes from.

    Returns
    -------
    Minimum
        With all bins from the peak to the next maximum where g is as low as in the
        lowest within its noise, which is doubled at least where the frames hold few
        independent values.

    Raises
    ------
    ValueError
        If there is no such peak or minimum.
    """
    minima, errors = [], []
    for width in _SMOOTHING:
        g, noise = _smooth(histogram, width, n_blocks)
        try:
            peak, low, end = _walk(g, noise, histogram.edges)
        except ValueError as error:
            errors.append(error)
            continue
        inside = histogram.counts[:, : low + 1].sum(axis=1) / histogram.exposure
        noise = noise * few_factor(inside)
        minima.append(_lowest(g, noise, peak, low, end, histogram.edges, width))
    if not minima:
        raise errors[0]
    earliest = min(minima, key=lambda one: one.bin)
    chosen = next(one for one in minima if one.bin <= earliest.last)
    # Where noise hides which smoothing is right, it may be any of them.
    alike = [x for x in minima if x.first <= chosen.last and x.last >= chosen.first]
    first, last = min(x.first for x in alike), max(x.last for x in alike)
    return Minimum(chosen.bin, first, last)


def _walk(g, noise, edges):
    """Walk outwards to the bins of a peak, a minimum and where g has risen again."""
    peak = low = 0
    falling = False
    for i in range(1, len(g)):
        extremum = low if falling else peak
        step = _SIGNIFICANT * np.hypot(noise[i], noise[extremum])
        if not falling:
            if g[i] >= g[peak]:
                peak = i
            elif g[peak] - g[i] > max(_PART * g[peak], step):
                falling, low = True, i
        elif g[i] < g[low]:
            low = i
        elif g[i] - g[low] > max(_PART * max(g[low], min(g[peak], _HIGH)), step):
            return peak, low, i
    sought = "minimum after the first peak" if falling else "peak"
    raise ValueError(
        f"expected g(r) to have a first peak and a minimum, found no clear {sought} up "
        f"to {edges[-1]:.4g} nm; give the radius of the shell (--shell, r_max), or "
        "more frames"
    )


def _lowest(g, noise, peak, low, end, edges, width):
    """Make the Minimum of the bins from a peak to a rise where g is lowest."""
    distances = (np.arange(peak, end) - low) * (edges[1] - edges[0])
    # Neighbours share most of the counts that they are smoothed of.
    shared = np.exp(-0.25 * (distances / width) ** 2) * noise[low]
    apart = noise[peak:end] ** 2 + noise[low] ** 2 - 2 * shared * noise[peak:end]
    as_low = g[peak:end] - g[low] <= _AS_LOW * np.sqrt(np.maximum(apart, 0))
    inside = peak + np.flatnonzero(as_low)
    # Of two dips that are as low within noise the shell ends in the first.
    gap = max(1, round(_APART / (edges[1] - edges[0])))
    first = np.split(inside, np.flatnonzero(np.diff(inside) > gap) + 1)[0]
    # Between sharp shells g is zero over a stretch: cut in its middle.
    flat = first[g[first] <= g[first].min()]
    return Minimum(int(flat[len(flat) // 2]), int(inside[0]), int(inside[-1]))


def _smooth(histogram, smoothing, n_blocks):
    """g(r) smoothed by a Gaussian of a width in nm, and its standard deviation."""
    counts, ideal = histogram.counts.sum(axis=0), histogram.ideal.sum(axis=0)
    width = histogram.edges[1] - histogram.edges[0]
    reach = min(int(np.ceil(4 * smoothing / width)), (len(counts) - 1) // 2)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * width / smoothing) ** 2)
    # Counts are smoothed, not g: bins near r = 0, of few counts, then weigh little.
    expected = np.convolve(ideal, kernel, mode="same")
    g = np.convolve(counts, kernel, mode="same") / expected
    variance = np.convolve(np.maximum(counts, 1), kernel**2, mode="same")
    return g, np.sqrt(variance * _excess(histogram, kernel, variance, n_blocks)) / (
        expected
    )


def _excess(histogram, kernel, variance, n_blocks):
    """Ratio (n_bins,) by which smoothed counts vary more than independent ones."""
    n_blocks = min(n_blocks, len(histogram.counts))
    if n_blocks < 2:
        return 1.0
    counts, ideal = (sum_blocks(x, n_blocks) for x in histogram[1:3])
    expected = ideal * (counts.sum(axis=0) / ideal.sum(axis=0))
    rows = [np.convolve(x, kernel, mode="same") for x in counts - expected]
    seen = np.square(rows).sum(axis=0) * n_blocks / (n_blocks - 1)
    # Of a few blocks the variance in one bin says little: that around it is taken.
    reach = int(np.ceil(0.5 * _POOLED / (histogram.edges[1] - histogram.edges[0])))
    around = np.ones(2 * min(reach, (len(variance) - 1) // 2) + 1)
    pooled = (np.convolve(x, around, mode="same") for x in (seen, variance))
    return np.maximum(np.divide(*pooled), 1.0)
