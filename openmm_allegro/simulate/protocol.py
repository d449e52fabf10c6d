# SPDX-License-Identifier: MIT
"""Several runs one after the other: minimise, heat, quench, equilibrate, produce."""

import dataclasses
import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openmm
from openmm import app

from ..bias.sampling import Sampling
from ..bias.settings import Bias, Restraint, Variable
from ..classical.serialized import read_state
from ..nuclei.choices import NAMES, RPMD
from ..nuclei.ring_polymer import Beads
from ..runs.names import PROTOCOL, paths_of, remove_output, stage_names
from ..utils.files import lock_output, read_record, write_record
from ..utils.progress import log_if_long
from .acting import make_acting
from .checkpoint import read_checkpoint
from .checks import check_packages, check_seeds, name_stage
from .execute import execute
from .identity import identify
from .masses import Ended, stage_masses
from .settings import Execution, Stage, check_work
from .system import check_settings_of, prepare_system
from .watchdogs.watchdog import Watchdogs

__all__ = ["Stage", "run_protocol"]

log = logging.getLogger(__name__)

_LATER = ("bias", "variable_interval", "minimize_tolerance_kj_mol_nm", *NAMES)


def run_protocol(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    stages: Sequence[Stage],
    output: str | Path,
    *,
    watchdogs: Watchdogs | None = None,
    variables: Sequence[Variable] = (),
    restraints: Sequence[Restraint] = (),
    bias: Bias | None = None,
    starts: Mapping[str, Any] | None = None,
    state: openmm.State | None = None,
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
        Folder. Each stage writes the files of ``run``, with the prefix
        ``output/NUMBER-NAME``; ``protocol.json`` has their order.
    watchdogs, variables, platform, threads, notes, progress
        As ``run``, for every stage.
    restraints : sequence of Restraint
        Each acts in all stages, or in those that its ``stages`` names.
    bias : Metadynamics, Opes or Plumed, optional
        Acts in stages with ``bias=True``, from nothing on in each of them.
    state : openmm.State, optional
        As ``run``, of the first stage.
    starts : mapping of str to [N, 3] Quantity or array in nm, optional
        Positions of stages, by name, that do not begin where the one before ended.
    seed : int
        Seed of the first stage; each further stage has the next one. 0 draws one, which
        is recorded.
    overwrite : bool
        Whether an earlier protocol in the folder may be replaced.
    resume : bool
        Whether to continue it. Stages may be added, and the last one that has begun may
        be longer.

    Returns
    -------
    dict of str to dict
        For each stage, ``NUMBER-NAME``, the files that ``run`` returns.

    Raises
    ------
    FileExistsError, RuntimeError
        As ``run``.
    ValueError
        As ``run``, by the name of the stage, before any stage begins where possible; or
        if there are no stages, or two of one name.
    ImportError
        If a package that a stage needs is missing, before any stage begins.
    """
    folder = Path(output)
    execution = Execution(platform, threads, seed, overwrite, resume, progress)
    sampling = Sampling(variables, restraints, bias)
    _check_stages(topology, system, stages, seed)
    check_stages_of(sampling, stages)
    for stage in stages:
        with name_stage(stage.name):
            of_stage = sampling.of_stage(stage.name, biased=stage.bias)
            make_acting(of_stage, stage, topology, system, positions, folder)
    path = folder / PROTOCOL
    if path.exists() and not (overwrite or resume):
        raise FileExistsError(
            f"expected no protocol yet in {folder}, found {path}; use another folder, "
            "overwrite=True (--force), or resume=True (--resume) to continue it"
        )
    files: dict[str, dict[str, Path]] = {}
    with lock_output(folder / "protocol"):
        record = _begin(folder, stages, execution)
        with log_if_long(log, "checking what the System holds"):
            identity, ended = identify(system, topology), None
        masses = stage_masses(topology, system, stages)
        for number, (name, stage) in enumerate(
            zip(record["stages"], stages, strict=True)
        ):
            log.info("stage %s", name)
            how = dataclasses.replace(execution, seed=record["seed"] + number)
            begin = (starts or {}).get(stage.name)
            if begin is not None:
                state = None
            begin = positions if begin is None else begin
            what = topology, begin, system, folder / name, stage, how
            more = {"watchdogs": watchdogs, "state": state, "notes": notes}
            more |= {"identity": identity, "ended": ended, "reference": positions}
            more["sampling"] = sampling.of_stage(stage.name, biased=stage.bias)
            with name_stage(name):
                files[name] = execute(*what, **more)
            path_of_state = files[name]["state"]
            state = read_state(path_of_state.read_text(), str(path_of_state))
            ended = Ended(masses[number], _beads(stage, files[name]))
        write_record(path, record | {"finished": True})
    return files


def _beads(stage: Stage, files: dict[str, Path]) -> Beads | None:
    """Beads at the end of a stage, if it had any."""
    if stage.integrator != RPMD:
        return None
    return read_checkpoint(files["checkpoint"]).beads


def number_stages(stages: Sequence[Stage], before: Sequence[str] = ()) -> list[str]:
    """Number the stages; names of earlier ones keep their number of digits."""
    width = len(before[0].partition("-")[0]) if before else len(str(len(stages)))
    return [f"{i:0{width}d}-{stage.name}" for i, stage in enumerate(stages, start=1)]


def check_names(stages: Sequence[Stage]) -> None:
    """Refuse a protocol without stages, or with two of one name.

    Raises
    ------
    ValueError
    """
    if not stages:
        raise ValueError("expected at least one stage, found none")
    given = [stage.name for stage in stages]
    if len(set(given)) < len(given):
        raise ValueError(f"expected stages of different names, found {given}")


def choose_seed(seed: int, count: int) -> int:
    """Seed of the first of so many stages, drawn where it is 0; each has the next."""
    return seed or random.SystemRandom().randrange(1, 2**31 - count)


def describe_stages(
    names: Sequence[str], stages: Sequence[Stage], seed: int
) -> dict[str, Any]:
    """Collect what the record of a protocol has, whatever program runs it."""
    return {
        "stages": list(names),
        "settings": [_without_later(dataclasses.asdict(stage)) for stage in stages],
        "seed": seed,
    }


def check_stages_of(sampling: Sampling, stages: Sequence[Stage]) -> None:
    """Refuse restraints of unknown stages, a bias for no stage, a stage without one.

    Raises
    ------
    ValueError
    """
    names = [stage.name for stage in stages]
    for restraint in sampling.restraints:
        unknown = sorted(set(restraint.stages) - set(names))
        if unknown:
            raise ValueError(
                f"restraint of {restraint.variable}: expected stages among {names}, "
                f"found {unknown[0]!r}"
            )
    biased = [stage.name for stage in stages if stage.bias]
    if biased and sampling.bias is None:
        raise ValueError(
            f"stage {biased[0]}: expected a bias of the protocol beside bias = true, "
            "found none"
        )
    if sampling.bias is not None and not biased:
        raise ValueError(
            "bias: expected a stage with bias = true, in which it acts, found none"
        )


def _without_later(settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out what protocols of earlier versions did not have, where unused."""
    unused = (None, False)
    return {
        k: v
        for k, v in settings.items()
        if k not in _LATER or not any(v is each for each in unused)
    }


def _check_stages(
    topology: app.Topology, system: openmm.System, stages: Sequence[Stage], seed: int
) -> None:
    """Refuse a stage that cannot be run before the first one takes its time."""
    check_names(stages)
    check_seeds(seed, len(stages))
    for stage in stages:
        with name_stage(stage.name):
            check_work(stage)
            check_packages(stage)
            check_settings_of(stage, topology, system)
            if stage.hydrogen_mass_da:
                prepare_system(system, topology, stage.record(), seed)


def _begin(
    folder: Path, stages: Sequence[Stage], execution: Execution
) -> dict[str, Any]:
    """Write the record of a protocol, of stages in order, and return it."""
    path = folder / PROTOCOL
    earlier = read_record(path) if path.exists() else {}
    begun = stage_names(earlier, path)
    before = earlier if execution.resume else {}
    names = number_stages(stages, before.get("stages", []))
    _check_order(before, names, stages, path)
    seed = choose_seed(execution.seed or before.get("seed", 0), len(names))
    if execution.overwrite:
        for name in begun:
            remove_output(folder / name)
    record = describe_stages(names, stages, seed) | {"finished": False}
    write_record(path, record)
    return record


def _check_order(
    before: dict[str, Any], names: list[str], stages: Sequence[Stage], path: Path
) -> None:
    """Refuse to change the order of stages that have begun, or what they began from."""
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
