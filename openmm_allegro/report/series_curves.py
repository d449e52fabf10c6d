# SPDX-License-Identifier: MIT
"""Section of a series' page: g(r) and mean square displacements by temperature."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..measure.measurement import Measurement
from ..measure.sentences import say_once
from ..measure.subjects import TOTAL
from .downloads import table_csv
from .html import Markup, attempt, figure, join, note, notes, section
from .production import Production
from .structure import dashed

_PANELS = 12  # of a figure: three columns, four rows


class _Curves(NamedTuple):
    """What is drawn of a quantity: its axes, and columns of the CSV."""

    quantity: str
    read: Callable[[Mapping[str, Any]], tuple[Any, Any, Any]]
    columns: tuple[str, str, str]  # of x, y and its error
    axis: dict[str, Any]
    level: float | None
    alt: str
    caption: str
    more: str


_RDF = _Curves(
    "rdf",
    lambda result: (*result["distribution"], None)[:3],  # of one frame without errors
    ("r (nm)", "g", "error of g"),
    {"xlabel": "$r$ (nm)", "ylabel": "$g(r)$", "ylim": (0, None), "xlim": (0, None)},
    1.0,
    "Radial distribution functions of {} by temperature",
    "g(r) with its error as a band.",
    "openmm-allegro analyze rdf",
)
_MSD = _Curves(
    "diffusion",
    lambda result: (result["lag_times"], result["msd"], result["msd_error"]),
    ("lag time (ps)", "MSD (nm²)", "error of MSD (nm²)"),
    {
        "xlabel": "Lag time (ps)",
        "ylabel": "MSD (nm²)",
        "ylim": (0, None),
        "xlim": (0, None),
    },
    None,
    "Mean square displacements of {} by temperature",
    "Mean square displacement relative to the centre of mass of all atoms, with its "
    "error as a band.",
    "openmm-allegro analyze diffusion",
)


def curves_section(productions: Mapping[str, Production]) -> Markup:
    """Show g(r) and mean square displacements, coloured by temperature.

    Warnings of these quantities are about numbers that are not here: of coordination,
    and coefficients.

    Parameters
    ----------
    productions : dict of str to Production
        By the temperature, as ``"500 K"``, in ascending order.
    """
    return section(
        "Structure and motion by temperature",
        attempt("Radial distribution", _curves, productions, _RDF),
        attempt("Mean square displacement", _curves, productions, _MSD),
    )


def _curves(productions: Mapping[str, Production], what: _Curves) -> Markup:
    measured, reasons = _measure(productions, what.quantity)
    panels: dict[str, dict[float, Any]] = {}
    for name, measurement in measured.items():
        for label, result in measurement.results.items():
            curve = what.read(result)
            if label != TOTAL and np.any(curve[1]):  # there are none so near
                kelvin = float(name.removesuffix(" K"))
                panels.setdefault(dashed(label), {})[kelvin] = curve
        reasons += [
            f"{name}: {dashed(label)}: {reason}."
            for label, reason in measurement.failed.items()
            if label not in measurement.results
        ]
    drawn = dict(list(panels.items())[:_PANELS])
    left = list(panels)[_PANELS:]
    shown = _figure(drawn, next(iter(productions.values())), what) if drawn else None
    rest = f"Not drawn: {', '.join(left)}; {what.more} has them." if left else ""
    return join(
        shown,
        note(rest) if rest else None,
        *notes(say_once(reasons, productions)),
    )


def _measure(
    productions: Mapping[str, Production], quantity: str
) -> tuple[dict[str, Measurement], list[str]]:
    """Measure at each temperature; and why that could not be done."""
    measured, reasons = {}, []
    for name, production in productions.items():
        try:
            measured[name] = production.measure(quantity)
        except ValueError as error:
            reasons.append(f"{name}: not computed, {error}.")
    return measured, reasons


def _figure(
    panels: Mapping[str, Mapping[float, Any]], production: Production, what: _Curves
) -> Markup:
    from ..analysis import plot_temperatures

    return figure(
        lambda path: plot_temperatures(panels, path, what.axis, level=what.level),
        production.folder,
        what.alt.format(", ".join(panels)),
        what.caption,
        wide=len(panels) > 1,
        curves=_csv(panels, what.columns),
    )


def _csv(panels: Mapping[str, Mapping[float, Any]], columns: Sequence[str]) -> str:
    """Write a row for each point of each curve, with six digits."""
    rows = [
        (label, f"{kelvin:g}", *("" if x is None else f"{x:.6g}" for x in point))
        for label, curves in panels.items()
        for kelvin, (x, y, error) in curves.items()
        for point in zip(x, y, [None] * len(x) if error is None else error, strict=True)
    ]
    return table_csv(("of", "temperature (K)", *columns), rows)
