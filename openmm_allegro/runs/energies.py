# SPDX-License-Identifier: MIT
"""Energies of a run in a window, and where in them equilibrium begins."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..units import GAS_CONSTANT
from .run import Run
from .table import ENERGY_COLUMNS, Table, Unreadable, read_table
from .times import repeated
from .window import Window

# Parts of a run at its thermostat's temperature that are left out at least and at most.
_LEAST, _MOST = 0.1, 0.5
# Most and fewest values that the search for the end of equilibration takes.
_VALUES, _FEWEST = 2000, 50
# Starts with this part of the most independent values are as good: the number of
# independent values is known to about a tenth.
_AS_GOOD = 0.9


class StartTime(NamedTuple):
    """Time from which a run is measured.

    Attributes
    ----------
    time : float
        In ps.
    reason : str
        Reason for that time, in words for a reader.
    """

    time: float
    reason: str


def energies_between(run: Run, window: Window, needed: Sequence[str] = ()) -> Table:
    """Read the energies of a run in a window, every so many lines.

    Parameters
    ----------
    run : Run
    window : Window
    needed : sequence of str
        Keys of `ENERGY_COLUMNS` that have to be there.

    Raises
    ------
    FileNotFoundError
        If there is no table.
    ValueError
        If a column is missing, or there is no line in the window.
    """
    if run.energies is None:
        raise FileNotFoundError(
            f"expected the energies of {run.name}, a CSV file, found none"
        )
    table = read_table(run.energies)
    missing = [ENERGY_COLUMNS[key] for key in needed if key not in table]
    if missing:
        raise Unreadable(
            f"expected columns {', '.join(missing)} in {run.energies}, found "
            f"{', '.join(ENERGY_COLUMNS[key] for key in table)}"
        )
    time = table["time"]
    inside = np.isfinite(time) & window.holds(time)
    if window.drop_repeated:
        inside &= ~repeated(np.where(np.isfinite(time), time, np.inf))
    rows = np.flatnonzero(inside)
    rows = rows[:: window.stride or 1]
    if len(rows) == 0:
        raise ValueError(
            f"expected lines of {run.energies} between --start and --stop, found none"
        )
    return {key: column[rows] for key, column in table.items()}


def equilibrated(run: Run) -> StartTime:
    """Find where a run is equilibrated, by the potential energy of its table.

    An NVE run continues an equilibrated one, as a rule, so nothing of it is left
    out unless the energy says so. A run without a table begins at 0.
    """
    table = run.table
    if not table:
        return StartTime(0.0, "there is no table of energies")
    least = 0.0 if run.ensemble == "nve" else _LEAST
    reason = f"{least:.0%} of the run" if least else "nothing is left out"
    known = np.isfinite(table["time"])
    if not known.any():
        return StartTime(0.0, "the table of energies has no times")
    table = {key: column[known] for key, column in table.items()}
    times, energies = table["time"], table.get("potential")
    if energies is None or len(energies) < _FEWEST or not np.isfinite(energies).all():
        begin = _begin(times)
        length = run.simulated if run.simulated > 0 else times.max() - begin
        return StartTime(float(begin + least * length), reason)
    part = equilibration(energies, least=least)
    if part > least:
        reason = "where most independent values of the potential energy are left"
    time = times[min(int(part * len(times)), len(times) - 1)] if part > 0 else 0.0
    return StartTime(float(time), reason)


def equilibration(values, least: float = _LEAST) -> float:
    """Find the part of a series to leave out so that most independent values stay.

    Chodera, J. Chem. Theory Comput. 12, 1799, 2016, doi:10.1021/acs.jctc.5b00784, on
    a grid of starts; of starts that are about as good, the first.

    Parameters
    ----------
    values : (n,) array
        As the potential energy.
    least : float, optional
        Least part; the largest is a half.
    """
    from ..analysis.statistics import statistical_inefficiency

    values = np.asarray(values, dtype=float)
    values = values[:: max(1, len(values) // _VALUES)]
    parts = np.linspace(least, _MOST, 21)
    independent = []
    for part in parts:
        kept = values[int(part * len(values)) :]
        independent.append(len(kept) / statistical_inefficiency(kept))
    good = np.array(independent) >= _AS_GOOD * np.max(independent)
    return float(parts[int(np.argmax(good))])


def _begin(times: np.ndarray) -> float:
    """Time before the first line; 0, unless the table begins later than its lines."""
    between = times[1] - times[0] if len(times) > 1 else times[0]
    return max(0.0, float(times[0] - between))


def degrees_of_freedom(table: Table) -> int:
    """Count what kinetic energy and temperature were reported with: 2 E = N R T."""
    warm = table["temperature"] > 0
    if "kinetic" not in table or not warm.any():
        raise ValueError("expected kinetic energies at a temperature, found none")
    ratio = table["kinetic"][warm] / table["temperature"][warm]
    return round(float(np.median(ratio)) * 2 / GAS_CONSTANT)
