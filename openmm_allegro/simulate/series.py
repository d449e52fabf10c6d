# SPDX-License-Identifier: MIT
"""One protocol at several temperatures, each in a folder of its own."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openmm
from openmm import app

from ..bias.settings import Bias, Restraint, Variable
from ..runs.names import PROTOCOL, SERIES
from ..utils.files import lock_output, read_record, write_record
from .protocol import choose_seed, run_protocol
from .settings import Execution, Stage
from .watchdogs.watchdog import Watchdogs

log = logging.getLogger(__name__)

# Between the seeds of two temperatures, so that stages can be added to each.
SEEDS_APART = 1000
SERIES_EXISTS = (
    "expected no series yet in {folder}, found {path}; use another folder, "
    "overwrite=True (--force), or resume=True (--resume) to continue it"
)


def run_series(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    stages: Mapping[float, Sequence[Stage]],
    output: str | Path,
    *,
    watchdogs: Watchdogs | None = None,
    variables: Sequence[Variable] = (),
    restraints: Sequence[Restraint] = (),
    bias: Bias | None = None,
    platform: str | None = None,
    threads: int | None = None,
    notes: dict[str, Any] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> dict[float, dict[str, dict[str, Path]]]:
    """Run a protocol at several temperatures, one after the other.

    A kill at any moment loses nothing: with ``resume``, temperatures that are finished
    stay as they are and the others continue. Temperatures may be added then, and the
    last stages may be longer.

    Parameters
    ----------
    topology, positions, system
        As ``run``; each temperature begins with the same positions.
    stages : mapping of float to sequence of Stage
        By temperature in K, in the order in which they run.
    output : path
        Folder. Each temperature is a protocol in ``output/500K``; ``series.json`` lists
        them.
    watchdogs, variables, restraints, bias
        As ``run_protocol``, at every temperature.
    platform, threads, notes, overwrite, progress
        As ``run_protocol``, at every temperature.
    seed : int
        Seed of the first temperature; each further one has the next thousand. 0 draws
        one, which is recorded.
    resume : bool
        Whether to continue a series that is there.

    Returns
    -------
    dict of float to dict
        For each temperature in K what ``run_protocol`` returns.

    Raises
    ------
    FileExistsError, RuntimeError, ImportError
        As ``run_protocol``.
    ValueError
        As ``run_protocol``; or if there are less than two temperatures, two of one
        folder's name, or not all that the folder has already.
    """
    folder, path = Path(output), Path(output) / SERIES
    Execution(platform, threads, seed, overwrite, resume, progress)
    names = name_temperatures(list(stages))
    if path.exists() and not (overwrite or resume):
        raise FileExistsError(SERIES_EXISTS.format(folder=folder, path=path))
    files = {}
    with lock_output(folder / "series"):
        record = begin_series(path, names, seed, resume) | {"finished": False}
        write_record(path, record)
        for kelvin, name in names.items():
            log.info("temperature %g K", kelvin)
            files[kelvin] = run_protocol(
                topology,
                positions,
                system,
                stages[kelvin],
                folder / name,
                watchdogs=watchdogs,
                variables=variables,
                restraints=restraints,
                bias=bias,
                platform=platform,
                threads=threads,
                notes=notes,
                seed=record["seeds"][name],
                overwrite=overwrite,
                resume=resume and (folder / name / PROTOCOL).exists(),
                progress=progress,
            )
        write_record(path, record | {"finished": True})
    return files


def name_temperatures(temperatures: Sequence[float]) -> dict[float, str]:
    """Name the folder of each temperature in K: ``500K``.

    Raises
    ------
    ValueError
        If there are less than two, or two of one name.
    """
    names = {kelvin: f"{kelvin:g}K" for kelvin in temperatures}
    if len(set(names.values())) < len(temperatures) or len(names) < 2:
        raise ValueError(
            "expected at least two different temperatures in K, found "
            f"{', '.join(f'{kelvin:g}' for kelvin in temperatures) or 'none'}"
        )
    return names


def begin_series(
    path: Path, names: Mapping[float, str], seed: int, resume: bool = False
) -> dict[str, Any]:
    """Make the record of a series: temperatures, folders and their seeds.

    Raises
    ------
    ValueError
        If a temperature that the folder has is missing, or LAMMPS runs the series.
    """
    before = read_record(path) if resume and path.exists() else {}
    if "engine" in before:
        raise ValueError(
            f"expected a series in OpenMM, found in {path} one of LAMMPS; "
            "openmm-allegro lammps FOLDER --resume continues it, or use another folder"
        )
    seeds = dict(before.get("seeds", {}))
    if missing := [name for name in seeds if name not in names.values()]:
        raise ValueError(
            f"expected the temperatures that {path} has already, found none for "
            f"{', '.join(missing)}"
        )
    count = SEEDS_APART * (len(names) + 1)
    first = choose_seed(seed or before.get("seed", 0), count)
    for name in names.values():
        seeds.setdefault(name, first + SEEDS_APART * len(seeds))
    return {
        "temperatures_k": list(names),
        "folders": list(names.values()),
        "seed": first,
        "seeds": seeds,
    }
