# SPDX-License-Identifier: MIT
"""Several runs one after the other: minimise, heat, quench, equilibrate, produce."""

import dataclasses
import logging
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openmm
from openmm import app, unit

from ..runs.names import PROTOCOL, paths_of, remove_output
from ..utils.config import check_types
from ..utils.files import lock_output, read_record, write_record
from .checks import check_integers
from .settings import check_settings, prepare_system
from .simulation import run
from .watchdogs.watchdog import Watchdogs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """A run of a protocol; field for field a ``[[stages]]`` table of its TOML.

    Each begins with the positions, the velocities and the box that the one before
    ended with. All is as in ``simulate.run``, with units in the names.

    Parameters
    ----------
    name : str
        Letters, digits, ``-`` and ``_``.
    temperature_k : tuple of float
        One, or several of a ramp: ``[300, 3000]`` heats, ``[600, 900, 600]`` anneals.
        An instant quench is a stage at a lower temperature with ``draw_velocities``.
    hydrogen_mass_da : float
        0 for the elements' own.
    velocity_interval, checkpoint_interval : int
        0 for none, and for the default.

    Raises
    ------
    ValueError
        If a value is of another type or the name cannot be one of a file.
    """

    name: str
    steps: int = 0
    ensemble: str = "nvt"
    integrator: str = "auto"
    temperature_k: tuple[float, ...] = (300.0,)
    timestep_fs: float = 0.5
    friction_per_ps: float = 1.0
    pressure_bar: float = 1.0
    barostat_interval: int = 25
    hydrogen_mass_da: float = 0.0
    report_interval: int = 20
    velocity_interval: int = 0
    checkpoint_interval: int = 0
    minimize: bool = False
    draw_velocities: bool = False

    def __post_init__(self) -> None:
        where = f"stage {self.name!r}"
        if isinstance(self.temperature_k, int | float):
            object.__setattr__(self, "temperature_k", (self.temperature_k,))
        check_types(self, where)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.name):
            raise ValueError(
                f"{where}: expected a name of letters, digits, - and _, found "
                f"{self.name!r}"
            )
        if not self.temperature_k:
            raise ValueError(f"{where}: expected a temperature, found none")


def run_protocol(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    stages: Sequence[Stage],
    output: str | Path,
    *,
    watchdogs: Watchdogs | None = None,
    platform: str | None = None,
    threads: int | None = None,
    notes: dict[str, Any] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, dict[str, Path]]:
    """Run stages one after the other; a kill at any moment loses none of it.

    Parameters
    ----------
    topology, positions, system
        As ``run``; positions are those of the first stage.
    stages : sequence of Stage
    output : path
        Folder. Each stage writes what ``run`` does, with the prefix
        ``output/NUMBER-NAME``; ``protocol.json`` has their order.
    watchdogs, platform, threads, notes, progress
        As ``run``, for every stage.
    seed : int
        Of the first stage; the others' follow. 0 draws one, which is recorded.
    overwrite : bool
        Whether an earlier protocol in the folder may be replaced.
    resume : bool
        Whether to go on with it. There may be more stages than there were, and the last
        that has begun may be longer.

    Returns
    -------
    dict of str to dict
        For each stage, ``NUMBER-NAME``, the files that ``run`` returns.

    Raises
    ------
    FileExistsError, RuntimeError
        As ``run``.
    ValueError
        As ``run``, by the name of the stage, before any stage begins where that can be
        told; or if there are no stages, or two of one name.
    """
    folder = Path(output)
    path = folder / PROTOCOL
    _check_stages(topology, system, stages, seed)
    if path.exists() and not (overwrite or resume):
        raise FileExistsError(
            f"expected no protocol yet in {folder}, found {path}; use another folder, "
            "overwrite=True (--force), or resume=True (--resume) to go on with it"
        )
    with lock_output(folder / "protocol"):
        before = read_record(path) if path.exists() and resume else {}
        names = _names(stages, before.get("stages", []))
        _check_order(before, names, stages, path)
        seed = seed or before.get("seed", 0)
        seed = seed or random.SystemRandom().randrange(1, 2**31 - len(names))
        if overwrite and path.exists():
            for name in read_record(path).get("stages", []):
                remove_output(folder / name)
        record = {
            "stages": names,
            "settings": [dataclasses.asdict(stage) for stage in stages],
            "seed": seed,
            "finished": False,
        }
        write_record(path, record)
        files: dict[str, dict[str, Path]] = {}
        state = None
        for number, (name, stage) in enumerate(zip(names, stages, strict=True)):
            log.info("stage %s", name)
            try:
                files[name] = run(
                    topology,
                    positions,
                    system,
                    folder / name,
                    **_arguments(stage),
                    watchdogs=watchdogs,
                    state=state,
                    platform=platform,
                    threads=threads,
                    notes=notes,
                    seed=seed + number,
                    overwrite=overwrite,
                    resume=resume,
                    progress=progress,
                )
            except (ValueError, FileExistsError) as error:
                raise type(error)(f"stage {name}: {error}") from error
            xml = files[name]["state"].read_text()
            state = openmm.XmlSerializer.deserialize(xml)
        write_record(path, record | {"finished": True})
    return files


def _check_stages(
    topology: app.Topology, system: openmm.System, stages: Sequence[Stage], seed: int
) -> None:
    """Refuse what a stage would, before the first one takes its time."""
    if not stages:
        raise ValueError("expected at least one stage, found none")
    given = [stage.name for stage in stages]
    if len(set(given)) < len(given):
        raise ValueError(f"expected stages of different names, found {given}")
    check_integers({"seed": 0}, seed=seed)
    if seed > 2**31 - len(given):
        raise ValueError(
            f"expected a seed of at most {2**31 - len(given)}, for each of "
            f"{len(given)} stages has the next one, found {seed}"
        )
    for stage in stages:
        arguments = _arguments(stage)
        del arguments["draw_velocities"]
        try:
            settings = check_settings(topology, system, **arguments, seed=seed)
            if "hydrogen_mass_da" in settings:
                prepare_system(system, topology, settings, seed)
        except ValueError as error:
            raise ValueError(f"stage {stage.name}: {error}") from error


def _names(stages: Sequence[Stage], before: Sequence[str]) -> list[str]:
    """Numbered as they were before, where there are more stages now."""
    width = before[0].index("-") if before else len(str(len(stages)))
    return [f"{i:0{width}d}-{stage.name}" for i, stage in enumerate(stages, start=1)]


def _check_order(
    before: dict[str, Any], names: list[str], stages: Sequence[Stage], path: Path
) -> None:
    """Stages that have begun stay where they are, and what another began from, too."""
    records = [
        paths_of(path.parent / old)["record"] for old in before.get("stages", [])
    ]
    begun = [record.exists() for record in records]
    for number, record in enumerate(records):
        old, new = before["stages"][number], (names + [None] * len(records))[number]
        if begun[number] and old != new:
            raise ValueError(
                f"expected the stage {old}, which {path.parent} has already, found "
                f"{new or 'none'} in its place"
            )
        if begun[number] and any(begun[number + 1 :]):
            steps = read_record(record)["steps"]
            if stages[number].steps != steps:
                raise ValueError(
                    f"expected the {steps} steps of the stage {old}, from whose end "
                    f"another has begun, found {stages[number].steps}"
                )


def _arguments(stage: Stage) -> dict[str, Any]:
    """A stage in the words of ``run``."""
    kelvin = stage.temperature_k
    return {
        "steps": stage.steps,
        "ensemble": stage.ensemble,
        "integrator": stage.integrator,
        "temperature": (kelvin[0] if len(kelvin) == 1 else list(kelvin)) * unit.kelvin,
        "timestep": stage.timestep_fs * unit.femtosecond,
        "friction": stage.friction_per_ps / unit.picosecond,
        "pressure": stage.pressure_bar * unit.bar,
        "barostat_interval": stage.barostat_interval,
        "hydrogen_mass": stage.hydrogen_mass_da * unit.dalton or None,
        "report_interval": stage.report_interval,
        "velocity_interval": stage.velocity_interval,
        "checkpoint_interval": stage.checkpoint_interval or None,
        "minimize": stage.minimize,
        "draw_velocities": stage.draw_velocities,
    }
