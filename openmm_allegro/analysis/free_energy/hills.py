# SPDX-License-Identifier: MIT
r"""Free energy surfaces from the hills of well-tempered metadynamics.

Hills of height w exp(-V(s, t) / R ΔT), ΔT = (γ - 1) T with the bias factor γ, add up to
a bias potential from which

.. math:: F(s) = -\frac{\gamma}{\gamma - 1} V(s, t \to \infty)

(Barducci, Bussi and Parrinello, Phys. Rev. Lett. 100, 020603, 2008,
doi:10.1103/PhysRevLett.100.020603).
"""

from typing import NamedTuple

import numpy as np

from ...units import GAS_CONSTANT
from ..statistics import block_edges
from .axes import shape_of
from .surface import (
    Replicates,
    check_inside,
    check_length,
    make_surface,
    series_of,
    visits_of,
    widening,
)


class Hills(NamedTuple):
    """Gaussians that a run deposited, in their order.

    Attributes
    ----------
    centers : (n, d) array
    widths : (n, d) array
        Standard deviations.
    heights : (n,) array
        As they were added to the bias, in kJ/mol.
    bias_factor : float
        γ > 1.
    """

    centers: np.ndarray
    widths: np.ndarray
    heights: np.ndarray
    bias_factor: float


def sum_hills(hills, axes):
    """Bias potential on the middles of the bins, in kJ/mol.

    Parameters
    ----------
    hills : Hills
    axes : sequence of d Axis

    Returns
    -------
    array
    """
    bias = np.zeros(shape_of(axes))
    for hill in _each(hills, axes):
        bias += hill
    return bias


def bias_offsets(hills, axes, temperature):
    r"""Offset c(t) of the bias potential in kJ/mol after each hill, and before all.

    .. math:: c(t) = R T \ln \frac{\int \exp(\frac{\gamma}{\gamma-1} V / R T) ds}
        {\int \exp(\frac{1}{\gamma-1} V / R T) ds}

    so that samples of all times can be weighted by exp((V - c) / R T) (Tiwary and
    Parrinello, J. Phys. Chem. B 119, 736, 2015, doi:10.1021/jp504920s).

    Returns
    -------
    (n + 1,) array
    """
    thermal, factor = GAS_CONSTANT * temperature, hills.bias_factor
    bias, offsets = np.zeros(shape_of(axes)), [0.0]
    for hill in _each(hills, axes):
        bias += hill
        scaled = bias / ((factor - 1) * thermal)
        offsets.append(thermal * (_log_sum(factor * scaled) - _log_sum(scaled)))
    return np.array(offsets)


def hills_surface(hills, axes, temperature, *, n_blocks=10, samples=None):
    r"""Free energy surface from the sum of hills.

    It is known in bins that the run was in. Hills are wider than these, but the foot of
    a hill beside them only says that the run has not been there yet, and blocks agree
    on that: errors from it would be the smallest of all.

    Errors are by the jackknife over blocks of hills. What blocks add up to is
    :math:`u = \exp(V / R \Delta T)`, which grows in proportion to the number of
    visits: :math:`F = -\gamma R T \ln u` (Dama, Parrinello and Voth, Phys. Rev. Lett.
    112, 240602, 2014, doi:10.1103/PhysRevLett.112.240602). Blocks are not independent:
    the bias drives the system away from where earlier ones left it too often. To first
    order of fluctuations that leaves 1 / (2γ - 1) of the variance of independent ones,
    and more of early hills, which are large. Errors are those of independent blocks
    over the cube root of γ, which is what holds the truth two times in three, or more,
    in wells with bias factors of 4 to 12.

    Parameters
    ----------
    hills : Hills
    axes : tuple of d Axis
    temperature : float
        In K.
    n_blocks : int
    samples : (m, d) array, optional
        Where the run was at equal intervals of time, from the first hill to the last.
        Default: at the centres of the hills alone.

    Returns
    -------
    Surface

    Raises
    ------
    ValueError
        If there are fewer hills than blocks, the bias factor is not above 1, or the run
        was in none of the bins.
    """
    factor, number = hills.bias_factor, len(hills.heights)
    check_length(number, n_blocks)
    if not factor > 1:
        raise ValueError(f"expected a bias factor above 1, found {factor:g}")
    thermal = GAS_CONSTANT * temperature
    edges = block_edges(number, n_blocks)[1:]
    visits = visits_of(hills.centers, axes, n_blocks)
    if samples is not None:
        visits |= visits_of(np.asarray(samples, dtype=float), axes, n_blocks)
    check_inside(visits, axes)
    bias, grown = np.zeros(shape_of(axes)), []
    for count, hill in enumerate(_each(hills, axes), start=1):
        bias += hill
        if count in edges:
            grown.append(np.exp(bias / ((factor - 1) * thermal)))
    visited = visits.any(axis=0)
    added = np.diff([np.ones(bias.shape), *grown], axis=0)
    values = np.where(visited, -factor / (factor - 1) * bias, np.nan)
    parts = np.where(visited, -factor * thermal * np.log(grown[-1] - added), np.nan)
    factors, independent = widening([series_of(hills.centers, axes)])
    factors = factors / np.cbrt(factor)
    replicates = Replicates(parts, np.zeros(n_blocks, dtype=int), factors, visits)
    return make_surface(
        tuple(axes), values, temperature, replicates, independent=float(independent[0])
    )


def _each(hills, axes):
    """Give each hill on the grid, in kJ/mol."""
    middles = [axis.centers for axis in axes]
    for center, widths, height in zip(*hills[:3], strict=True):
        gaussian = height
        for axis, middle, at, width in zip(axes, middles, center, widths, strict=True):
            along = np.exp(-0.5 * (axis.distances(middle - at) / width) ** 2)
            gaussian = np.multiply.outer(gaussian, along)
        yield gaussian


def _log_sum(values):
    highest = values.max()
    return highest + np.log(np.exp(values - highest).sum())
