# SPDX-License-Identifier: MIT
"""A run on disk: its files and its record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.files import read_record
from ..utils.suggest import did_you_mean
from .names import (
    LAMMPS,
    LAMMPS_SUFFIXES,
    OTHER_SUFFIXES,
    PROTOCOL,
    REPLICA_METHODS,
    REPLICA_SUFFIXES,
    SUFFIXES,
    TRAJECTORIES,
    WITH_TOPOLOGY,
    WITH_VELOCITIES,
    existing_file,
    holds_topology,
    runs_in,
    stage_names,
)
from .records import read_run_record
from .restarts import version_of_lammps
from .system import RunSystem, read_system
from .table import known_table, read_speed
from .trajectories.index import FrameIndex
from .trajectories.pieces import join_indices
from .trajectories.read import read_index

# Files that a prefix has under one name each.
_BY_THEIR_NAMES = (
    *("events", "dipoles", "charges", "variables", "hills", "beads", "nuclei"),
)


@dataclass(frozen=True)
class Run:
    """Files of one run; None for those that are not there or were not given.

    Attributes
    ----------
    name : str
        The prefix, or the trajectory's name without its ending.
    trajectory, topology, energies, velocities, events, exchanges : Path or None
    dipoles, charges : Path or None
        Of a model with charges.
    variables, hills : Path or None
        Of a run with collective variables, and with metadynamics.
    beads, nuclei : Path or None
        Of quantum nuclei: frames of all beads, and kinetic energies.
    record : mapping
        Of ``PREFIX.json``, without what is null.
    system_file : Path or None
        XML of the System.
    elements : mapping of str to str
        Elements by names of atoms, where the topology does not tell them.
    part : Path or None
        Frames that follow the trajectory in a file of their own, since LAMMPS continued
        the run; some may be in both.
    restart : Path or None
        State at the end of a run in LAMMPS.
    frames_at_once : int
        Frames of the trajectory that are of one moment, as those of beads are.
    """

    name: str
    trajectory: Path | None = None
    topology: Path | None = None
    energies: Path | None = None
    velocities: Path | None = None
    events: Path | None = None
    exchanges: Path | None = None
    dipoles: Path | None = None
    charges: Path | None = None
    variables: Path | None = None
    hills: Path | None = None
    beads: Path | None = None
    nuclei: Path | None = None
    record_file: Path | None = None
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)
    system_file: Path | None = None
    elements: Mapping[str, str] = field(default_factory=dict, repr=False)
    part: Path | None = None
    restart: Path | None = None
    frames_at_once: int = 1

    @cached_property
    def topologies(self) -> dict[Path, Any]:
        """Topologies that were read, by their files."""
        return {}

    @cached_property
    def table(self) -> dict[str, Any]:
        """Energies by the keys of `ENERGY_COLUMNS`; empty where there are none."""
        return known_table(self.energies)

    @cached_property
    def system(self) -> RunSystem | None:
        """Masses, bonds, charges and periodicity of the System; None without one."""
        return None if self.system_file is None else read_system(self.system_file)

    @cached_property
    def index(self) -> FrameIndex | None:
        """Index of the trajectory; None for a format without one."""
        if self.trajectory is None:
            return None
        index = read_index(self.trajectory)
        if self.part is None or index is None:
            return index
        return join_indices(self.trajectory, index, self.part, read_index(self.part))

    @property
    def stage(self) -> str:
        """Last part of the prefix."""
        return Path(self.name).name

    @property
    def files(self) -> list[Path]:
        """Files that there are."""
        files = (
            *(self.record_file, self.energies, self.events, self.exchanges),
            *(self.topology, self.trajectory, self.part, self.velocities),
            *(self.dipoles, self.charges, self.variables, self.hills),
            *(self.beads, self.nuclei),
        )
        return list(dict.fromkeys(path for path in files if path is not None))

    @property
    def has_frames(self) -> bool:
        """True if there is a topology, and something in the trajectory."""
        if self.trajectory is None or self.trajectory.stat().st_size == 0:
            return False
        if self.topology is not None:
            return True
        return holds_topology(self.trajectory)

    @property
    def done(self) -> int:
        """Steps done: as recorded, or where only LAMMPS knows, by what it wrote."""
        recorded = self.record.get("completed_steps")
        if recorded is not None:
            return int(recorded)
        if self.restart is not None and "steps" in self.record:
            return int(self.record["steps"])
        steps = self.table.get("step", np.zeros(0))
        return int(np.max(steps, where=np.isfinite(steps), initial=0))

    @property
    def begun(self) -> bool:
        """True if there is more than a record, which for LAMMPS is written before."""
        if "completed_steps" in self.record:
            return True
        files = self.energies, self.trajectory, self.exchanges, self.restart
        return any(path is not None for path in files)

    @cached_property
    def speed(self) -> float | None:
        """Speed in ns/day: as recorded, or the last of the table; None without one."""
        recorded = self.record.get("ns_per_day")
        return read_speed(self.energies) if recorded is None else recorded

    @property
    def progress(self) -> str:
        """``5,000 of 20,000`` steps, as far as they are recorded."""
        asked = self.record.get("steps")
        return f"{self.done:,}" + ("" if asked is None else f" of {asked:,}")

    @property
    def tempered(self) -> bool:
        """True if replicas exchanged temperatures or λ: time has jumps in it."""
        return self.record.get("method") in REPLICA_METHODS

    @property
    def simulated(self) -> float:
        """Time simulated in ps; NaN if the record has no time step."""
        return self.done * self.record.get("timestep_fs", float("nan")) * 1e-3

    @property
    def ensemble(self) -> str:
        """Name of the ensemble, empty if the record has none."""
        return str(self.record.get("ensemble", ""))

    @property
    def target(self) -> float | None:
        """Temperature of the thermostat in K, or None without one or with a ramp."""
        levels = temperatures(self)
        if self.ensemble == "nve" or len(set(levels)) != 1:
            return None
        return levels[0]


def temperatures(run: Run) -> list[float]:
    """List the temperatures in K of a run's record: one, those of a ramp, or none."""
    levels = run.record.get("temperature_k", [])
    return [float(x) for x in (levels if isinstance(levels, list) else [levels])]


def read_run(prefix: str | Path) -> Run:
    """Find the files of a prefix and read its record.

    Raises
    ------
    ValueError
        If the record is no JSON object, or has no number where one belongs.
    """
    topology = existing_file(prefix, SUFFIXES["topology"])
    trajectory = existing_file(prefix, *TRAJECTORIES)
    unfit = trajectory is None or topology is None or not trajectory.stat().st_size
    if unfit:
        trajectory = existing_file(prefix, *WITH_TOPOLOGY) or trajectory
    path = existing_file(prefix, SUFFIXES["record"])
    record = read_run_record(path) if path else {}
    if record.get("engine") == LAMMPS:
        record |= version_of_lammps(prefix)
    part = existing_file(prefix, LAMMPS_SUFFIXES["part"])
    if part is not None and (trajectory is None or not trajectory.stat().st_size):
        trajectory, part = part, None
    return Run(
        name=str(prefix),
        trajectory=trajectory,
        topology=topology,
        energies=existing_file(prefix, SUFFIXES["energies"]),
        velocities=existing_file(prefix, *WITH_VELOCITIES),
        **{n: existing_file(prefix, OTHER_SUFFIXES[n]) for n in _BY_THEIR_NAMES},
        exchanges=existing_file(prefix, REPLICA_SUFFIXES["exchanges"]),
        record_file=path,
        record=record,
        system_file=existing_file(prefix, SUFFIXES["system"]),
        part=part,
        restart=existing_file(prefix, LAMMPS_SUFFIXES["restart"]),
    )


def begun_stages(folder: str | Path) -> tuple[list[str], list[Run]]:
    """List the names of a protocol's stages, and read those that have begun."""
    protocol = Path(folder) / PROTOCOL
    stages = stage_names(read_record(protocol), protocol)
    prefixes = [protocol.parent / name for name in stages]
    runs = [read_run(x) for x in prefixes if existing_file(x, SUFFIXES["record"])]
    return stages, [run for run in runs if run.begun]


def read_stages(path: str | Path) -> list[Run]:
    """Read the stages of a protocol's folder, or the one run of a prefix.

    Raises
    ------
    FileNotFoundError
        If there is no run there.
    ValueError
        If a file of it cannot be read.
    """
    path = Path(path)
    if not path.is_dir():
        if existing_file(path, SUFFIXES["record"]) is None:
            raise FileNotFoundError(
                "expected the prefix of a run, such as runs/nacl/nvt, or the folder of "
                f"a protocol, found no {path}{SUFFIXES['record']} and no folder {path}"
            )
        return [read_run(path)]
    protocol = path / PROTOCOL
    if not protocol.is_file():
        names = sorted(p.stem for p in path.glob(f"*{SUFFIXES['record']}"))
        raise FileNotFoundError(
            f"expected {PROTOCOL} in the folder {path}, found none; of the runs "
            f"there give one: {', '.join(names) or 'none found'}"
        )
    stages, begun = begun_stages(path)
    if not begun:
        raise ValueError(
            f"expected a stage of {path} that has begun, found none of "
            f"{', '.join(stages)}"
        )
    return begun


def find_runs(
    items: Sequence[str], *, folders: bool = False
) -> tuple[list[Run], list[str]]:
    """Split arguments into runs and what is asked about them.

    Parameters
    ----------
    items : sequence of str
        Prefixes of runs, or ``TRAJ [TRAJ ...] TOP`` and files of energies (.csv) and
        velocities (.h5); then selections.
    folders : bool
        Whether the folder of a protocol stands for its stages.

    Returns
    -------
    runs : list of Run
    selections : list of str
    """
    kinds = [SUFFIXES[kind] for kind in ("energies", "record")]
    kinds += [*TRAJECTORIES, *WITH_TOPOLOGY, *WITH_VELOCITIES]
    files, runs, rest = [], [], list(items)
    while rest:
        path = Path(rest[0])
        if path.is_file():
            files.append(path)
        elif existing_file(rest[0], *kinds):
            runs.append(read_run(rest[0]))
        elif folders and (path / PROTOCOL).is_file():
            runs += read_stages(path)
        else:
            break
        rest.pop(0)
    if not files and not runs:
        folder = Path(items[0])
        if folder.is_dir():
            stages = runs_in(folder)
            there = f"the folder {folder} of {', '.join(stages) or 'no runs'}"
            if stages:  # the last one of a protocol is often measured
                there += f"; give {'one, as ' * (len(stages) > 1)}{folder / stages[-1]}"
        else:
            beside = [str(folder.parent / name) for name in runs_in(folder.parent)]
            there = f"nothing at {folder}{did_you_mean([str(folder)], beside)}"
        raise FileNotFoundError(
            "expected a trajectory and its topology or the prefix of a run, found "
            + there
        )
    return _named_apart(_runs_of_files(files, rest) + runs), rest


def _runs_of_files(files: list[Path], rest: Sequence[str]) -> list[Run]:
    """Make runs of ``TRAJ [TRAJ ...] TOP``, and of files known by their endings."""
    energies = [p for p in files if p.suffix.lower() == SUFFIXES["energies"]]
    others = [path for path in files if path not in energies]
    if all(holds_topology(path) for path in others):
        runs = [_run_of_file(path) for path in others]
    elif len(others) == 1:
        raise FileNotFoundError(
            f"expected a topology after {others[0]}, found "
            + (f"no file {rest[0]}" if rest else "none")
        )
    else:
        *paths, topology = others
        endings = [path.suffix.lower() for path in paths]
        if len(paths) > 1 and SUFFIXES["topology"] in endings:
            raise ValueError(
                "expected trajectories and then their one topology, found "
                + " ".join(map(str, others))
            )
        runs = [_run_of_file(path, topology) for path in paths]
    if not runs:
        return [Run(path.stem, energies=path) for path in energies]
    if energies and len(energies) != len(runs):
        raise ValueError(
            f"expected a CSV of energies for each of {len(runs)} trajectories, found "
            f"{len(energies)}"
        )
    if not energies:
        return runs
    return [replace(run, energies=p) for run, p in zip(runs, energies, strict=True)]


def _run_of_file(path: Path, topology: Path | None = None) -> Run:
    """Make a run of a trajectory, in which there may be velocities."""
    may_have = path.suffix.lower() in WITH_VELOCITIES
    return Run(
        path.stem,
        path,
        topology,
        velocities=path if may_have else None,
        system_file=existing_file(path.with_suffix(""), SUFFIXES["system"]),
    )


def _named_apart(runs: list[Run]) -> list[Run]:
    """Name runs by their paths where the names of their files are the same.

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
            run = replace(run, name=str(path.with_suffix("")))
        renamed.append(run)
    names = [run.name for run in renamed]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(
            f"expected each run once, found several of {', '.join(sorted(twice))}"
        )
    return renamed
