# SPDX-License-Identifier: MIT
"""A run at several temperatures, each in a folder that LAMMPS runs by itself."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..runs.names import LAMMPS, SERIES
from ..simulate.series import SERIES_EXISTS, begin_series, name_temperatures
from ..simulate.settings import Stage
from ..simulate.system_config import SystemConfig
from ..utils.files import lock_output, read_record, write_record
from .output import INPUT, LAUNCHER, is_plain, without_empty_folder
from .plan import Plan
from .resume import Resumed, resume
from .run import prepare_run


def prepare_series(
    config: SystemConfig,
    stages: Mapping[float, Sequence[Stage]],
    names: Sequence[str],
    output: str | Path,
    *,
    seed: int = 0,
    overwrite: bool = False,
    **more: Any,
) -> dict[str, Plan]:
    """Write a folder for each temperature, and what makes them a series.

    Parameters
    ----------
    config, names
        As ``prepare_run``, the same at all temperatures.
    stages : mapping of float to sequence of Stage
        By temperature in K, in the order in which they will run.
    output : path
        Folder. LAMMPS runs each temperature in ``output/500K``; ``series.json`` lists
        them, as ``simulate.series.run_series`` does, and analyses read it.
    seed : int
        Seed of the first temperature; each further one has the next thousand. 0 draws
        one, which is recorded.
    overwrite : bool
        Whether an earlier series in the folder may be replaced.
    **more
        As ``prepare_run``, at every temperature.

    Returns
    -------
    dict of str to Plan
        By the name of the folder.

    Raises
    ------
    FileExistsError, FileNotFoundError, ImportError, RuntimeError
        As ``prepare_run``.
    ValueError
        As ``prepare_run``; or if there are less than two temperatures, or two of one
        folder's name.
    """
    folder, path = Path(output), Path(output) / SERIES
    if path.exists() and not overwrite:
        raise FileExistsError(SERIES_EXISTS.format(folder=folder, path=path))
    folders, plans = name_temperatures(list(stages)), {}
    with without_empty_folder(folder), lock_output(folder / "series"):
        record = begin_series(path, folders, seed)
        for kelvin, name in folders.items():
            what = config, stages[kelvin], names, folder / name
            own = {"seed": record["seeds"][name], "overwrite": overwrite}
            plans[name] = prepare_run(*what, **own, **more)
        write_record(path, record | {"engine": LAMMPS})
    return plans


def resume_series(folder: str | Path, steps: int | None = None) -> dict[str, Resumed]:
    """Make all temperatures ready to be continued, see ``resume``.

    Returns
    -------
    dict of str to Resumed
        By the name of the folder.

    Raises
    ------
    FileNotFoundError, RuntimeError
        As ``resume``.
    ValueError
        As ``resume``, or if OpenMM runs the series.
    """
    path = Path(folder) / SERIES
    record = read_record(path)
    if record.get("engine") != LAMMPS:
        raise ValueError(
            f"expected a series of runs in LAMMPS in {folder}, found in {path} one in "
            "OpenMM, which openmm-allegro simulate continues"
        )
    names = [Path(str(name)).name for name in record["folders"]]
    return {name: resume(path.parent / name, steps) for name in names}


def series_line(folder: Path, names: Sequence[str]) -> str:
    """Line of a shell that runs LAMMPS at all temperatures, one after the other."""
    place = f"{shlex.quote(str(folder))}/$t"
    run = f"{LAUNCHER} {place}/{INPUT}"
    if not is_plain(folder):
        run = f"(cd {place} && {LAUNCHER} {INPUT})"
    return f"for t in {' '.join(names)}; do {run} || break; done"
