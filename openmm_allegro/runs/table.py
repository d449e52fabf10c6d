# SPDX-License-Identifier: MIT
"""Read the table of energies that a run wrote."""

import csv
from pathlib import Path

import numpy as np

# Columns of OpenMM's StateDataReporter, by the names used here.
ENERGY_COLUMNS = {
    "step": "Step",
    "time": "Time (ps)",
    "potential": "Potential Energy (kJ/mole)",
    "kinetic": "Kinetic Energy (kJ/mole)",
    "total": "Total Energy (kJ/mole)",
    "temperature": "Temperature (K)",
    "volume": "Box Volume (nm^3)",
    "density": "Density (g/mL)",
}
SPEED = "Speed (ns/day)"
Table = dict[str, np.ndarray]


class Unreadable(ValueError):
    """A file of a run that is not what its name promises."""


def read_table(path: Path) -> Table:
    """Read the columns of a CSV that OpenMM's StateDataReporter wrote.

    A last line cut short is left out, as is a header that a restart repeated.

    Returns
    -------
    dict of str to (n,) array
        By the keys of `ENERGY_COLUMNS`; NaN where a cell is no number.

    Raises
    ------
    Unreadable
        If there is no column of times.
    """
    columns = read_columns(path, "energies")
    return {key: columns[x] for key, x in ENERGY_COLUMNS.items() if x in columns}


def read_columns(path: Path, of: str, time: str = ENERGY_COLUMNS["time"]) -> Table:
    """Read all columns of a CSV, whose names may be in quotes, one of them of times.

    A last line cut short is left out, as is a header that a restart repeated.

    Parameters
    ----------
    path : Path
    of : str
        What the table is of, for errors.
    time : str
        Name of the column of times.

    Returns
    -------
    dict of str to (n,) array
        By their names; NaN where a cell is no number.

    Raises
    ------
    Unreadable
        If there is no column of times.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise Unreadable(
            f"expected a table of {of} at {path}, found {type(error).__name__}: {error}"
        ) from error
    names = _names(lines[0]) if lines else []
    if time not in names:
        raise Unreadable(
            f'expected a column "{time}" in {path}, found '
            f"{', '.join(names) or 'nothing'}"
        )
    rows = [
        [_number(cell) for cell in row]
        for row in lines[1:]
        if len(row) == len(names) and _names(row) != names
    ]
    values = np.array(rows, dtype=float).reshape(len(rows), len(names))
    return dict(zip(names, values.T, strict=True))


def known_table(path: Path | None) -> Table:
    """Read the energies of a run, or return {} where there are none to be read."""
    if path is None:
        return {}
    try:
        table = read_table(path)
    except ValueError:
        return {}
    return table if len(table["time"]) else {}


def read_speed(path: Path | None) -> float | None:
    """Read the last speed of a table in ns/day; None where there is none."""
    if path is None:
        return None
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
    except (csv.Error, ValueError):
        return None
    names = _names(header)
    if SPEED not in names:
        return None
    place = names.index(SPEED)
    speeds = [_number(row[place]) for row in rows if len(row) == len(names)]
    return next((speed for speed in reversed(speeds) if np.isfinite(speed)), None)


def _names(row: list[str]) -> list[str]:
    return [name.lstrip("#").strip('"') for name in row]


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan
