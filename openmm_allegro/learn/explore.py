# SPDX-License-Identifier: MIT
"""Collect the candidates of a round: frames of protocols that a committee runs."""

import dataclasses
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import openmm

from ..runs.names import PROTOCOL, paths_of
from ..simulate.backend import planned_run
from ..simulate.protocol import number_stages, run_protocol
from ..simulate.protocol_file import make_protocol
from ..simulate.settings import Execution
from ..structure import Structure, read_structures
from ..topology.elements import ATOMIC_NUMBERS
from ..units import NM_TO_ANGSTROM
from ..utils.files import read_record, write_record
from ..utils.reasons import reason_of
from .frames import Candidate
from .loop_file import Loop, protocol_settings
from .settings import Exploration

log = logging.getLogger(__name__)

_ENDED = "ended.json"  # of an exploration, how it ended


def explore(
    loop: Loop,
    number: int,
    members: Sequence[Path],
    folder: Path,
    known: Collection[str],
    *,
    progress: bool,
) -> list[Candidate]:
    """Collect the frames of all explorations of a round.

    A run that ends early, by a watchdog or since the model breaks, is no error: the
    frames up to then are candidates, and they are the ones that a model needs.

    Parameters
    ----------
    loop : Loop
    number : int
        Of the round.
    members : sequence of Path
        Files of the committee's models.
    folder : Path
        For the files of the runs.
    known : collection of str
        Origins of frames that are labelled or could not be, which are no candidates.
    progress : bool
    """
    found: list[Candidate] = []
    for order, exploration in enumerate(loop.explorations):
        if exploration.pool:
            found += _pool_frames(loop, exploration)
            continue
        place = folder / exploration.name
        seed = 1 + (loop.config.seed + 1000 * number + 50 * order) % (2**31 - 10**6)
        models = members
        if exploration.dynamics == "member":
            models = [members[number % len(members)]]
        _run(loop, exploration, models, place, seed, progress=progress)
        found += _run_frames(loop, exploration, number, place)
    return [candidate for candidate in found if candidate.origin not in known]


def _pool_frames(loop: Loop, exploration: Exploration) -> list[Candidate]:
    """Frames of files; with their labels where those are asked for."""
    labels = dataclasses.asdict(loop.labels)
    found = []
    for name in exploration.pool:
        structures = read_structures(
            loop.folder / name, **labels | {"labels": loop.source.kind == "pool"}
        )
        found += [
            Candidate(f"{name}, frame {index}", structure)
            for index, structure in enumerate(structures)
        ]
    return found[:: exploration.every]


def _run(
    loop: Loop,
    exploration: Exploration,
    models: Sequence[Path],
    place: Path,
    seed: int,
    *,
    progress: bool,
) -> None:
    """Run a protocol to its end, or until it breaks."""
    ended = place / _ENDED
    if ended.exists():
        return
    settings, path = protocol_settings(loop, exploration)
    system = dataclasses.replace(
        settings.system, model=tuple(str(model.absolute()) for model in models)
    )
    execution = Execution(resume=(place / PROTOCOL).exists())
    run = planned_run(execution, place)
    protocol = make_protocol(settings._replace(system=system), path, run=run)
    outcome: dict[str, Any] = {"finished": True}
    try:
        run_protocol(
            protocol.prepared.topology,
            protocol.prepared.positions,
            protocol.prepared.system,
            protocol.stages,
            place,
            watchdogs=protocol.watchdogs,
            variables=protocol.sampling.variables,
            restraints=protocol.sampling.restraints,
            bias=protocol.sampling.bias,
            notes=protocol.prepared.notes,
            seed=seed,
            resume=execution.resume,
            progress=progress,
        )
    except (RuntimeError, ValueError, openmm.OpenMMException) as error:
        if not _has_frames(place, settings.stages):
            raise
        outcome = {"finished": False, "reason": reason_of(error)}
        log.warning("exploration %s ended early: %s", exploration.name, error)
    write_record(ended, outcome)


def _has_frames(place: Path, stages: Sequence[Any]) -> bool:
    return any(
        paths_of(place / name)["trajectory"].exists() for name in number_stages(stages)
    )


def _run_frames(
    loop: Loop, exploration: Exploration, number: int, place: Path
) -> list[Candidate]:
    """Frames of the trajectories of a protocol's stages."""
    record = read_record(place / PROTOCOL)
    found = []
    for name in record["stages"]:
        stage = name.partition("-")[2]
        paths = paths_of(place / name)
        if exploration.stages and stage not in exploration.stages:
            continue
        if not paths["trajectory"].exists():
            continue
        run = mdtraj.load(paths["trajectory"], top=paths["topology"])
        symbols = tuple(atom.element.symbol for atom in run.topology.atoms)
        for frame in run[:: exploration.every]:
            origin = f"round {number}, {exploration.name}, {stage}, "
            origin += f"{float(frame.time[0]):.3f} ps"
            structure = _structure(symbols, frame, origin)
            if np.isfinite(structure.positions).all():
                found.append(Candidate(origin, structure))
    return found


def _structure(
    symbols: tuple[str, ...], frame: mdtraj.Trajectory, origin: str
) -> Structure:
    unknown = {*symbols} - {*ATOMIC_NUMBERS}
    if unknown:
        raise ValueError(f"{origin}: expected elements, found {', '.join(unknown)}")
    cell, periodic = np.zeros((3, 3)), frame.unitcell_vectors is not None
    if periodic:
        cell = NM_TO_ANGSTROM * frame.unitcell_vectors[0].astype(float)
    return Structure(
        symbols=symbols,
        positions=NM_TO_ANGSTROM * frame.xyz[0].astype(float),
        cell=cell,
        periodic=np.full(3, periodic),
        source=origin,
    )
