# SPDX-License-Identifier: MIT
"""Dipole moments and currents that a run of a model with charges wrote."""

from typing import NamedTuple

import numpy as np

from .run import Run
from .table import ENERGY_COLUMNS, Unreadable, read_columns
from .times import repeated
from .window import Window

# Columns of `reporters.DipoleReporter`.
_DIPOLE = [f"Dipole {axis} (e nm)" for axis in "XYZ"]
_CURRENT = [f"Current {axis} (e nm/ps)" for axis in "XYZ"]
_CHARGE = "Charge of ", " (e)"


class DipoleSeries(NamedTuple):
    """Dipole moments and currents of a cell over time.

    Attributes
    ----------
    time_step : float
        In ps.
    times : (n,) array
        In ps.
    dipoles : (n, 3) array
        Of molecules about their own centres, in e nm.
    currents : (n, 3) array
        Of molecules that have a charge, in e nm/ps.
    charges : dict of str to (n,) array
        Mean charge of the atoms of each element in e.
    volumes : (n,) array or None
        In nm³; None without periodic images.
    """

    time_step: float
    times: np.ndarray
    dipoles: np.ndarray
    currents: np.ndarray
    charges: dict[str, np.ndarray]
    volumes: np.ndarray | None


def dipoles_between(run: Run, window: Window) -> DipoleSeries:
    """Read dipoles and currents of a run in a window, each line.

    Raises
    ------
    FileNotFoundError
        If the run has no such file.
    ValueError
        If it cannot be read, has no line in the window, or lines at other intervals.
    """
    from ..analysis.frames import frame_interval

    path = run.dipoles
    if path is None:
        raise FileNotFoundError(
            f"expected dipoles of {run.name}, a file .dipoles.csv that simulate writes "
            "of a model with charges (dipole_interval, --dipole-interval), found none"
        )
    table = read_columns(path, "dipoles")
    missing = [name for name in (*_DIPOLE, *_CURRENT) if name not in table]
    if missing:
        raise Unreadable(
            f"expected columns {', '.join(missing)} in {path}, found {', '.join(table)}"
        )
    times = table[ENERGY_COLUMNS["time"]]
    inside = np.isfinite(times) & window.holds(times)
    again = repeated(np.where(np.isfinite(times), times, np.inf))
    if again.any() and not window.drop_repeated:
        raise Unreadable(
            f"expected times of {path} that increase, found {again.sum()} lines whose "
            "times come again later, as after a restart; --drop-repeated "
            "(drop_repeated) leaves them out"
        )
    rows = np.flatnonzero(inside & ~again)
    if len(rows) < 2:
        raise ValueError(
            f"expected lines of {path} between --start and --stop, found {len(rows)}"
        )
    table = {name: column[rows] for name, column in table.items()}
    begin, end = _CHARGE
    return DipoleSeries(
        time_step=frame_interval(times[rows], window.time_step),
        times=times[rows],
        dipoles=np.stack([table[name] for name in _DIPOLE], axis=1),
        currents=np.stack([table[name] for name in _CURRENT], axis=1),
        charges={
            name.removeprefix(begin).removesuffix(end): column
            for name, column in table.items()
            if name.startswith(begin) and name.endswith(end)
        },
        volumes=table.get(ENERGY_COLUMNS["volume"]),
    )
