# SPDX-License-Identifier: MIT
"""The part of a run that is measured."""

from dataclasses import dataclass
from typing import Any

from ..utils.settings import check_settings, setting


@dataclass(frozen=True)
class Window:
    """Times and frames that are taken of each run."""

    start: float | None = setting(
        None,
        about="First time; 0 takes all (default: where the potential energy of the "
        "run's table is equilibrated, at least a tenth, or 0 without a table)",
        metavar="PS",
    )
    stop: float | None = setting(None, about="Last time, ps", metavar="PS")
    stride: int | None = setting(
        None,
        about="Take every Nth frame (default: each, or fewer where the structure of "
        "so many would take minutes)",
        minimum=1,
        metavar="N",
    )
    time_step: float | None = setting(
        None,
        about="Time between frames, ps, of files that hold no times (DCD, PDB, XYZ, "
        "LAMMPS dumps) or wrong ones",
        above=0,
        unit="ps",
        metavar="PS",
    )
    cell: tuple[float, ...] = setting(
        (),
        about="Cell of frames that have none: three lengths, or these and three "
        "angles in degrees",
        unit="nm",
        above=0,
        metavar="A,B,C",
        example="2.5,2.5,2.5",
    )
    drop_repeated: bool = setting(
        False,
        about="Leave out frames whose time comes again later, as after a restart",
    )
    join: bool = setting(
        False, about="The trajectories are pieces of one run, not runs of their own"
    )

    def __post_init__(self) -> None:
        check_settings(self, "frames")
        if len(self.cell) not in (0, 3, 6):
            raise ValueError(
                "frames: expected a cell (--cell) of three lengths in nm, or of three "
                f"lengths and three angles in degrees, found {len(self.cell)} numbers"
            )

    def holds(self, times: Any) -> Any:
        """Mark the times (n,) in ps that are in the window, both ends included."""
        low = float("-inf") if self.start is None else self.start
        high = float("inf") if self.stop is None else self.stop
        # Times in files are float32.
        slack = 1e-6 * abs(times) + 1e-9
        return (times >= low - slack) & (times <= high + slack)
