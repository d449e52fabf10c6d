# SPDX-License-Identifier: MIT
"""Names of ensembles and of a run's files, whose endings no other module knows."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from ..topology.formats import format_of

SUFFIXES = {
    "topology": ".pdb",
    "trajectory": ".xtc",
    "energies": ".csv",
    "state": ".state.xml",
    "system": ".system.xml",
    "checkpoint": ".chk",
    "record": ".json",
}
# Endings that files of earlier versions have; the first resumption renames these.
FORMER_SUFFIXES = {"state": ".xml"}
# Written on request, or when something happens.
OTHER_SUFFIXES = {
    "velocities": ".h5",
    "events": ".events.csv",
    "event_frames": ".events.xyz",
    "dipoles": ".dipoles.csv",
    "charges": ".charges",
    # of runs with collective variables, metadynamics and OPES
    "variables": ".variables.csv",
    "hills": ".hills.csv",
    "kernels": ".kernels.csv",
    "beads": ".beads.xtc",
    "nuclei": ".nuclei.csv",
}
# Files in the folder of a loop of active learning.
LOOP_FILES = {"record": "loop.json", "frames": "frames.csv", "errors": "errors.csv"}
# The "method" of records of replicas, and the endings of their files.
REPLICA_METHODS = ("parallel-tempering", "lambda-exchange")
REPLICA_SUFFIXES = {
    "topology": ".pdb",
    "samples": ".nc",
    "checkpoint": "_checkpoint.nc",
    "exchanges": ".exchanges.csv",
    "record": ".json",
    "backup": ".backup.zip",
}
# Of switches between the ends of λ: their works, and prefixes of the runs at the ends
# with the structures that switches start from.
SWITCHING_SUFFIXES = {
    "works": ".works.csv",
    "checkpoint": ".chk",
    "record": ".json",
    "mm": "-mm",
    "ml": "-ml",
    "mm_starts": "-mm.starts",
    "ml_starts": "-ml.starts",
    "topology": f"-mm{SUFFIXES['topology']}",
}
# In the folder of a free energy along λ, beside its runs.
FREE_ENERGY = {
    "results": "free_energy.json",
    "overlap": "overlap.png",
    "works": "works.png",
}
# Of a run in LAMMPS: the state at its end, the last two states before it in turn, and
# the frames since it was continued, until they are joined to its trajectory.
LAMMPS_SUFFIXES = {
    "restart": ".restart",
    "restart_1": ".restart.1",
    "restart_2": ".restart.2",
    "part": ".part.xtc",
}
# Trajectories that a prefix is looked for with, the first that is there; named with
# their topology, all that mdtraj reads are.
TRAJECTORIES = (SUFFIXES["trajectory"],)
# Trajectories that hold their topology.
WITH_TOPOLOGY = (".h5", ".hdf5")
# Formats of trajectories that hold their topology, as `topology.formats` tells them.
_STATING = ("extxyz", "traj", "xdatcar")
# Trajectories that may hold velocities.
WITH_VELOCITIES = (".h5", ".hdf5")
# The "engine" of records of runs in LAMMPS; those of OpenMM's runs have none.
LAMMPS = "lammps"
# Key of records of umbrella windows: steps at the start that analysis leaves out.
EQUILIBRATION = "equilibration_steps"
# Beside it: names of the variables that each window restrains, and earlier stages may
# not.
UMBRELLA = "umbrella_variables"
# Integrators of quantum nuclei: ring polymers and the quantum thermal bath.
RPMD, QTB = "rpmd", "qtb"
# Whether a run drew velocities, or kept those that another one ended with.
VELOCITIES_DRAWN = "velocities_drawn"
# What a minimisation did; older records say no more than that it was asked for.
MINIMIZATION = "minimization"
# Sentences that a run logged as warnings of itself; older records have none.
WARNINGS = "warnings"
# What lists the stages in the folder of a protocol.
PROTOCOL = "protocol.json"
# What lists the temperatures in the folder of a series, each a protocol's folder.
SERIES = "series.json"
# The barostat of each ensemble, a class of OpenMM, or none at constant volume.
ENSEMBLES: dict[str, str | None] = {
    "nvt": None,
    "nve": None,
    "npt": "MonteCarloBarostat",
    "npt-anisotropic": "MonteCarloAnisotropicBarostat",
    "npt-flexible": "MonteCarloFlexibleBarostat",
}


def paths_of(output: str | Path) -> dict[str, Path]:
    """List all files that a run with this prefix can have, by their names here."""
    names = SUFFIXES | OTHER_SUFFIXES
    return {name: Path(f"{output}{suffix}") for name, suffix in names.items()}


def state_path(output: str | Path) -> Path:
    """File with the last state of a run with this prefix, also of an earlier version.

    It may not exist.
    """
    path, former = paths_of(output)["state"], _former_state(output)
    return former if former is not None and not path.exists() else path


def adopt_former_names(output: str | Path) -> None:
    """Rename the files that an earlier version wrote for a prefix."""
    path, former = paths_of(output)["state"], _former_state(output)
    if former is not None and not path.exists():
        former.replace(path)


def _former_state(output: str | Path) -> Path | None:
    """The state that an earlier version wrote, and no other file of its name."""
    path = Path(f"{output}{FORMER_SUFFIXES['state']}")
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        return path if b"<State" in file.read(200) else None


def replica_paths_of(output: str | Path) -> dict[str, Path]:
    """List all files of replicas with this prefix, by their names here."""
    return {name: Path(f"{output}{end}") for name, end in REPLICA_SUFFIXES.items()}


def switching_paths_of(output: str | Path) -> dict[str, Path]:
    """List the files of switches with this prefix, by their names here."""
    return {name: Path(f"{output}{end}") for name, end in SWITCHING_SUFFIXES.items()}


def lammps_paths_of(output: str | Path) -> dict[str, Path]:
    """List the files that LAMMPS alone writes for a prefix, by their names here."""
    return {name: Path(f"{output}{end}") for name, end in LAMMPS_SUFFIXES.items()}


def parts_of(path: Path) -> Path:
    """Name the folder of the parts that a file with velocities is put together from."""
    return path.with_name(path.name + ".parts")


def existing_file(prefix: str | Path, *suffixes: str) -> Path | None:
    """Find the first file that a prefix has with one of the suffixes."""
    paths = (Path(f"{prefix}{suffix}") for suffix in suffixes)
    return next((path for path in paths if path.is_file()), None)


def holds_topology(path: Path) -> bool:
    """Tell whether a trajectory holds the names and elements of its atoms."""
    return path.suffix.lower() in WITH_TOPOLOGY or format_of(path) in _STATING


def stage_names(record: dict[str, Any], path: Path) -> list[str]:
    """Names of the stages in the record of a protocol, all of them in its folder.

    Raises
    ------
    ValueError
        If they are no names, or lead out of the folder.
    """
    stages = record.get("stages", [])
    if not isinstance(stages, list) or not all(
        isinstance(name, str) and re.fullmatch("[A-Za-z0-9_-]+", name)
        for name in stages
    ):
        raise ValueError(
            f"expected a list of names such as 1-heat as stages of {path}, found "
            f"{stages!r:.200}"
        )
    return stages


def check_output(
    output: str | Path, overwrite: bool = False, resume: bool = False
) -> dict[str, Path]:
    """List the files that ``run`` will write for a prefix, if it may write them.

    Raises
    ------
    FileExistsError
        If one exists and neither ``overwrite`` nor ``resume`` is set, or ``resume`` and
        there is no record to resume from.
    ValueError
        If ``output`` is a folder.
    """
    if str(output).endswith(("/", os.sep)) or Path(output).is_dir():
        raise ValueError(
            "expected the prefix of files to write, such as runs/nacl, found the "
            f"folder {output}"
        )
    paths = paths_of(output)
    former = _former_state(output)  # begun anew, a run would remove it
    check_existing(
        paths if former is None else paths | {"former state": former},
        overwrite,
        resume,
    )
    return {name: paths[name] for name in SUFFIXES}


def check_existing(paths: dict[str, Path], overwrite: bool, resume: bool) -> None:
    """Refuse to replace files unasked, and to resume without a record.

    Raises
    ------
    FileExistsError
    """
    existing = [str(p) for p in paths.values() if p.exists()]
    if existing and not overwrite and not resume:
        raise FileExistsError(
            f"expected no output yet, found {', '.join(existing)}; use another name, "
            "overwrite=True (--force), or resume=True (--resume) to continue it"
        )
    if existing and resume and not paths["record"].exists():
        raise FileExistsError(
            f"expected the record {paths['record']} of a run to resume, found "
            f"{', '.join(existing)} without it; bring it back, use another name, or "
            "overwrite=True (--force)"
        )


def remove_output(output: str | Path, keep: tuple[str, ...] = ()) -> None:
    """Remove all files of a prefix, by OpenMM or LAMMPS, but some by their names."""
    former = _former_state(output)
    if former is not None:
        former.unlink(missing_ok=True)
    for name, path in (paths_of(output) | lammps_paths_of(output)).items():
        if name not in keep:
            path.unlink(missing_ok=True)
            shutil.rmtree(parts_of(path), ignore_errors=True)


def is_series(folder: str | Path) -> bool:
    """Tell whether a folder is that of a series of temperatures."""
    return (Path(folder) / SERIES).is_file()


def runs_in(folder: Path) -> list[str]:
    """List the runs of a folder by the names of their trajectories, 2-b before 10-a."""
    paths = folder.glob(f"*{SUFFIXES['trajectory']}")
    part = LAMMPS_SUFFIXES["part"]
    names = [path.stem for path in paths if not path.name.endswith(part)]
    first = re.compile("[0-9]*")
    return sorted(names, key=lambda name: (int(first.match(name)[0] or 0), name))
