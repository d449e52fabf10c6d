# SPDX-License-Identifier: MIT
"""What reporters that write lines of numbers have in common."""

from pathlib import Path
from typing import Any, ClassVar, TextIO

import openmm
from openmm import app, unit


class TableReporter:
    """Write CSV every few steps, the step and the time first; the base of others.

    A subclass has ``include``, what the State is to hold, and ``values``.

    Parameters
    ----------
    file : path or text file
    interval : int
        Steps between lines.
    append : bool
        Whether to go on behind what is in the file, rather than replace it.

    Attributes
    ----------
    path : Path
        Of the file, where it was given by its name.
    """

    include: ClassVar[list[str]] = []
    _opened: TextIO | None = None

    def __init__(
        self, file: str | Path | TextIO, interval: int, append: bool = False
    ) -> None:
        check_interval(interval)
        self._file, self._interval, self.append = file, interval, append
        self._started = False
        if not hasattr(file, "write"):
            self.path = Path(file)

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:
        """When the next report is due and what it needs; OpenMM calls this."""
        return next_report(simulation, self._interval, *self.include)

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        """Write a line; OpenMM calls this."""
        line = {
            "Step": simulation.currentStep,
            "Time (ps)": state.getTime().value_in_unit(unit.picosecond),
            **self.values(simulation, state),
        }
        # Opened after the first values: where they fail, the old file stays.
        if not self._started:
            if not hasattr(self._file, "write"):
                mode = "a" if self.append else "w"
                self._file = self._opened = open(self.path, mode, buffering=1)
            if not (self.append and self._file.tell()):
                print("#" + ",".join(f'"{name}"' for name in line), file=self._file)
            self._started = True
        print(*line.values(), sep=",", file=self._file)

    def values(
        self, simulation: app.Simulation, state: openmm.State
    ) -> dict[str, float | int]:
        """What a line has, by the names of the columns."""
        raise NotImplementedError

    def __del__(self) -> None:
        if self._opened:
            self._opened.close()


def check_interval(interval: int) -> None:
    """Raise a ValueError if there is no step between two reports."""
    if interval < 1:
        raise ValueError(f"expected an interval of at least 1, found {interval}")


def next_report(
    simulation: app.Simulation, interval: int, *include: str
) -> dict[str, Any]:
    """What ``describeNextReport`` returns, for positions that are not wrapped."""
    steps = interval - simulation.currentStep % interval
    return {"steps": steps, "periodic": False, "include": list(include)}
