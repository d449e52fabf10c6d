# SPDX-License-Identifier: MIT
"""The base of reporters that write lines of numbers."""

from pathlib import Path
from typing import Any, ClassVar, TextIO

import openmm
from openmm import app, unit


class TableReporter:
    """Write CSV every few steps, the step and the time first; a base class.

    A subclass has ``include``, the names of what the State must hold, and ``values``.

    Parameters
    ----------
    file : path or text file
    interval : int
        Steps between lines.
    append : bool
        Whether to append to the file rather than replace it.

    Attributes
    ----------
    path : Path
        Path of the file, if it was given by its name.
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
        """Tell OpenMM when the next report is due and what it needs."""
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
        """Compute the numbers of a line, by the names of their columns."""
        raise NotImplementedError

    def __del__(self) -> None:
        if self._opened:
            self._opened.close()


def check_interval(interval: int) -> None:
    """Refuse an interval below one step."""
    if interval < 1:
        raise ValueError(f"expected an interval of at least 1, found {interval}")


def next_report(
    simulation: app.Simulation, interval: int, *include: str
) -> dict[str, Any]:
    """Make the result of ``describeNextReport``, for positions that are not wrapped."""
    steps = interval - simulation.currentStep % interval
    return {"steps": steps, "periodic": False, "include": list(include)}
