# SPDX-License-Identifier: MIT
"""Structures of equilibrium that switches start from, as a run writes them."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app, unit

from ..reporters.table import next_report
from ..utils.files import replacing


class Start(NamedTuple):
    """Positions [N, 3] and box vectors [3, 3] in nm."""

    positions: np.ndarray
    box: np.ndarray


class StartReporter:
    """Write structures in double precision, each to a file of its step.

    A run that is resumed writes the same files again.

    Parameters
    ----------
    folder : path
    interval : int
        Steps between structures.
    first : int
        Step of the first one.
    """

    def __init__(self, folder: Path, interval: int, first: int) -> None:
        self.folder, self._interval, self._first = folder, interval, first

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:
        """Tell OpenMM when the next report is due and what it needs."""
        return next_report(simulation, self._interval, "positions")

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        """Write a structure; OpenMM calls this."""
        if simulation.currentStep < self._first:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = start_path(self.folder, simulation.currentStep)
        box = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        with replacing(path) as partial, open(partial, "wb") as file:
            np.savez(file, positions=positions, box=box)


def start_path(folder: Path, step: int) -> Path:
    """Name the structure of a step."""
    return folder / f"{step:010d}.npz"


def read_start(folder: Path, step: int) -> Start:
    """Read a structure.

    Raises
    ------
    FileNotFoundError
    """
    path = start_path(folder, step)
    if not path.is_file():
        raise FileNotFoundError(
            f"expected the structure {path}, which a switch starts from, found none; "
            "start anew (overwrite=True, --force)"
        )
    with np.load(path) as arrays:
        return Start(arrays["positions"], arrays["box"])
