# SPDX-License-Identifier: MIT
"""Runs and their frames, in chunks that fit into memory."""

import json
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

# Positions of a chunk of frames: 24 MB in float32.
_POSITIONS = 2_000_000
_HDF5 = (".h5", ".hdf5")


class Run(NamedTuple):
    """Files of one run; None for those that were not given or are not there.

    Attributes
    ----------
    name : str
    trajectory, topology, energies, velocities : Path or None
    record : dict
        Of ``PREFIX.json``.
    """

    name: str
    trajectory: Path | None = None
    topology: Path | None = None
    energies: Path | None = None
    velocities: Path | None = None
    record: dict[str, Any] = MappingProxyType({})


def find_runs(items: Sequence[str]) -> tuple[list[Run], list[str]]:
    """Split arguments into runs and what is asked about them.

    Parameters
    ----------
    items : sequence of str
        Prefixes of runs, or ``TRAJ [TRAJ ...] TOP`` and files of energies (.csv) and
        velocities (.h5); then selections.

    Returns
    -------
    runs : list of Run
    selections : list of str
    """
    files, runs, rest = [], [], list(items)
    while rest:
        path = Path(rest[0])
        if path.is_file():
            files.append(path)
        elif _beside(rest[0], ".xtc", ".csv", ".json", *_HDF5):
            runs.append(_of_prefix(rest[0]))
        else:
            break
        rest.pop(0)
    if not files and not runs:
        folder = Path(items[0])
        stages = sorted(path.stem for path in folder.glob("*.xtc"))
        found = f"nothing at {folder}"
        if folder.is_dir():
            found = f"the folder {folder} of {', '.join(stages) or 'no runs'}"
        raise FileNotFoundError(
            "expected a trajectory and its topology or the prefix of a run, found "
            + found
        )
    return _told_apart(_of_files(files, rest) + runs), rest


class Frames:
    """Frames of one run or several, in chunks that fit into memory, to pass repeatedly.

    Parameters
    ----------
    runs : sequence of Run
    start, stop : float, optional
        Times in ps of the first and the last frame, of each run unless `joined`.
    stride : int
        Of how many frames one is taken.
    time_step : float, optional
        Time between frames of the files in ps. Default: the files' own times.
    joined : bool
        Whether the runs are pieces of one.

    Attributes
    ----------
    n_frames : int
        Frames of the last pass.
    first_time, last_time : float
        In ps.
    cell : (3, 3) array
        Cell of the first frame in nm, None without one.
    volume : float
        Mean volume of the cell in nm³ of the last pass; NaN without a cell.
    """

    def __init__(self, runs, start=None, stop=None, stride=1, step=None, joined=False):
        self._runs, self._start, self._stop = runs, start, stop
        self._stride, self._time_step, self._joined = stride, step, joined
        self.n_frames, self.first_time, self.last_time = 0, np.nan, np.nan
        self.cell, self.volume = None, np.nan

    def __iter__(self) -> Iterator[Any]:
        self.n_frames, volumes = 0, 0.0
        last_read = -np.inf
        index, taken = count(), 0
        for run in self._runs:
            if not self._joined:
                index, taken = count(), 0
            for chunk in _chunks(run):
                if self._time_step is not None:
                    frames = np.array([next(index) for _ in range(chunk.n_frames)])
                    chunk.time = frames * self._time_step
                times = np.asarray(chunk.time, dtype=float)
                last_read = max(last_read, times[-1])
                inside = np.flatnonzero(self._inside(times))
                kept = inside[(taken + np.arange(len(inside))) % self._stride == 0]
                taken += len(inside)
                if len(kept) == 0:
                    continue
                if len(kept) < chunk.n_frames:
                    chunk = chunk[kept]
                if self.n_frames == 0:
                    self.first_time = float(times[kept[0]])
                    self.cell = chunk.unitcell_vectors
                    self.cell = None if self.cell is None else self.cell[0]
                self.n_frames += len(kept)
                self.last_time = float(times[kept[-1]])
                if chunk.unitcell_lengths is not None:
                    volumes += float(chunk.unitcell_volumes.sum(dtype=float))
                    self.volume = volumes / self.n_frames
                yield chunk
        if self.n_frames == 0:
            raise ValueError(
                f"expected frames between --start and --stop, found the last at "
                f"{last_read:.6g} ps"
            )

    def _inside(self, times):
        low = -np.inf if self._start is None else self._start
        high = np.inf if self._stop is None else self._stop
        # Times in files are float32.
        slack = 1e-6 * np.abs(times) + 1e-9
        return (times >= low - slack) & (times <= high + slack)

    @property
    def topology(self) -> Any:
        """Topology of the first run, an mdtraj.Topology."""
        return read_topology(self._runs[0])

    def largest_radius(self) -> float:
        """Half the smallest width of the cell over all frames, in nm; one pass."""
        from ..analysis.frames import cell_vectors, largest_radius

        return min(largest_radius(cell_vectors(chunk)) for chunk in self)

    def load(self, atoms: Any = None) -> Any:
        """All frames of some atoms as one mdtraj.Trajectory, in memory."""
        import mdtraj

        chunks = [c if atoms is None else c.atom_slice(atoms) for c in self]
        return mdtraj.join(chunks, check_topology=False) if chunks[1:] else chunks[0]

    def described(self) -> dict[str, Any]:
        """What was read, for the JSON."""
        return {
            "frames": self.n_frames,
            "first_time_ps": self.first_time,
            "last_time_ps": self.last_time,
            "stride": self._stride,
            "mean_volume_nm3": self.volume,
        }


def read_topology(run: Run) -> Any:
    """The mdtraj.Topology of a run."""
    import mdtraj

    path = run.topology or run.trajectory or run.velocities
    if path is None:
        raise FileNotFoundError(
            f"expected a trajectory and its topology for {run.name}, found neither"
        )
    try:
        return mdtraj.load_topology(str(path))
    except (IndexError, KeyError, OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"expected a topology that mdtraj reads at {path}, found "
            f"{type(error).__name__}: {error}"
        ) from error


def _of_prefix(prefix: str) -> Run:
    trajectory = _beside(prefix, ".xtc")
    velocities = _beside(prefix, *_HDF5)
    topology = _beside(prefix, ".pdb")
    if topology is None:
        trajectory = velocities
    record = _beside(prefix, ".json")
    try:
        content = json.loads(record.read_text()) if record else {}
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}")
    except ValueError as error:
        raise ValueError(
            f"expected the record of a run in {record}, found {error}"
        ) from error
    return Run(
        prefix,
        trajectory or velocities,
        topology,
        _beside(prefix, ".csv"),
        velocities,
        content,
    )


def _of_files(files: list[Path], rest: Sequence[str]) -> list[Run]:
    """Runs of ``TRAJ [TRAJ ...] TOP``, and of files whose ending says what they are."""
    energies = [path for path in files if path.suffix.lower() == ".csv"]
    others = [path for path in files if path not in energies]
    if len(others) == 1 and others[0].suffix.lower() in _HDF5:
        runs = [Run(others[0].stem, others[0], None, None, others[0])]
    elif len(others) == 1:
        raise FileNotFoundError(
            f"expected a topology after {others[0]}, found "
            + (f"no file {rest[0]}" if rest else "none")
        )
    elif all(path.suffix.lower() in _HDF5 for path in others):
        runs = [Run(path.stem, path, None, None, path) for path in others]
    else:
        *paths, topology = others
        if len(paths) > 1 and any(path.suffix.lower() == ".pdb" for path in paths):
            raise ValueError(
                "expected trajectories and then their one topology, found "
                + " ".join(map(str, others))
            )
        runs = [
            Run(p.stem, p, topology, None, p if p.suffix.lower() in _HDF5 else None)
            for p in paths
        ]
    if not runs:
        return [Run(path.stem, energies=path) for path in energies]
    if energies and len(energies) != len(runs):
        raise ValueError(
            f"expected a CSV of energies for each of {len(runs)} trajectories, found "
            f"{len(energies)}"
        )
    if energies:
        runs = [
            run._replace(energies=path)
            for run, path in zip(runs, energies, strict=True)
        ]
    return runs


def _told_apart(runs: list[Run]) -> list[Run]:
    """Runs with names of their own: their paths, where the files' names are the same.

    Raises
    ------
    ValueError
        If one is there twice.
    """
    names = [run.name for run in runs]
    renamed = []
    for run in runs:
        path = run.trajectory or run.energies
        if names.count(run.name) > 1 and path is not None:
            run = run._replace(name=str(path.with_suffix("")))
        renamed.append(run)
    names = [run.name for run in renamed]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(
            f"expected each run once, found several of {', '.join(sorted(twice))}"
        )
    return renamed


def _beside(prefix: str, *endings: str) -> Path | None:
    """The first file there is of a prefix and one of the endings."""
    paths = (Path(prefix + ending) for ending in endings)
    return next((path for path in paths if path.is_file()), None)


def _chunks(run: Run) -> Iterator[Any]:
    import mdtraj

    if run.trajectory is None:
        hint = ""
        if run.record.get("method") == "parallel-tempering":
            hint = ": replica_exchange.write_temperature writes that of a temperature"
        raise FileNotFoundError(
            f"expected a trajectory of {run.name}, found none{hint}"
        )
    topology = read_topology(run)
    size = max(1, min(100, _POSITIONS // topology.n_atoms))
    holds_topology = run.trajectory.suffix.lower() in _HDF5
    named = {} if holds_topology else {"top": topology}
    try:
        stream = mdtraj.iterload(str(run.trajectory), chunk=size, **named)
        while (chunk := next(stream, None)) is not None:
            if chunk.n_frames:
                yield chunk
    except (IndexError, OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"expected a trajectory at {run.trajectory} with the atoms of "
            f"{run.topology or run.trajectory}, found {type(error).__name__}: {error}"
        ) from error
