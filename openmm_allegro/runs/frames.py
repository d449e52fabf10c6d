# SPDX-License-Identifier: MIT
"""Frames of runs, in chunks that fit into memory."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..topology.elements import NamesUnclear
from .centers import Centers
from .names import LAMMPS_SUFFIXES, WITH_TOPOLOGY, existing_file
from .run import Run
from .system import RunSystem, with_system
from .table import Unreadable
from .times import (
    Times,
    check_numbers,
    check_times,
    read_times,
    times_of_pieces,
)
from .topology import load_topology
from .trajectories.read import read_chunks
from .window import Window

# Positions of a chunk, 24 MB in float32; and of all frames that are kept in memory.
_POSITIONS = 2_000_000
_KEPT = 20_000_000


class Frames:
    """Frames of one run or several, in chunks that fit into memory, to pass repeatedly.

    A trajectory that is not too large is read from the disk once and kept.

    Parameters
    ----------
    runs : sequence of Run
    windows : sequence of Window
        One for each run, alike but for the start; a stride of None is 1.
    joined : bool
        Whether the runs are pieces of one.
    centers : Centers, optional
        Points to put beside the atoms of each frame.

    Attributes
    ----------
    n_frames : int
        Frames of the last pass.
    first_time, last_time : float
        In ps; NaN of frames without times.
    cell : (3, 3) array
        Cell of the first frame in nm, None without one.
    volume : float
        Mean volume of the cell in nm³ of the last pass; NaN without a cell.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        windows: Sequence[Window],
        joined: bool = False,
        centers: Centers | None = None,
    ):
        self._runs, self._windows, self._joined = runs, windows, joined
        self._centers = centers
        self.stride = windows[0].stride or 1
        self._kept: list[Any] | None = None
        self.n_frames, self.first_time, self.last_time = 0, np.nan, np.nan
        self.cell, self.volume = None, np.nan

    def __iter__(self) -> Iterator[Any]:
        if self._kept is not None:
            yield from self._kept
            return
        from ..analysis.frames import cell_volumes

        self.n_frames, volumes = 0, 0.0
        kept: list[Any] | None = []
        for chunk in self._read():
            timed = not np.issubdtype(chunk.time.dtype, np.integer)
            if self.n_frames == 0:
                self.first_time = float(chunk.time[0]) if timed else np.nan
                self.cell = chunk.unitcell_vectors
                self.cell = None if self.cell is None else self.cell[0]
            self.n_frames += chunk.n_frames
            self.last_time = float(chunk.time[-1]) if timed else np.nan
            if chunk.unitcell_lengths is not None:
                volumes += float(cell_volumes(chunk).sum())
                self.volume = volumes / self.n_frames
            if self.n_frames * chunk.n_atoms > _KEPT:
                kept = None
            if self._centers is not None:
                chunk = self._centers.beside(chunk)
            if kept is not None:
                kept.append(chunk)
            yield chunk
        self._kept = kept

    @property
    def topology(self) -> Any:
        """Topology of the first run, an mdtraj.Topology."""
        return read_topology(self._runs[0])

    def largest_radius(self) -> float:
        """Half the smallest width of the cell over all frames, in nm."""
        from ..analysis.frames import cell_vectors, largest_radius

        return min(largest_radius(cell_vectors(chunk)) for chunk in self)

    def cell_parameters(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Lengths in nm and angles in degrees, (n_frames, 3) each, of all cells."""
        cells = [(c.unitcell_lengths, c.unitcell_angles) for c in self]
        if any(lengths is None for lengths, _ in cells):
            return None
        lengths, angles = zip(*cells, strict=True)
        return np.concatenate(lengths), np.concatenate(angles)

    def load(self, atoms: Any = None) -> Any:
        """Join all frames of some atoms to one mdtraj.Trajectory, in memory."""
        import mdtraj

        chunks = [c if atoms is None else c.atom_slice(atoms) for c in self]
        return mdtraj.join(chunks, check_topology=False) if chunks[1:] else chunks[0]

    def described(self) -> dict[str, Any]:
        """Describe what was read, for the JSON."""
        return {
            "frames": self.n_frames,
            "first_time_ps": self.first_time,
            "last_time_ps": self.last_time,
            "stride": self.stride,
            "mean_volume_nm3": self.volume,
        }

    @property
    def notes(self) -> list[str]:
        """Sentences about frames that repeat others, and about a file cut short."""
        notes = []
        for run, times in zip(self._runs, self._times, strict=True):
            if run.index is not None and run.index.is_cut:
                notes.append(
                    f"The last frame of {run.trajectory} is cut short and left out."
                )
            if (part := self._unread_part(run)) is not None:
                notes.append(
                    f"{run.trajectory} goes on in {part}, which was not named; the run "
                    "named by its prefix has both."
                )
            n = 0 if times is None else _number(times.repeated)
            if n and self._windows[0].drop_repeated:
                notes.append(
                    f"{n} frames of {run.trajectory} were left out, whose times come "
                    "again later."
                )
            elif n:
                notes.append(
                    f"{n} frames of {run.trajectory} have times that come again later, "
                    "as after a restart; --drop-repeated leaves them out."
                )
        return notes

    def check_times(self) -> None:
        """Check that frames follow each other at known times.

        Raises
        ------
        ValueError
            If there are no times that can be relied on and no time step was given, or
            frames are repeated and to be kept.
        """
        for run, window, times in zip(
            self._runs, self._windows, self._times, strict=True
        ):
            if window.time_step is None:
                check_times(run, times)
            n = 0 if times is None else _number(times.repeated)
            if n and not window.drop_repeated:
                raise ValueError(
                    f"expected times of {run.trajectory} that increase, found {n} "
                    "frames whose times come again later, as after a restart; "
                    "--drop-repeated (drop_repeated) leaves them out"
                )

    def _unread_part(self, run: Run) -> Path | None:
        """Frames that LAMMPS wrote after a trajectory, which no run here has."""
        if run.part is not None or run.trajectory is None:
            return None
        prefix = run.trajectory.with_suffix("")
        part = existing_file(prefix, LAMMPS_SUFFIXES["part"])
        return None if part in [other.trajectory for other in self._runs] else part

    @cached_property
    def _times(self) -> list[Times | None]:
        """Times of each run's frames, as far as they are known beforehand."""
        times = [read_times(run) for run in self._runs]
        return times_of_pieces(times) if self._joined else times

    def _read(self) -> Iterator[Any]:
        """Read the frames of the window from the disk."""
        last_read, some = -np.inf, False
        before, taken = 0, 0
        for run, window, times in zip(
            self._runs, self._windows, self._times, strict=True
        ):
            if not self._joined:
                before, taken = 0, 0
            cut = bool(window.start) or window.stop is not None
            if cut and window.time_step is None:
                check_times(run, times)
            done, last = 0, None
            if run.index is not None and window.stop is not None:
                last, latest = _last_frame(run, window, times, before)
                last_read = max(last_read, latest)
            for chunk in _chunks(run, last):
                frames = np.arange(done, done + chunk.n_frames)
                done += chunk.n_frames
                if not _has_images(run, chunk.n_atoms):
                    chunk.unitcell_lengths = chunk.unitcell_angles = None
                if window.cell:
                    _set_cell(run, chunk, window.cell)
                inside = np.ones(chunk.n_frames, dtype=bool)
                if window.drop_repeated and times and times.repeated is not None:
                    inside = ~times.repeated[frames]
                if window.time_step is not None:
                    numbers = before + np.cumsum(inside) - 1
                    chunk.time = numbers * window.time_step
                elif times is not None and times.values is None:
                    chunk.time = frames  # integers: no times
                if cut:
                    check_numbers(run, chunk.time)
                before += int(inside.sum())
                last_read = max(last_read, float(chunk.time[-1]))
                inside = np.flatnonzero(inside & window.holds(chunk.time))
                kept = inside[(taken + np.arange(len(inside))) % self.stride == 0]
                taken += len(inside)
                if len(kept):
                    some = True
                    yield chunk if len(kept) == chunk.n_frames else chunk[kept]
        if not some:
            raise ValueError(
                f"expected frames between --start and --stop, found the last at "
                f"{last_read:.6g} ps"
            )


def count_frames(run: Run, window: Window) -> int | None:
    """Count the frames of a run in a window without reading them.

    Returns
    -------
    int or None
        None where the file does not tell.
    """
    if run.index is None or not run.index.n_frames:
        return None
    n_frames, times = run.index.n_frames, read_times(run)
    kept = np.ones(n_frames, dtype=bool)
    if window.drop_repeated and times.repeated is not None:
        kept = ~times.repeated
    if window.time_step is not None:
        return int(window.holds(np.arange(kept.sum()) * window.time_step).sum())
    if times.values is None:
        return int(kept.sum())
    return int((kept & window.holds(times.values)).sum())


def read_topology(run: Run) -> Any:
    """Read the mdtraj.Topology of a run, with the masses and bonds of its System."""
    path = run.topology or run.trajectory or run.velocities
    if path is None:
        raise FileNotFoundError(
            f"expected a trajectory and its topology for {run.name}, found neither"
        )
    return topology_of(run, path)


def topology_of(run: Run, path: Path) -> Any:
    """Read the topology of a file of a run, once, as `read_topology`."""
    if path in run.topologies:
        return run.topologies[path]
    try:
        own = run.record_file is not None
        topology = load_topology(path, run.elements, own=own)
    except NamesUnclear:
        raise
    except (IndexError, KeyError, OSError, RuntimeError, ValueError) as error:
        raise Unreadable(
            f"expected a topology that mdtraj reads at {path}, found "
            f"{type(error).__name__}: {error}"
        ) from error
    system = system_of(run, topology.n_atoms)
    if system is not None:
        topology = with_system(topology, system)
    run.topologies[path] = topology
    return topology


def system_of(run: Run, n_atoms: int) -> RunSystem | None:
    """System of a run of so many atoms; None if there is none beside its files.

    Raises
    ------
    Unreadable
        If the System of a prefix has another number of atoms.
    """
    system = run.system
    if system is None or system.n_atoms == n_atoms:
        return system
    if run.record_file is None:  # files of their own, with a System of that name
        return None
    raise Unreadable(
        f"expected {n_atoms} atoms in {run.system_file}, as in the topology of "
        f"{run.name}, found {system.n_atoms}"
    )


def _chunks(run: Run, last: int | None = None) -> Iterator[Any]:
    """Read a run, up to a frame that is not needed."""
    if run.trajectory is None:
        hint = ""
        if run.tempered:
            hint = ": replica_exchange.write_temperature writes that of a temperature"
        raise FileNotFoundError(
            f"expected a trajectory of {run.name}, found none{hint}"
        )
    topology = read_topology(run)
    if run.trajectory.suffix.lower() in WITH_TOPOLOGY:
        topology = topology_of(run, run.trajectory)
    size = max(1, min(100, _POSITIONS // topology.n_atoms))
    path, index = run.trajectory, run.index
    if last is not None and last < index.n_frames:
        # What comes after may be damaged.
        index = index._replace(n_frames=last, damage="", is_cut=False)
    yield from read_chunks(path, topology, run.topology or path, index, size)


def _set_cell(run: Run, chunk: Any, cell: Sequence[float]) -> None:
    """Give frames the cell that was asked for."""
    if chunk.unitcell_lengths is not None:
        raise ValueError(
            f"expected --cell beside frames without a cell, found one in "
            f"{run.trajectory}"
        )
    six = np.append(np.array(cell), [90.0] * 3)[:6]
    chunk.unitcell_lengths = np.tile(six[:3], (chunk.n_frames, 1))
    chunk.unitcell_angles = np.tile(six[3:], (chunk.n_frames, 1))


def _last_frame(
    run: Run, window: Window, times: Times | None, before: int
) -> tuple[int, float]:
    """Frame after the last in a window, and the latest time in ps of all frames."""
    n = run.index.n_frames
    kept = np.ones(n, dtype=bool)
    if window.drop_repeated and times and times.repeated is not None:
        kept = ~times.repeated
    if window.time_step is not None:
        values = (before + np.cumsum(kept) - 1) * window.time_step
    elif times is not None and times.values is not None:
        values = times.values
    else:
        return n, -np.inf
    inside = np.flatnonzero(kept & window.holds(values))
    return int(inside[-1]) + 1 if len(inside) else 0, float(values.max())


def _number(marks: np.ndarray | None) -> int:
    return 0 if marks is None else int(marks.sum())


def _has_images(run: Run, n_atoms: int) -> bool:
    """Tell whether a cell in a run's files means anything."""
    system = system_of(run, n_atoms)
    return system is None or system.periodic is not False
