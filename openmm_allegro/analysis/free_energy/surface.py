# SPDX-License-Identifier: MIT
r"""Free energy surfaces by reweighting, and errors of all that is read off them.

The free energy of collective variables s at temperature T is

.. math:: F(s) = -R T \ln p(s)

with the probability density p(s) of the system without bias. Of a run with a bias
potential V, sample t stands for :math:`w_t = \exp(V(s_t, t) / R T)` of them (Torrie and
Valleau, J. Comput. Phys. 23, 187, 1977, doi:10.1016/0021-9991(77)90121-8).
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...units import GAS_CONSTANT
from ..statistics import (
    block_edges,
    check_blocks,
    few_factor,
    independent_values,
    student_factor,
)
from .axes import flat_bins, shape_of, volume_of

# Blocks of a run in which a bin was visited, below which its error is not known.
LEAST_BLOCKS = 3


class Replicates(NamedTuple):
    """What a surface becomes where a part of the data is left out.

    Attributes
    ----------
    values : (n, ...) array
        Surfaces in kJ/mol, up to a constant each.
    groups : (n,) array of int
        The run or window that each has left a block of out.
    factors : (groups,) array
        By which the errors of each group are wider than the spread of `values` tells.
    visits : (n, ...) array of bool
        Bins that the run was in during the block that is left out.
    """

    values: np.ndarray
    groups: np.ndarray
    factors: np.ndarray
    visits: np.ndarray

    def error(self, values):
        """Half-width of the 68 % interval of what was computed of each replicate.

        The jackknife of each group, see `statistics.jackknife`; groups are independent
        of each other.

        Parameters
        ----------
        values : (n, ...) array
        """
        values = np.asarray(values, dtype=float)
        values = np.where(np.isfinite(values), values, np.nan)  # of nothing left
        variance = 0.0
        for group in np.unique(self.groups):
            some = values[self.groups == group]
            n = len(some)
            spread = np.sum((some - some.mean(axis=0)) ** 2, axis=0)
            variance += self.factors[group] ** 2 * (1 - 1 / n) * spread
        return student_factor(np.bincount(self.groups).min()) * np.sqrt(variance)


@dataclass(frozen=True)
class Surface:
    r"""Free energy over one or two collective variables.

    Attributes
    ----------
    axes : tuple of Axis
    values : array
        In kJ/mol, 0 at the lowest; NaN in bins that were not visited.
    errors : array
        Half-widths of 68 % intervals of :math:`-R T \ln p`, with the density p
        normalised over the surface, in kJ/mol; NaN where they are not known.
    temperature : float
        In K.
    replicates : Replicates
    independent : float
        Independent values of the slowest variable, in all runs.
    effective : float
        Samples without bias that would be as good as the weighted ones, by Kish:
        (Σw)²/Σw², of all samples, correlated or not; NaN where it has no meaning.
    """

    axes: tuple
    values: np.ndarray
    errors: np.ndarray
    temperature: float
    replicates: Replicates
    independent: float = np.nan
    effective: float = np.nan

    @property
    def thermal(self):
        """R T in kJ/mol."""
        return GAS_CONSTANT * self.temperature

    def difference(self, function):
        """A number read off the surface, and its error.

        Parameters
        ----------
        function : callable
            Takes values as `values`, up to a constant; returns a number in kJ/mol that
            no constant changes.

        Returns
        -------
        (float, float)
        """
        value = function(self.values)
        error = self.replicates.error([function(x) for x in self.replicates.values])
        return float(value), float(error)

    def marginal(self, axis):
        """Surface of one of two variables: the other is integrated over.

        Parameters
        ----------
        axis : int
            The variable that is kept.
        """
        if len(self.axes) == 1:
            return self
        dropped = self.axes[1 - axis]

        def integrate(values):
            return free_energy(
                np.nansum(np.exp(-values / self.thermal), axis=-1 - axis)
                * dropped.width,
                self.thermal,
            )

        values = integrate(self.values)
        replicates = self.replicates._replace(
            values=integrate(self.replicates.values),
            visits=self.replicates.visits.any(axis=-1 - axis),
        )
        return make_surface(
            (self.axes[axis],),
            values,
            self.temperature,
            replicates,
            independent=self.independent,
            effective=self.effective,
        )

    def radial(self):
        r"""Potential of mean force of a distance, without the volume of shells.

        .. math:: W(r) = F(r) + 2 R T \ln r

        so that it is constant where particles do not interact.

        Raises
        ------
        ValueError
            Of more than one variable, or of one that is negative somewhere.
        """
        if len(self.axes) != 1 or self.axes[0].centers[0] <= 0:
            raise ValueError(
                "expected one variable, a distance, to divide by the volume of shells, "
                f"found {', '.join(axis.label for axis in self.axes)} from "
                f"{self.axes[0].edges[0]:g}"
            )
        added = 2 * self.thermal * np.log(self.axes[0].centers)
        replicates = self.replicates
        replicates = replicates._replace(values=replicates.values + added)
        return make_surface(
            self.axes,
            self.values + added,
            self.temperature,
            replicates,
            errors=self.errors,
            independent=self.independent,
            effective=self.effective,
        )


def free_energy(density, thermal):
    """-R T ln of a density; NaN where it is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values = -thermal * np.log(density)
    return np.where(np.isfinite(values), values, np.nan)


def make_surface(axes, values, temperature, replicates, *, errors=None, **more):
    """Normalise values and replicates, and find errors.

    Parameters
    ----------
    axes : tuple of Axis
    values : array
        In kJ/mol, up to a constant.
    temperature : float
        In K.
    replicates : Replicates
    errors : array, optional
        Default: those of the replicates, but in bins that too few blocks visited.
    **more
        Further fields of a Surface.
    """
    if errors is None:
        thermal = GAS_CONSTANT * temperature
        volume = volume_of(axes)
        parts = [_normalised(x, thermal, volume) for x in replicates.values]
        errors = np.array(replicates.error(parts))
        visits = np.sum(replicates.visits, axis=0)
        least = min(LEAST_BLOCKS, len(replicates.values))
        errors[np.isnan(values) | (visits < least)] = np.nan
    lowest = np.nanmin(values)
    return Surface(axes, values - lowest, errors, temperature, replicates, **more)


def reweighted_surface(runs, axes, temperature, *, log_weights=None, n_blocks=10):
    """Free energy surface of runs with a bias, or without one.

    Parameters
    ----------
    runs : sequence of (n, d) arrays
        The variables along each run, at equal intervals of time.
    axes : tuple of d Axis
    temperature : float
        In K.
    log_weights : sequence of (n,) arrays, optional
        Of each sample, as V / R T. Default: 0.
    n_blocks : int
        Blocks of each run that errors come from, by the jackknife.

    Returns
    -------
    Surface

    Raises
    ------
    ValueError
        If there is no sample within the axes, or fewer than `n_blocks`.
    """
    thermal, shape = GAS_CONSTANT * temperature, shape_of(axes)
    runs = [np.asarray(run, dtype=float) for run in runs]
    if log_weights is None:
        log_weights = [np.zeros(len(run)) for run in runs]
    highest = max(np.max(x) for x in log_weights)
    counts, visits, groups = [], [], []
    total = squares = 0.0
    for number, (run, logs) in enumerate(zip(runs, log_weights, strict=True)):
        check_length(len(run), n_blocks)
        visits.append(visits_of(run, axes, n_blocks))
        weights, places = np.exp(logs - highest), flat_bins(axes, run)
        total, squares = total + weights.sum(), squares + (weights**2).sum()
        edges = block_edges(len(run), n_blocks)
        for low, high in itertools.pairwise(edges):
            inside = places[low:high] >= 0
            at, w = places[low:high][inside], weights[low:high][inside]
            size = int(np.prod(shape))
            counts.append(np.bincount(at, w, size).reshape(shape))
            groups.append(number)
    counts = np.array(counts)
    whole = counts.sum(axis=0)
    check_inside(whole, axes)
    parts = np.maximum(whole - counts, 0.0)
    # what is left by rounding of a bin that only one block has visited
    parts[parts < 1e-12 * whole] = 0.0
    factors, independent = widening([series_of(run, axes) for run in runs])
    replicates = Replicates(
        free_energy(parts, thermal), np.array(groups), factors, np.concatenate(visits)
    )
    return make_surface(
        tuple(axes),
        free_energy(whole, thermal),
        temperature,
        replicates,
        independent=float(np.sum(independent)),
        effective=float(total**2 / squares),
    )


def visits_of(run, axes, n_blocks):
    """Bins that each block of a run was in.

    Parameters
    ----------
    run : (n, d) array
        The variables along it.
    axes : tuple of d Axis
    n_blocks : int

    Returns
    -------
    (n_blocks, ...) array of bool
    """
    places, visits = flat_bins(axes, run), []
    for low, high in itertools.pairwise(block_edges(len(run), n_blocks)):
        inside = places[low:high][places[low:high] >= 0]
        visits.append(np.bincount(inside, minlength=int(np.prod(shape_of(axes)))) > 0)
    return np.reshape(visits, (n_blocks, *shape_of(axes)))


def balance(log_weights, groups):
    """Weights of runs with different biases, each of which has a constant of its own.

    A group of runs comes to weigh as much as it has effective samples, (Σw)²/Σw².

    Parameters
    ----------
    log_weights : sequence of (n,) arrays
        Of the samples of each run.
    groups : sequence
        Of each run something that is equal where the biases are.

    Returns
    -------
    list of (n,) arrays
        As they were if there is one group.
    """
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        return list(log_weights)
    shifts = {}
    for name in names:
        some = [x for x, g in zip(log_weights, groups, strict=True) if g == name]
        some = np.concatenate(some)
        total, squares = np.logaddexp.reduce(some), np.logaddexp.reduce(2 * some)
        shifts[name] = squares - total
    return [x - shifts[g] for x, g in zip(log_weights, groups, strict=True)]


def widening(groups):
    """Factors of errors from blocks of series that hold few values, and their numbers.

    Parameters
    ----------
    groups : sequence of sequences of (n,) arrays
        Series of each run or window.

    Returns
    -------
    factors, independent : (groups,) arrays
        Of the series with the fewest independent values in each.
    """
    found = []
    for series in groups:
        slowest = min(
            series, key=lambda x: independent_values(x) if np.ptp(x) else np.inf
        )
        found.append((few_factor(slowest), independent_values(slowest)))
    return np.array(found).T


def check_length(length, n_blocks):
    """Refuse fewer samples than blocks."""
    check_blocks(n_blocks, length, "samples")


def check_inside(density, axes):
    """Refuse a surface without any sample on it."""
    if not np.any(density):
        raise ValueError(
            "expected samples within "
            + ", ".join(f"{a.edges[0]:g} to {a.edges[-1]:g} of {a.name}" for a in axes)
            + ", found none"
        )


def series_of(values, axes):
    """Series without jumps of variables (n, d): of an angle its sine and cosine."""
    series = []
    for axis, column in zip(axes, np.asarray(values, dtype=float).T, strict=True):
        if axis.period is not None:
            angle = 2 * np.pi * column / axis.period
            series += [np.sin(angle), np.cos(angle)]
        else:
            series.append(column)
    return series


def _normalised(values, thermal, volume):
    """-R T ln of a density that is 1 in all."""
    lowest = np.nanmin(values)
    total = volume * np.nansum(np.exp(-(values - lowest) / thermal))
    return values - lowest + thermal * np.log(total)
