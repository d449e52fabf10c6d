# SPDX-License-Identifier: MIT
"""The files of a run, or of all stages of a protocol."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np

# Columns of OpenMM's StateDataReporter, by the names used here.
COLUMNS = {
    "step": "Step",
    "time": "Time (ps)",
    "potential": "Potential Energy (kJ/mole)",
    "kinetic": "Kinetic Energy (kJ/mole)",
    "total": "Total Energy (kJ/mole)",
    "temperature": "Temperature (K)",
    "volume": "Box Volume (nm^3)",
    "density": "Density (g/mL)",
}
# Coordinates of a trajectory that are held in memory: 600 MB.
_COORDINATES = 150_000_000
# What a record holds as one number, where it holds it.
_NUMBERS = (
    "atoms",
    "completed_steps",
    "friction_per_ps",
    "hydrogen_mass_da",
    "ns_per_day",
    "pressure_bar",
    "report_interval",
    "steps",
    "timestep_fs",
)


@dataclass(frozen=True)
class Run:
    """What one run wrote.

    Attributes
    ----------
    name : str
        Of the stage, or the last part of the prefix.
    prefix : str
        Of the files.
    record : dict
        What ``PREFIX.json`` says, without what is null.
    table : dict of str to (n,) array
        Columns of ``PREFIX.csv`` by the keys of `COLUMNS`; empty without the file.
    events : list of dict of str to str
        Rows of ``PREFIX.events.csv``.
    """

    name: str
    prefix: str
    record: dict[str, Any]
    table: dict[str, np.ndarray]
    events: list[dict[str, str]]

    def path(self, suffix):
        """Path of the file of this run that ends so, or None if there is none."""
        path = Path(f"{self.prefix}{suffix}")
        return path if path.is_file() else None

    def files(self):
        """Files that the page is made from."""
        suffixes = (".json", ".csv", ".events.csv", ".exchanges.csv")
        suffixes += (".pdb", ".xtc", ".h5")
        return [path for path in map(self.path, suffixes) if path]

    def trajectory_path(self):
        """The trajectory, or None if there is none or nothing in it."""
        found = map(self.path, (".xtc", ".h5"))
        return next((path for path in found if path and path.stat().st_size), None)

    @property
    def done(self):
        """Steps done."""
        return int(self.record.get("completed_steps", 0))

    @property
    def progress(self):
        """``5,000 of 20,000`` steps, as far as they are recorded."""
        asked = self.record.get("steps")
        return f"{self.done:,}" + ("" if asked is None else f" of {asked:,}")

    @property
    def tempered(self):
        """Whether it is replicas that exchanged temperatures: time has jumps in it."""
        return self.record.get("method") == "parallel-tempering"

    @property
    def simulated(self):
        """Time simulated in ps; NaN if the record has no time step."""
        return self.done * self.record.get("timestep_fs", np.nan) * 1e-3

    @property
    def target(self):
        """Temperature of the thermostat in K, or None without one or with a ramp."""
        levels = set(np.atleast_1d(self.record.get("temperature_k") or []).tolist())
        if self.ensemble == "nve" or len(levels) != 1:
            return None
        return float(levels.pop())

    @property
    def ensemble(self):
        """The ensemble's name, empty if the record has none."""
        return str(self.record.get("ensemble", ""))


def find_runs(run):
    """Stages of a protocol's folder, or the one run of a prefix.

    Returns
    -------
    list of Run

    Raises
    ------
    FileNotFoundError
        If there is no run there.
    ValueError
        If a file of it cannot be read.
    """
    run = Path(run)
    if not run.is_dir():
        if not Path(f"{run}.json").is_file():
            raise FileNotFoundError(
                "expected the prefix of a run, such as runs/nacl/nvt, or the folder of "
                f"a protocol, found no {run}.json and no folder {run}"
            )
        return [read_run(run)]
    protocol = run / "protocol.json"
    if not protocol.is_file():
        found = sorted(path.stem for path in run.glob("*.json"))
        raise FileNotFoundError(
            f"expected protocol.json in the folder {run}, found none; of the runs "
            f"there give one: {', '.join(found) or 'none found'}"
        )
    stages = _json(protocol).get("stages")
    if not isinstance(stages, list) or not all(isinstance(s, str) for s in stages):
        raise ValueError(f"expected a list of names as stages of {protocol}")
    # A protocol that is under way has not begun all of its stages.
    begun = [run / name for name in stages if Path(f"{run / name}.json").is_file()]
    if not begun:
        raise ValueError(f"expected a record of at least one stage in {run}")
    return [read_run(prefix) for prefix in begun]


def read_run(prefix):
    """Record, table and events of the run of a prefix."""
    prefix = Path(prefix)
    table, events = Path(f"{prefix}.csv"), Path(f"{prefix}.events.csv")
    rows = []
    if events.is_file():
        with open(events, newline="") as file:
            rows = list(csv.DictReader(file))
    return Run(
        name=prefix.name,
        prefix=str(prefix),
        record=_record(Path(f"{prefix}.json")),
        table=_table(table) if table.is_file() else {},
        events=rows,
    )


def read_frames(run, start=0.0):
    """Frames of a run from `start` ps on, thinned where memory asks for it.

    Returns
    -------
    trajectory : mdtraj.Trajectory
    stride : int
        Every how many-th frame was read.
    """
    path, topology = run.trajectory_path(), run.path(".pdb")
    if path is None or topology is None:
        raise ValueError(
            f"expected a trajectory and a topology, found no {run.prefix}.pdb, or no "
            f"frames in {run.prefix}.xtc or .h5"
        )
    try:
        with mdtraj.open(str(path)) as file:
            n_frames = len(file)
        known = mdtraj.load_topology(str(topology))
        stride = 1 + 3 * n_frames * known.n_atoms // _COORDINATES
        options = {} if path.suffix == ".h5" else {"top": known}
        trajectory = mdtraj.load(str(path), stride=stride, **options)
    except (EOFError, IndexError, OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"expected a trajectory at {path} with the atoms of {topology}, found "
            f"{type(error).__name__}: {error}"
        ) from error
    # A frame written at `start` belongs to what is kept, whatever float32 made of it.
    kept = trajectory.time >= start - 1e-6 * max(1.0, start)
    if not kept.any():
        raise ValueError(
            f"expected frames from {start:.6g} ps on, found none in {path}, which ends "
            f"at {trajectory.time[-1] if len(trajectory) else 0:.6g} ps"
        )
    return trajectory[kept], stride


def _json(path):
    try:
        content = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"expected JSON in {path}, found {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"expected a table in {path}, found {type(content).__name__}")
    return content


def _record(path):
    """Record of a run, or ValueError where a number is none."""
    found = {key: value for key, value in _json(path).items() if value is not None}
    for key in _NUMBERS:
        if not isinstance(found.get(key, 0), int | float):
            raise ValueError(
                f"expected a number as {key} in {path}, found {found[key]!r}"
            )
    levels = found.get("temperature_k", 0)
    for level in levels if isinstance(levels, list) else [levels]:
        if not isinstance(level, int | float):
            raise ValueError(
                f"expected temperatures as temperature_k in {path}, found {levels!r}"
            )
    return found


def _table(path):
    """Columns of StateDataReporter's file; a last line cut short is left out."""
    with open(path, newline="") as file:
        rows = csv.reader(file)
        header = [name.strip('#"') for name in next(rows, [])]
        places = {
            key: header.index(name) for key, name in COLUMNS.items() if name in header
        }
        values = []
        for row in rows:
            if len(row) != len(header):
                continue
            try:
                values.append([float(row[place]) for place in places.values()])
            except ValueError:  # a header repeated after a restart
                continue
    if not values or not {"time", "temperature"} <= set(places):
        return {}
    return dict(zip(places, np.array(values).T, strict=True))
