# SPDX-License-Identifier: MIT
"""What one call of ``analyze`` asks: its options, its runs and their frames."""

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..runs.frames import Frames, Run, find_runs
from ..runs.selections import temperature_of
from .output import Row


class Series(NamedTuple):
    """Frames that follow each other in time.

    Attributes
    ----------
    suffix : str
        What labels get at their end, where there are several series.
    run : Run
    frames : Frames
    """

    suffix: str
    run: Run
    frames: Frames


class Request(NamedTuple):
    """Options, runs and selections of a call.

    Attributes
    ----------
    options : argparse.Namespace
    runs : list of Run
    selections : list of str
    read : list of Frames
        What has been read, for the JSON.
    """

    options: argparse.Namespace
    runs: list[Run]
    selections: list[str]
    read: list[Frames]

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Request":
        """Sort the arguments into runs and selections."""
        if not options.needs_runs:
            return cls(options, [], options.inputs, [])
        return cls(options, *find_runs(options.inputs), [])

    def frames(self, runs: list[Run] | None = None, *, joined: bool = False) -> Frames:
        """Frames of some runs, or of all, as the options cut them."""
        options = self.options
        frames = Frames(
            self.runs if runs is None else runs,
            options.start,
            options.stop,
            options.stride,
            options.time_step,
            joined,
        )
        self.read.append(frames)
        return frames

    def series(self) -> Iterator[Series]:
        """Each run by itself, or all as one where they are pieces of it."""
        if len(self.runs) == 1 or self.options.join:
            yield Series("", self.runs[0], self.frames(joined=True))
            return
        for run in self.runs:
            yield Series(f" ({run.name})", run, self.frames([run]))

    def temperature(self, run: Run | None = None) -> float:
        """Temperature in K of the options or of the run."""
        return temperature_of(self.options, run or self.runs[0])

    def blocks(self, n: int) -> int:
        """Blocks to take of `n` stretches of frames."""
        return min(self.options.blocks, n)

    @property
    def temperatures_differ(self) -> bool:
        """Whether the runs' records have several temperatures, and none was asked for.

        Means over such runs, or one temperature for all, would say nothing.
        """
        if not self.runs or self.options.temperature is not None:
            return False
        levels = [run.record.get("temperature_k") for run in self.runs]
        levels = {str(np.unique(level)) for level in levels if level is not None}
        return len(levels) > 1

    def described(self) -> dict[str, Any]:
        """Sources and options, for the JSON."""
        hidden = ("handler", "needs_runs", "verb", "quantity", "name", "inputs")
        hidden += ("json", "csv", "plot", "force")
        given = {k: v for k, v in vars(self.options).items() if k not in hidden}
        content = {"options": given}
        if self.runs:
            files = [run._asdict() for run in self.runs]
            for of_run in files:
                of_run.pop("record")
            content |= {
                "sources": files,
                "temperature_k": self._known_temperature(),
                "frames": [frames.described() for frames in self.read],
            }
        return content

    def _known_temperature(self) -> float | None:
        if self.temperatures_differ:
            return None
        try:
            return self.temperature()
        except ValueError:
            return None


def over_runs(rows: list[Row], request: Request) -> list[Row]:
    """Rows of several runs, and below them their means.

    Parameters
    ----------
    rows : list of Row
        Of items such as ``"Na (a)"`` and ``"Na (b)"`` of runs a and b.
    request : Request

    Returns
    -------
    list of Row
        Those, and of what has errors the mean over runs as ``"Na"``, unless their
        temperatures differ.
    """
    if request.temperatures_differ:
        return rows
    from ..analysis import replica_mean

    endings = tuple(f" ({run.name})" for run in request.runs)
    together: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        ending = next((end for end in endings if row.item.endswith(end)), None)
        if ending is not None and row.error is not None:
            key = row.item.removesuffix(ending), row.quantity, row.unit
            together.setdefault(key, []).append(row)
    means = []
    for (item, quantity, unit), of_runs in together.items():
        found = [(row.value, row.error) for row in of_runs]
        if len(found) > 1 and np.isfinite(found).all():
            means.append(Row(item, quantity, *replica_mean(found), unit))
    return rows + means


def add_frames(
    parser: argparse.ArgumentParser, *, stride: bool = True, join: bool = False
) -> None:
    """Options of which frames are taken."""
    group = parser.add_argument_group("frames")
    group.add_argument("--start", type=float, metavar="PS", help="first time, ps")
    group.add_argument("--stop", type=float, metavar="PS", help="last time, ps")
    parser.set_defaults(stride=1, join=False)
    if stride:
        group.add_argument(
            "--stride",
            type=positive,
            default=1,
            metavar="N",
            help="take every Nth frame",
        )
    group.add_argument(
        "--time-step",
        type=float,
        metavar="PS",
        help="between frames of files that hold no times (DCD, PDB), ps",
    )
    if join:
        group.add_argument(
            "--join",
            action="store_true",
            help="the trajectories are pieces of one run, not runs of their own",
        )


def add_temperature(parser: Any) -> None:
    """The temperature, for a run without a record."""
    parser.add_argument(
        "--temperature", type=float, metavar="K", help="K (default: the run's record)"
    )


def add_blocks(parser: argparse.ArgumentParser) -> None:
    """How many blocks errors come from."""
    parser.add_argument(
        "--blocks",
        type=positive,
        default=10,
        metavar="N",
        help="blocks of frames that errors come from, each longer than what is "
        "measured stays correlated (default 10)",
    )


def add_max_lag(parser: argparse.ArgumentParser, default: str = "a twentieth") -> None:
    """Longest lag time."""
    parser.add_argument(
        "--max-lag",
        type=float,
        metavar="PS",
        help=f"longest lag time, ps (default: {default} of the run)",
    )


def positive(text: str) -> int:
    """Whole number above 0, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {text}")
    return number


def numbers(text: str) -> list[float]:
    """Numbers between commas, for argparse."""
    return [float(part) for part in text.split(",")]
