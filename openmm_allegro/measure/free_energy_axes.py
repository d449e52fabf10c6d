# SPDX-License-Identifier: MIT
"""Axes of the free energy surfaces of runs: limits as asked, or where the runs were."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..runs.bias import VariableSeries, described_variables
from ..runs.run import Run


def axes_of(
    names: tuple[str, ...],
    series: Sequence[VariableSeries],
    settings: Any,
    *,
    asked: tuple[str, ...] | None = None,
    ends: dict[str, tuple[float, float]] | None = None,
) -> tuple:
    """Axes of a surface, of limits as asked or where the runs were.

    Limits are those of the variables ``asked``, by default all; ``ends`` are those that
    no axis goes beyond.
    """
    from ..analysis.free_energy.axes import BINS, BINS_OF_TWO, make_axis

    limits, asked = settings.limits, asked or names
    if limits is not None and len(limits) != 2 * len(asked):
        raise ValueError(
            f"expected a lowest and a highest value of each of {', '.join(asked)} as "
            f"limits (--limits), found {len(limits)} numbers"
        )
    pairs = zip((limits or ())[::2], (limits or ())[1::2], strict=True)
    given = dict(zip(asked, pairs, strict=False))
    described = {variable.name: variable for variable in series[0].variables}
    axes = []
    for name in names:
        variable = described[name]
        values = np.concatenate([x.columns((name,))[:, 0] for x in series])
        if ends and name in ends:
            values = _within(name, values, given.get(name), ends[name])
        axes.append(
            make_axis(
                name,
                variable.unit,
                values,
                period=variable.period,
                limits=given.get(name),
                bins=settings.bins or (BINS if len(names) == 1 else BINS_OF_TWO),
            )
        )
    return tuple(axes)


def grid_ends(run: Run) -> dict[str, tuple[float, float]]:
    """Ends of the grid of a bias, of variables that do not repeat."""
    bias = run.record["bias"]
    ends = zip(bias.get("lower", ()), bias.get("upper", ()), strict=True)
    found = dict(zip(bias["variables"], ends, strict=False))
    repeats = [v.name for v in described_variables(run) if v.period is not None]
    return {name: pair for name, pair in found.items() if name not in repeats}


def _within(
    name: str,
    values: np.ndarray,
    limits: tuple[float, float] | None,
    ends: tuple[float, float],
) -> np.ndarray:
    """Values on the grid of a bias, which ends where its hills were cut."""
    low, high = ends
    if limits is not None and not low <= min(limits) <= max(limits) <= high:
        raise ValueError(
            f"expected limits of {name} within the grid of the bias, {low:g} to "
            f"{high:g}, found {limits[0]:g} and {limits[1]:g}; "
            "--method reweighting takes others"
        )
    values = values[(low <= values) & (values <= high)]
    if not len(values):
        raise ValueError(
            f"expected {name} within the grid of the bias, {low:g} to {high:g}, found "
            "it beyond at all times"
        )
    return values
