# SPDX-License-Identifier: MIT
"""Activation energies from other quantities at several temperatures."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..units import EV_TO_KJ_PER_MOL
from ..utils.settings import setting
from ..utils.words import counted
from .judgement import judge_line
from .measurement import Measurement, Row, names
from .quantity import Quantity, Settings

# What is taken of a file where nothing is named: its first quantity of these.
_QUANTITIES = ("D", "conductivity", "residence time")
_NUMBER = r"[-+0-9.eE]+"


@dataclass(frozen=True)
class ArrheniusSettings(Settings):
    """Settings of Arrhenius lines."""

    quantity_name: str | None = setting(
        None,
        about="Line of the files' tables (default: D, conductivity or residence time; "
        "of a time, its inverse, a rate)",
        metavar="NAME",
    )
    item: str | None = setting(
        None, about="Item, as Na (default: all that every file has)", metavar="NAME"
    )
    unit: str = setting("", about="Unit of values given as numbers, as cm²/s")
    at: tuple[float, ...] = setting(
        (), about="Temperatures to predict", unit="K", example="300,350"
    )


def measure_arrhenius(
    source: None, subjects: Sequence[str], settings: ArrheniusSettings
) -> Measurement:
    """Fit Arrhenius lines to coefficients at several temperatures.

    Subjects are ``T=VALUE±ERROR``, or files that ``analyze --json`` wrote, as
    ``[T=]FILE``, whose warnings are this one's too. Results by item: fields of an
    Arrhenius, its points and predictions, and ``activation_energy_ev``.
    """
    from ..analysis import plot_arrhenius

    series, unit, warnings, notes = _read(subjects, settings)
    lines, measurement = fit_lines(series, unit, settings.at)
    return replace(
        measurement,
        plot=lambda path: plot_arrhenius(lines, path, ylabel=_label(unit)),
        warnings=warnings + measurement.warnings,
        notes=notes,
    )


def fit_lines(
    series: Mapping[str, Sequence], unit: str, at: Sequence[float] = ()
) -> tuple[dict[str, tuple], Measurement]:
    """Fit an Arrhenius line to each item.

    Parameters
    ----------
    series : mapping of str to sequence of (float, float, float)
        Temperatures in K, values and errors by item.
    unit : str
        Of the values.
    at : sequence of float, optional
        Temperatures to predict, K.

    Returns
    -------
    lines : dict of str to (temperatures, values, errors, Arrhenius)
        As figures take them.
    measurement : Measurement
        Without a figure.
    """
    from ..analysis import arrhenius

    results, lines, rows, columns, warnings = {}, {}, [], {}, []
    for item, points in series.items():
        temperatures, values, errors = np.array(sorted(points)).T
        line = arrhenius(temperatures, values, errors)
        lines[item] = temperatures, values, errors, line
        warnings += judge_line(item, line)
        predicted = [(t, *map(float, line.at(t))) for t in at]
        rows += _rows(item, line, unit, predicted)
        results[item] = line._asdict() | {
            "activation_energy_ev": _in_ev(line),
            "temperatures": temperatures,
            "values": values,
            "errors": errors,
            "predicted": [
                {"temperature": t, "value": v, "error": error}
                for t, v, error in predicted
            ],
        }
        columns[item] = {
            "T (K)": temperatures,
            f"value ({unit})": values,
            "error": errors,
        }
    units = {
        "activation_energy": "kJ/mol",
        "activation_energy_ev": "eV",
        "temperatures": "K",
        "values": unit,
        "errors": unit,
        "predicted": unit,
        "temperature": "K",
        "log_prefactor": "1",
        "covariance": "1, kJ/mol and kJ²/mol²",
    } | dict.fromkeys(("chi_squared", "degrees_of_freedom", "p_value", "scale"), "1")
    return lines, Measurement(rows, results, units, columns, warnings=warnings)


QUANTITY = Quantity(
    "arrhenius",
    measure_arrhenius,
    ArrheniusSettings,
    "activation energy, kJ/mol and eV, of coefficients at temperatures T in K: as "
    "numbers (300=2.3e-5±1e-6, or with a comma) or of files that analyze --json wrote, "
    "which hold their temperature",
    subjects="T=VALUE±ERROR ... | [T=]RESULT.json ...",
    read_subjects=list,
    needs_runs=False,
)


def _in_ev(line: Any) -> list[float]:
    return [x / EV_TO_KJ_PER_MOL for x in line.activation_energy]


def _rows(item: str, line: Any, unit: str, predicted: Sequence[tuple]) -> list[Row]:
    rows = [
        Row(item, "activation energy", *line.activation_energy, "kJ/mol"),
        Row(item, "activation energy in eV", *_in_ev(line), "eV"),
        Row(item, "ln of the prefactor", *line.log_prefactor, unit and f"of {unit}"),
        Row(
            item,
            "χ²",
            line.chi_squared,
            None,
            f"for {counted(line.degrees_of_freedom, 'degree')} of freedom",
        ),
        Row(item, "probability of a larger χ²", line.p_value, None, ""),
    ]
    return rows + [Row(item, f"at {t:g} K", v, e, unit) for t, v, e in predicted]


def _read(items: Sequence[str], settings: ArrheniusSettings):
    """Read points (T, value, error) by item, their unit, warnings and notes."""
    series: dict[str, list] = {}
    units, warnings, items_of_files = set(), [], set()
    for text in items:
        match = re.fullmatch(f"({_NUMBER})=({_NUMBER})(?:±|,|\\+-)({_NUMBER})", text)
        try:
            points = {"all": tuple(map(float, match.groups()))} if match else None
        except ValueError:
            raise ValueError(f"expected T=VALUE±ERROR, found {text!r}") from None
        unit = settings.unit
        if points is None:
            points, unit, judged, present = _read_file(
                text, settings.quantity_name, settings.item
            )
            warnings += judged
            items_of_files |= present
        units.add(unit)
        for item, point in points.items():
            series.setdefault(item, []).append(point)
    if len(units) > 1:
        raise ValueError(
            f"expected values of one unit, found {', '.join(sorted(units))}"
        )
    complete = {k: v for k, v in series.items() if len(v) == len(items)}
    if not complete:
        raise ValueError(
            f"expected an item that all {len(items)} files have, found none of "
            + ", ".join(series)
        )
    # Not of items that have no line.
    others = items_of_files - set(complete)
    about = {text: {x for x in items_of_files if names(text, x)} for text in warnings}
    kept = [text for text, of in about.items() if not of or of - others]
    left_out = ", ".join(item for item in series if item not in complete)
    notes = (
        [f"Not in all files, and so without a line: {left_out}."] if left_out else []
    )
    return complete, units.pop(), kept, notes


def _read_file(text: str, quantity: str | None, wanted: str | None):
    """Read points by item of a file that ``--json`` wrote; unit, warnings and items."""
    match = re.fullmatch(f"({_NUMBER})=(.+)", text)
    path = Path(match[2] if match else text)
    if not path.is_file():
        raise FileNotFoundError(
            f"expected T=VALUE±ERROR or a file, found {text!r}, and no file {path}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = [Row(*(row[k] for k in Row._fields)) for row in content["table"]]
        temperature = float(match[1]) if match else content["temperature_k"]
        said = [str(text) for text in content.get("warnings", [])]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"expected a file that analyze --json wrote at {path}, found "
            f"{type(error).__name__}: {error}"
        ) from error
    if temperature is None:
        raise ValueError(f"expected a temperature in {path}, found none; give T={path}")
    present = [row.quantity for row in rows]
    if quantity is None:
        quantity = next((name for name in _QUANTITIES if name in present), None)
    chosen = [
        row for row in rows if row.quantity == quantity and wanted in (None, row.item)
    ]
    if not chosen:
        raise ValueError(
            f"expected {quantity or ' or '.join(_QUANTITIES)} of {wanted or 'an item'} "
            f"in {path}, found {', '.join(dict.fromkeys(present))} of "
            + ", ".join(dict.fromkeys(row.item for row in rows))
        )
    points, unit = {}, ""
    for row in chosen:
        if row.value is None or row.error is None:
            raise ValueError(f"expected {quantity} with an error in {path}, found none")
        value, error, unit = row.value, row.error, row.unit
        if unit == "ps":
            value, error, unit = 1 / value, error / value**2, "1/ps"
        points[row.item] = temperature, value, error
    judged = [f"{temperature:g} K: {text}" for text in said]
    return points, unit, judged, {row.item for row in rows}


def _label(unit: str) -> str:
    names = {"cm²/s": "$D$", "S/m": r"$\sigma$", "1/ps": "Rate"}
    name = names.get(unit, "Value")
    return f"{name} ({unit})" if unit else name
