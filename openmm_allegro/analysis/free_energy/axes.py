# SPDX-License-Identifier: MIT
"""Axes of free energy surfaces: a collective variable each, cut into bins."""

from typing import NamedTuple

import numpy as np

# Part of a period by which an axis that is one may differ.
_RTOL = 1e-9
# Bins of an axis whose width is not given: of one variable, and of each of two.
BINS, BINS_OF_TWO = 60, 36


class Axis(NamedTuple):
    """A collective variable, cut into bins.

    Attributes
    ----------
    name : str
    unit : str
    edges : (n + 1,) array
        Of the bins, ascending, of one width.
    period : float or None
        Length after which the variable repeats, at least that of the axis.
    """

    name: str
    unit: str
    edges: np.ndarray
    period: float | None = None

    @property
    def centers(self):
        """Middles (n,) of the bins."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    @property
    def width(self):
        """Width of a bin."""
        return float(self.edges[1] - self.edges[0])

    @property
    def periodic(self):
        """Whether the last bin is beside the first."""
        if self.period is None:
            return False
        length = self.edges[-1] - self.edges[0]
        return bool(np.isclose(length, self.period, rtol=_RTOL, atol=0.0))

    @property
    def label(self):
        """Name with its unit: ``r (nm)``."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def distances(self, values):
        """Differences of values to each other's nearest image, where they repeat."""
        if self.period is None:
            return values
        return values - self.period * np.round(values / self.period)

    def bins(self, values):
        """Bin of each value (n,); -1 outside."""
        values = np.asarray(values, dtype=float)
        if self.period is not None:
            values = self.edges[0] + np.mod(values - self.edges[0], self.period)
        places = np.floor((values - self.edges[0]) / self.width).astype(int)
        # a period added to a small negative number may be the upper edge
        if self.periodic:
            places = np.minimum(places, len(self.edges) - 2)
        return np.where((places >= 0) & (places < len(self.edges) - 1), places, -1)


def make_axis(name, unit, values, *, period=None, limits=None, bins=BINS):
    """Cut the range of a variable into bins.

    Parameters
    ----------
    name, unit : str
    values : (n,) array
        Where it was.
    period : float, optional
        Of an angle.
    limits : (float, float), optional
        Lowest and highest value. Default: those of `values`, or one period about 0.
        Values of an angle are taken to the image between them.
    bins : int, optional

    Returns
    -------
    Axis

    Raises
    ------
    ValueError
        If there is no range, or one of more than a period.
    """
    if not bins >= 3:
        raise ValueError(f"expected at least 3 bins of {name}, found {bins}")
    if limits is None and period is not None:
        edges = np.linspace(-0.5 * period, 0.5 * period, bins + 1)
        return Axis(name, unit, edges, period)
    if limits is None:
        values = np.asarray(values, dtype=float)
        limits = values.min(), np.nextafter(values.max(), np.inf)
    low, high = map(float, limits)
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            f"expected a lower and a higher limit of {name}, found {low:g} and {high:g}"
        )
    if period is not None and high - low > period * (1 + _RTOL):
        raise ValueError(
            f"expected limits of {name} at most {period:g} {unit} apart, after which "
            f"it repeats, found {low:g} and {high:g}"
        )
    return Axis(name, unit, np.linspace(low, high, bins + 1), period)


def volume_of(axes):
    """Volume of a bin of a surface, in the product of the axes' units."""
    return float(np.prod([axis.width for axis in axes]))


def flat_bins(axes, values):
    """Number of each sample's bin (n,) in the flattened grid; -1 outside.

    Parameters
    ----------
    axes : sequence of d Axis
    values : (n, d) array
    """
    places = [axis.bins(column) for axis, column in zip(axes, values.T, strict=True)]
    shape = shape_of(axes)
    inside = np.all([place >= 0 for place in places], axis=0)
    flat = np.ravel_multi_index([np.where(inside, p, 0) for p in places], shape)
    return np.where(inside, flat, -1)


def shape_of(axes):
    """Numbers of bins along the axes."""
    return tuple(len(axis.edges) - 1 for axis in axes)
