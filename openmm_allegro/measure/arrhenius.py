# SPDX-License-Identifier: MIT
"""``analyze arrhenius``: activation energies of what other quantities found."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from .output import Outcome, Row
from .request import Request, numbers

# What is taken of a file where nothing is named: its first quantity of these.
_QUANTITIES = ("D", "conductivity", "residence time")
_NUMBER = r"[-+0-9.eE]+"


def add_quantities(add: Any) -> None:
    """Add the parser of Arrhenius lines."""
    parser = add(
        "arrhenius",
        _arrhenius,
        selections="T=VALUE±ERROR ... | [T=]RESULT.json ...",
        needs_runs=False,
        help="activation energy, kJ/mol, of coefficients at temperatures T in K: as "
        "numbers (300=2.3e-5±1e-6, or with a comma) or of files that analyze --json "
        "wrote, which hold their temperature",
    )
    parser.add_argument(
        "--quantity-name",
        metavar="NAME",
        help="which line of the files' tables (default: D, conductivity or residence "
        "time; of a time, its inverse, a rate)",
    )
    parser.add_argument(
        "--item", metavar="NAME", help="whose, as Na (default: all in every file)"
    )
    parser.add_argument(
        "--unit", default="", help="of values that are given as numbers, as cm²/s"
    )
    parser.add_argument(
        "--at", type=numbers, default=[], metavar="K", help="temperatures to predict"
    )


def _arrhenius(request: Request) -> Outcome:
    from ..analysis import arrhenius, plot_arrhenius

    options = request.options
    series, unit = _read(request.selections, options)
    results, lines, rows, columns = {}, {}, [], {}
    for item, points in series.items():
        temperatures, values, errors = np.array(sorted(points)).T
        line = arrhenius(temperatures, values, errors)
        lines[item] = temperatures, values, errors, line
        rows += [
            Row(item, "activation energy", *line.activation_energy, "kJ/mol"),
            Row(item, "ln of the prefactor", *line.log_prefactor, _of(unit)),
            Row(item, "χ²", line.chi_squared, None, f"of {len(points)} temperatures"),
        ]
        predicted = [(t, *map(float, line.at(t))) for t in options.at]
        rows += [Row(item, f"at {t:g} K", v, error, unit) for t, v, error in predicted]
        results[item] = line._asdict() | {
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
    return Outcome(
        rows,
        results,
        {
            "activation_energy": "kJ/mol",
            "temperatures": "K",
            "values": unit,
            "errors": unit,
        },
        columns,
        lambda path: plot_arrhenius(lines, path, ylabel=_label(unit)),
    )


def _read(items, options):
    """Points (T, value, error) by item, and the unit of the values."""
    series: dict[str, list] = {}
    units = set()
    for text in items:
        match = re.fullmatch(f"({_NUMBER})=({_NUMBER})(?:±|,|\\+-)({_NUMBER})", text)
        try:
            found = {"all": tuple(map(float, match.groups()))} if match else None
        except ValueError:
            raise ValueError(f"expected T=VALUE±ERROR, found {text!r}") from None
        unit = options.unit
        if found is None:
            found, unit = _of_file(text, options.quantity_name, options.item)
        units.add(unit)
        for item, point in found.items():
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
    return complete, units.pop()


def _of_file(text, quantity, wanted):
    """Points by item of a file that ``--json`` wrote, and their unit."""
    match = re.fullmatch(f"({_NUMBER})=(.+)", text)
    path = Path(match[2] if match else text)
    if not path.is_file():
        raise FileNotFoundError(
            f"expected T=VALUE±ERROR or a file, found {text!r}, and no file {path}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = [Row(*row.values()) for row in content["table"]]
        temperature = float(match[1]) if match else content["temperature_k"]
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
    points = {}
    for row in chosen:
        if row.value is None or row.error is None:
            raise ValueError(f"expected {quantity} with an error in {path}, found none")
        value, error, unit = row.value, row.error, row.unit
        if unit == "ps":
            value, error, unit = 1 / value, error / value**2, "1/ps"
        points[row.item] = temperature, value, error
    return points, unit


def _of(unit: str) -> str:
    return f"of {unit}" if unit else ""


def _label(unit: str) -> str:
    names = {"cm²/s": "$D$", "S/m": r"$\sigma$", "1/ps": "Rate"}
    name = names.get(unit, "Value")
    return f"{name} ({unit})" if unit else name
