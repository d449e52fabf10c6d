# SPDX-License-Identifier: MIT
"""Runs, the part of them that is measured, and what is known of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .centers import Centers
from .dipoles import DipoleSeries, dipoles_between
from .energies import StartTime, Table, energies_between, equilibrated
from .frames import Frames, count_frames, read_topology
from .nuclei import Nuclei, nuclei_between, over_beads
from .run import Run, temperatures
from .species import Kind, find_kinds, molecules_of
from .times import repeated
from .velocities import velocities_between
from .window import Window


class Series(NamedTuple):
    """Frames that follow each other in time.

    Attributes
    ----------
    suffix : str
        End of labels, where there are several series: ``" (runs/a)"``.
    run : Run
    frames : Frames
    """

    suffix: str
    run: Run
    frames: Frames


class Source:
    """Runs, and the window of each that is measured; files are read when asked for.

    Parameters
    ----------
    runs : sequence of Run
    window : Window, optional
    temperature : float, optional
        In K. Default: that of each run.

    Attributes
    ----------
    runs : list of Run
    window : Window
    temperature_given : float or None
    centers : Centers or None
        Points beside the atoms of all frames, see `with_centers`.
    memory : dict
        What one measurement leaves for the next.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        window: Window | None = None,
        temperature: float | None = None,
    ):
        self.runs, self.window = list(runs), window or Window()
        self.temperature_given = temperature
        self.centers: Centers | None = None
        self.memory: dict[Any, Any] = {}
        self._starts: dict[str, StartTime] = {}
        self._frames: dict[tuple, Frames] = {}

    def start(self, run: Run) -> StartTime:
        """Find where a run begins to count: as asked, or where it is equilibrated."""
        if self.window.start is not None:
            return StartTime(self.window.start, "as asked")
        if run.name not in self._starts:
            self._starts[run.name] = equilibrated(run)
        start, stop = self._starts[run.name], self.window.stop
        if stop is not None and 0 < stop < start.time:
            raise ValueError(
                f"expected --stop after the start of {run.name} that was chosen, "
                f"{start.time:.4g} ps ({start.reason}), found {stop:.4g} ps; --start 0 "
                "takes all before it"
            )
        return start

    def frames(
        self,
        runs: Sequence[Run] | None = None,
        *,
        joined: bool = False,
        positions: int | None = None,
        least: int = 20,
        whole: bool = False,
    ) -> Frames:
        """Choose frames of some runs, or of all.

        Parameters
        ----------
        runs : sequence of Run, optional
        joined : bool, optional
            Whether they are pieces of one run.
        positions : int, optional
            Positions of atoms to take about, where no stride was asked for: more would
            take long and add little.
        least : int, optional
            Frames to take nevertheless.
        whole : bool, optional
            Whether to begin at 0, unless another start was asked for.
        """
        runs = self.runs if runs is None else list(runs)
        joined = joined and len(runs) > 1
        starts = [self.window.start or 0.0] * len(runs)
        if not whole:
            starts = [self.start(runs[0] if joined else run).time for run in runs]
        windows = [replace(self.window, start=start) for start in starts]
        if self.window.stride is None and positions is not None:
            stride = self._stride(runs, windows, positions, least)
            windows = [replace(window, stride=stride) for window in windows]
        names = tuple((run.name, run.trajectory) for run in runs)
        key = names, joined, tuple(windows), self.centers
        if key not in self._frames:
            self._frames[key] = Frames(runs, windows, joined, self.centers)
        return self._frames[key]

    def series(self, positions: int | None = None) -> Iterator[Series]:
        """Give each run by itself, or all as one where they are pieces of it."""
        if len(self.runs) == 1 or self.window.join:
            frames = self.frames(joined=True, positions=positions)
            yield Series("", self.runs[0], frames)
            return
        for run in self.runs:
            frames = self.frames([run], positions=positions)
            yield Series(f" ({run.name})", run, frames)

    def label(self, run: Run) -> str:
        """Name a run as an item of a table: ``all``, or ``all (runs/a)`` of several."""
        return f"all ({run.name})" if len(self.runs) > 1 else "all"

    def energies(self, run: Run, needed: Sequence[str] = ()) -> Table:
        """Read the energies of a run in the window, see `energies_between`."""
        return energies_between(run, self._window_of(run), needed)

    def velocities(self, run: Run, selection: Any, reference: Any = "all") -> Any:
        """Read velocities of a run in the window, see `velocities_between`."""
        return velocities_between(run, self._window_of(run), selection, reference)

    def dipoles(self, run: Run) -> DipoleSeries:
        """Read dipoles and currents of a run in the window, see `dipoles_between`."""
        return dipoles_between(run, self._window_of(run))

    def nuclei(self, run: Run) -> tuple[np.ndarray, dict[str, Nuclei]]:
        """Read kinetic energies of nuclei in the window, see `nuclei_between`."""
        return nuclei_between(run, self._window_of(run))

    def over_beads(self) -> "Source":
        """Make the same source with frames of all beads, where runs have any.

        What it finds and has to say is this one's, too.
        """
        return self.of([over_beads(run) for run in self.runs])

    def of(self, runs: Sequence[Run]) -> "Source":
        """Make the same source of other runs; what it finds is this one's, too."""
        source = Source(runs, self.window, self.temperature_given)
        source.memory, source._starts = self.memory, self._starts
        source._frames, source.centers = self._frames, self.centers
        return source

    def with_centers(self, selections: Sequence[str]) -> "Source":
        """Make the same source with centres of mass of molecules beside the atoms.

        Parameters
        ----------
        selections : sequence of str
            As ``"com:EMC"``; `centers` of the source has the points of each.
        """
        source = self.of(self.runs)
        source.memory = {}
        source.centers = Centers(self.topology, self.kinds, selections)
        return source

    def target(self, run: Run) -> float | None:
        """Temperature of a run's thermostat in K, as given or as recorded, or None."""
        given = self.temperature_given
        return run.target if given is None else given

    def temperature(self, run: Run | None = None) -> float:
        """Temperature in K: as given, of the thermostat, or of NVE the mean.

        Raises
        ------
        ValueError
            If it is not known, or changes.
        """
        run = run or self.runs[0]
        known = self.target(run)
        if known is None and run.ensemble == "nve":
            known = self._mean_temperature(run)
        if known is None or not known > 0:
            levels = temperatures(run) if known is None else [known]
            raise ValueError(
                "expected --temperature in K, or a run whose record holds a constant "
                f"one, found {', '.join(f'{x:g}' for x in levels) or 'none'}"
            )
        return float(known)

    @property
    def temperatures_differ(self) -> bool:
        """True if the runs' records have several temperatures, and none was given.

        Means over such runs, or one temperature for all, would say nothing.
        """
        if self.temperature_given is not None:
            return False
        levels = [temperatures(run) for run in self.runs]
        return len({str(np.unique(level)) for level in levels if level}) > 1

    @cached_property
    def topology(self) -> Any:
        """Topology of the first run, an mdtraj.Topology."""
        return read_topology(self.runs[0])

    @cached_property
    def kinds(self) -> list[Kind]:
        """Kinds of molecules and ions of the first run."""
        return find_kinds(self.topology)

    @cached_property
    def molecules(self) -> np.ndarray:
        """Molecule of each atom of the first run by the bonds, then of each centre."""
        labels = molecules_of(self.kinds, self.topology.n_atoms)
        if self.centers is None:
            return labels
        return np.concatenate([labels, self.centers.molecules])

    @property
    def notes(self) -> list[str]:
        """Sentences about what was left out without being asked for."""
        notes = []
        for run in self.runs:
            start = self._starts.get(run.name)
            if start is not None and start.time > 0:
                name = f" of {run.name}" if len(self.runs) > 1 else ""
                notes.append(
                    f"From {start.time:.4g} ps on{name} ({start.reason}); --start 0 "
                    "takes all."
                )
        for run in self.runs:
            again = repeated(run.table["time"]) if run.table else np.zeros(0)
            if again.any() and not self.window.drop_repeated:
                notes.append(
                    f"{again.sum()} lines of {run.energies} have times that come again "
                    "later, as after a restart; --drop-repeated leaves them out."
                )
        for frames in self._frames.values():
            if frames.n_frames:
                notes += frames.notes
            if frames.n_frames and frames.stride > 1 and self.window.stride is None:
                notes.append(
                    f"Every {_ordinal(frames.stride)} frame was taken, "
                    f"{frames.n_frames} in all; --stride 1 takes each."
                )
        return list(dict.fromkeys(notes))

    def described(self) -> dict[str, Any]:
        """Describe runs, temperature and frames, for the JSON."""
        files = ("name", "trajectory", "topology", "energies", "velocities")
        temperature = None
        if not self.temperatures_differ:
            try:
                temperature = self.temperature()
            except ValueError:
                pass
        return {
            "sources": [{k: getattr(run, k) for k in files} for run in self.runs],
            "temperature_k": temperature,
            "frames": [f.described() for f in self._frames.values() if f.n_frames],
        }

    def _mean_temperature(self, run: Run) -> float | None:
        """Mean of the table from the start on; without a table the record's."""
        table = run.table
        kept = table["time"] >= self.start(run).time if table else np.array([False])
        warm = table.get("temperature")
        if warm is not None and kept.any() and np.isfinite(warm[kept]).all():
            return float(warm[kept].mean())
        levels = temperatures(run)
        return levels[0] if len(set(levels)) == 1 else None

    def _window_of(self, run: Run) -> Window:
        return replace(self.window, start=self.start(run).time)

    def _stride(
        self,
        runs: Sequence[Run],
        windows: Sequence[Window],
        positions: int,
        least: int,
    ) -> int:
        """Choose a stride that leaves about so many positions of atoms."""
        numbers = list(map(count_frames, runs, windows))
        if None in numbers:
            return 1
        wanted = max(least, positions // self.topology.n_atoms)
        return max(1, -(-sum(numbers) // wanted))


def _ordinal(number: int) -> str:
    """Write ``2nd``, ``13th``."""
    last = 0 if number % 100 in (11, 12, 13) else number % 10
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
