# SPDX-License-Identifier: MIT
"""The grid that a bias is tabulated on."""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import openmm

from .settings import Metadynamics, Opes, Variable

MOST_POINTS = 4_000_000
_A_WIDTH = 5  # points
_FEWEST = 20


class Axis(NamedTuple):
    """One variable of a grid, in OpenMM's unit: nm, radians or none.

    Attributes
    ----------
    lower, upper : float
        Ends; those of a periodic variable are the same.
    points : int
        Both ends included.
    periodic : bool
    """

    lower: float
    upper: float
    points: int
    periodic: bool

    @property
    def values(self) -> np.ndarray:
        """Values of the points."""
        return np.linspace(self.lower, self.upper, self.points)

    @property
    def spacing(self) -> float:
        """Distance of two points."""
        return (self.upper - self.lower) / (self.points - 1)

    def distances(self, value: float) -> np.ndarray:
        """Distances of all points from a value, to the nearest image."""
        away = np.abs(self.values - value)
        if self.periodic:
            length = self.upper - self.lower
            away = np.abs(away - length * np.round(away / length))
            away[-1] = away[0]  # lest they differ by rounding
        return away


def make_axes(
    bias: Metadynamics | Opes,
    variables: Sequence[Variable],
    widths: Sequence[float] | None,
) -> list[Axis]:
    """Lay out the grid of a bias.

    Parameters
    ----------
    bias : Metadynamics or Opes
    variables : sequence of Variable
        Those of the bias, in its order.
    widths : sequence of float or None
        Of each variable in its unit, that of OpenMM not.

    Raises
    ------
    ValueError
        If ends are missing or impossible, a width is beyond the grid or below its
        spacing, the grid is too large, or some variables are periodic and some not.
    """
    periodic = [variable.is_periodic for variable in variables]
    if any(periodic) and not all(periodic):
        raise ValueError(
            "bias: expected variables that are all periodic (dihedrals) or none, found "
            f"{[v.kind for v in variables]}"
        )
    axes = []
    for index, variable in enumerate(variables):
        low, high = _ends(bias, variable, index)
        width = widths[index] if widths else None
        where = f"bias: variable {variable.name}"
        if width is not None and width > high - low:
            raise ValueError(
                f"{where}: expected a width below the {high - low:g} of the grid, "
                f"found {width:g}"
            )
        if bias.grid:
            points = bias.grid[index]
        elif width is not None:
            points = max(_FEWEST, math.ceil(_A_WIDTH * (high - low) / width)) + 1
        else:
            points = 101
        spacing = (high - low) / (points - 1)
        if width is not None and width < spacing:
            raise ValueError(
                f"{where}: expected points of the grid nearer than a width of "
                f"{width:g}, found {points} points {spacing:g} apart"
            )
        factor = variable.unit.factor
        ends = (-math.pi, math.pi)
        if not variable.is_periodic:
            ends = (low / factor, high / factor)
        axes.append(Axis(*ends, points, variable.is_periodic))
    total = math.prod(axis.points for axis in axes)
    if total > MOST_POINTS:
        raise ValueError(
            f"bias: expected at most {MOST_POINTS} points of the grid, found {total}; "
            "give wider hills, or grid"
        )
    return axes


def ends_of(
    axes: Sequence[Axis], variables: Sequence[Variable]
) -> list[tuple[str, float, float]]:
    """Name each variable that is not periodic, and the ends of its grid in its unit."""
    return [
        (v.name, axis.lower * v.unit.factor, axis.upper * v.unit.factor)
        for axis, v in zip(axes, variables, strict=True)
        if not axis.periodic
    ]


def axes_record(axes: Sequence[Axis], variables: Sequence[Variable]) -> dict[str, Any]:
    """Collect the grid for the record of a run, in the variables' units."""
    factors = [variable.unit.factor for variable in variables]
    pairs = list(zip(axes, factors, strict=True))
    return {
        "lower": [round(axis.lower * factor, 9) for axis, factor in pairs],
        "upper": [round(axis.upper * factor, 9) for axis, factor in pairs],
        "grid": [axis.points for axis in axes],
    }


def make_table(axes: Sequence[Axis], values: np.ndarray) -> openmm.TabulatedFunction:
    """Make the function of OpenMM that interpolates values on a grid.

    ``values`` has the last variable first, as OpenMM has it.
    """
    make = (
        openmm.Continuous1DFunction,
        openmm.Continuous2DFunction,
        openmm.Continuous3DFunction,
    )[len(axes) - 1]
    return make(*table_parameters(axes, values), axes[0].periodic)


def table_parameters(axes: Sequence[Axis], values: np.ndarray) -> list:
    """Arguments of ``setFunctionParameters`` of that function."""
    ends = [end for axis in axes for end in (axis.lower, axis.upper)]
    sizes = [axis.points for axis in axes] if len(axes) > 1 else []
    return [*sizes, values.ravel(), *ends]


def gaussian(
    axes: Sequence[Axis], center: Sequence[float], widths: Sequence[float]
) -> np.ndarray:
    """Tabulate a Gaussian of height 1; the last variable is the first axis."""
    factors = [
        np.exp(-0.5 * np.square(axis.distances(value) / width))
        for axis, value, width in zip(axes, center, widths, strict=True)
    ]
    return functools.reduce(np.multiply.outer, reversed(factors))


def _ends(
    bias: Metadynamics | Opes, variable: Variable, index: int
) -> tuple[float, float]:
    where = f"bias: variable {variable.name}"
    given = (bias.lower[index], bias.upper[index]) if bias.lower else None
    if variable.is_periodic:
        if given not in (None, (-180.0, 180.0)):
            raise ValueError(
                f"{where}: expected a grid from -180 to 180 degrees of a dihedral, "
                f"which is periodic, found {given[0]:g} to {given[1]:g}"
            )
        return -180.0, 180.0
    if given is None:
        if variable.kind == "angle":
            return 0.0, 180.0
        raise ValueError(
            f"{where}: expected lower and upper ends of the grid, found none"
        )
    high = 180.0 if variable.kind == "angle" else math.inf
    if given[0] < 0.0 or given[1] > high:
        raise ValueError(
            f"{where}: expected a grid from 0 on"
            + (" to 180 degrees" if variable.kind == "angle" else "")
            + f", found {given[0]:g} to {given[1]:g}"
        )
    return given
