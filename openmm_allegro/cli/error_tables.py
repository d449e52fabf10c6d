# SPDX-License-Identifier: MIT
"""Errors of a model as text: a row a file, a row an element, the worst frames."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..utils.words import counted
from .tables import format_columns

# Title, unit and the metrics that a cell has.
_COLUMNS = {
    "energy": ("meV/atom", ("energy_mae", "energy_rmse")),
    "offset": ("meV/atom", ("energy_offset",)),
    "without offset": (
        "meV/atom",
        ("energy_mae_without_offset", "energy_rmse_without_offset"),
    ),
    "energy, total": ("meV", ("energy_total_mae", "energy_total_rmse")),
    "forces": ("meV/Å", ("forces_mae", "forces_rmse")),
    "stress": ("meV/Å³", ("stress_mae", "stress_rmse")),
    "stress, GPa": ("GPa", ("stress_mae_gpa", "stress_rmse_gpa")),
}


def error_table(metrics: dict[str, Any], files: dict[str, dict[str, Any]]) -> str:
    """Show the errors of each file and of all, and those of forces by element.

    Parameters
    ----------
    metrics, files : dict
        Of ``training.evaluate.evaluate``.
    """
    names = short_names(files)
    rows = {names[file]: errors for file, errors in files.items()}
    if len(rows) > 1:
        rows["all"] = metrics
    columns = {
        title: (unit, keys)
        for title, (unit, keys) in _COLUMNS.items()
        if keys[0] in metrics
    }
    titles = [title.partition(", GPa")[0] for title in columns]
    lines = [["MAE / RMSE", "frames", *titles]]
    lines.append(["", "", *(unit for unit, _ in columns.values())])
    for name, errors in rows.items():
        cells = [_cell(errors, keys) for _, keys in columns.values()]
        lines.append([name, str(errors["frames"]), *cells])
    text = format_columns(lines)
    elements = list(metrics["forces_rmse_by_element"])
    if not elements:
        return text
    lines = [["forces, meV/Å", *elements]]
    for name, errors in rows.items():
        pairs = [errors[f"forces_{kind}_by_element"] for kind in ("mae", "rmse")]
        cells = [
            " / ".join(short(pair[e]) if e in pair else "–" for pair in pairs)
            for e in elements
        ]
        lines.append([name, *cells])
    return f"{text}\n\n{format_columns(lines)}"


def worst_table(rows: Sequence[Any], number: int) -> str:
    """Show the worst frames, the first of ``training.frames.frame_errors``."""
    names = short_names({row.file: None for row in rows})
    lines = [["worst frames", "frame", "energy", "forces", "largest error of a force"]]
    lines.append(["", "", "meV/atom", "RMSE meV/Å", "meV/Å"])
    for row in rows[:number]:
        largest = "–"
        if row.largest_error_atom >= 0:
            largest = (
                f"{short(row.largest_error_mev_per_angstrom)} on atom "
                f"{row.largest_error_atom} ({row.largest_error_element})"
            )
        lines.append(
            [
                names[row.file],
                str(row.frame),
                signed(row.energy_error_mev_per_atom),
                short(row.forces_rmse_mev_per_angstrom),
                largest,
            ]
        )
    return format_columns(lines)


def heading(metrics: dict[str, Any], files: Mapping[str, Any]) -> str:
    """Name the numbers of frames and atoms, and the file if it is one."""
    numbers = counted(metrics["frames"], "frame"), counted(metrics["atoms"], "atom")
    return f"{numbers[0]} of {counted(len(files), 'file')}, {numbers[1]}"


def short_names(files: Mapping[str, Any]) -> dict[str, str]:
    """Name files without their folders, where those do not tell them apart."""
    plain = [os.path.basename(file) for file in files]
    return {
        file: name if name and plain.count(name) == 1 else file or "frames"
        for file, name in zip(files, plain, strict=True)
    }


def short(value: float) -> str:
    """Three digits or so of a number that is not negative.

    Examples
    --------
    >>> short(0.0123), short(1.2345), short(12.345), short(1234.5)
    ('0.012', '1.23', '12.3', '1,234')
    """
    if value != value:
        return "–"
    if value >= 99.95:
        return f"{value:,.0f}"
    for digits, limit in ((1, 9.995), (2, 0.9995), (3, 0.0995)):
        if value >= limit:
            return f"{value:.{digits}f}"
    return f"{value:.2g}"


def signed(value: float) -> str:
    """Three digits or so of a number, with its sign."""
    if value != value:
        return "–"
    return ("−" if value < 0 else "+") + short(abs(value))


def _cell(errors: dict[str, Any], keys: Sequence[str]) -> str:
    if keys[0] not in errors:
        return "–"
    if keys == ("energy_offset",):
        return signed(errors["energy_offset"])
    return " / ".join(short(errors[key]) for key in keys)
