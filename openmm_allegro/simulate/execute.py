# SPDX-License-Identifier: MIT
"""Carry out a run from its settings: prepare, start or resume, step."""

import contextlib
import copy
import functools
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from .._version import __version__
from ..bias.acting import ActingBias
from ..bias.sampling import Sampling
from ..forces import degrees_of_freedom
from ..nuclei.choices import QTB, RPMD
from ..nuclei.ring_polymer import adopt
from ..potential.description import about_models, notes_of
from ..runs.names import (
    ENSEMBLES,
    MINIMIZATION,
    VELOCITIES_DRAWN,
    WARNINGS,
    adopt_former_names,
    check_output,
    paths_of,
)
from ..utils.files import lock_output
from ..utils.progress import log_if_long
from .acting import FEW_HILLS, describe_sampling, hills_of, make_acting
from .atoms import describe_failures, describe_start, describe_work
from .checkpoint import Checkpoint
from .checks import (
    check_notes,
    check_packages,
    check_positions,
    check_start,
)
from .contents import check_contents
from .differences import Asked
from .first_part import WATCHED
from .force_field import about_force_field
from .identity import Identity, box_of, identify
from .integrators import is_stochastic, make_integrator
from .loop import Job, run_steps
from .masses import Ended
from .platform import choose_platform, describe_hardware, torch_threads
from .resume import Earlier, check_earlier, read_earlier
from .settings import Execution, RunSettings, check_work
from .start import (
    add_reporters,
    check_reporters,
    check_watching,
    own_reporters,
    resume_from,
    start,
)
from .system import (
    check_settings_of,
    prepare_system,
    whole_molecules,
    with_ring_barostat,
)
from .watchdogs.watchdog import Watchdogs

log = logging.getLogger(__name__)

# Seconds between checkpoints where the user does not say how many steps.
_SAVE_AFTER = 900.0


def execute(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    output: str | Path,
    settings: RunSettings,
    execution: Execution,
    *,
    reporters: Sequence[Any] = (),
    watchdogs: Watchdogs | None = None,
    state: openmm.State | None = None,
    notes: dict[str, Any] | None = None,
    identity: Identity | None = None,
    sampling: Sampling | None = None,
    ended: Ended | None = None,
    reference: Any = None,
) -> dict[str, Path]:
    """Do what ``run`` does, with settings that were checked when they were made.

    ``identity`` is that of System and topology, if the caller knows it. ``ended`` is
    what ``state`` lacks of the run that it is the end of. Each rmsd without a file is
    taken from ``reference``, by default ``positions``.
    """
    check_work(settings)
    paths = check_output(output, execution.overwrite, execution.resume)
    check_packages(settings)
    paths |= _further_paths(output, settings)
    check_reporters(reporters)
    asked = check_notes(notes) | {"atoms": system.getNumParticles()}
    asked |= settings.record()
    check_watching(asked, reporters, watchdogs)
    check_settings_of(settings, topology, system)
    boxed = _with_box(system, topology, state)
    coordinates = _start_positions(positions, state, boxed, system)
    reference = positions if reference is None else reference
    acting = make_acting(sampling, settings, topology, system, reference, output)
    if acting is not None:
        acting.check_start(coordinates, system, boxed.getPeriodicBoxVectors())
        asked |= acting.record()
        paths |= {name: paths_of(output)[name] for name in acting.writes}
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch_threads(execution.threads))
        earlier = Earlier({}, None)
        if execution.resume and paths["record"].exists():
            stack.enter_context(lock_output(output))
            adopt_former_names(output)
            earlier = read_earlier(paths)
        before, checkpoint = earlier
        seed = execution.seed or before.get("seed", 0)
        asked["seed"] = seed or random.SystemRandom().randrange(1, 2**31)
        # random numbers that are not restored are to be others than from the start on
        fresh = (asked["seed"] + earlier.step) % 2**31
        with log_if_long(log, "checking the atoms and what the System holds"):
            if checkpoint is None:
                pressure = ENSEMBLES[settings.ensemble] is not None
                check_contents(topology, system, coordinates, state, pressure=pressure)
            identity = identity or identify(system, topology)
        asked = notes_of(identity.descriptions) | asked
        own = own_reporters(reporters)
        given = system, topology, asked, fresh, acting, boxed
        prepare = functools.cache(functools.partial(_prepared, *given))
        parts = identity.parts | {"box": box_of(boxed)}
        run = Asked(parts, prepare, boxed)
        if before and check_earlier(earlier, asked, run, paths, own):
            log.info("%s is finished already", output)
            return paths
        system = with_ring_barostat(prepare(), asked, fresh)
        simulation, properties = _simulation(boxed, system, asked, fresh, execution)
        with log_if_long(log, "computing the first energy and forces"):
            simulation.context.setPositions(coordinates)
            check_start(simulation)
        adopt(simulation)
        if not before:
            stack.enter_context(lock_output(output))
            if not execution.overwrite:  # another run may have written meanwhile
                check_output(output)
        field = asked.get("forcefield", ())
        log.info("%s", describe_start(topology, system, identity.descriptions, field))
        for text in describe_failures(identity.descriptions):
            log.info("%s", text)
        record = asked | {"identity": parts, "platform_properties": properties}
        record |= _dynamics(asked, system)
        record |= about_models(identity.descriptions)
        record |= about_force_field(system, topology)
        record |= _progress(simulation, before, checkpoint, settings.minimize)
        log.info("%s", describe_work(record))
        _log_sampling(acting, topology, settings.steps)
        save_after = None if settings.checkpoint_interval else _SAVE_AFTER
        job = Job(simulation, paths, record, own, prepare(), save_after, acting=acting)
        _begin(job, settings, earlier, state, ended)
        add_reporters(job, checkpoint, reporters, watchdogs)
        run_steps(job, execution.progress)
    return paths


def _log_sampling(
    acting: ActingBias | None, topology: app.Topology, steps: int
) -> None:
    """Say what is biased, and warn of a bias that hardly grows."""
    if acting is None:
        return
    for text in describe_sampling(acting, topology, steps):
        log.info("%s", text)
    number = hills_of(acting, steps)
    if number is not None and number < FEW_HILLS and steps:
        log.warning(
            "bias: expected at least %d changes of it, from which free energies have "
            "errors, found %d: pace is %d, and the run has %d steps",
            FEW_HILLS,
            number,
            acting.sampling.bias.pace,
            steps,
        )


def _prepared(
    system: openmm.System,
    topology: app.Topology,
    asked: dict[str, Any],
    seed: int,
    acting: ActingBias | None,
    boxed: app.Topology,
) -> openmm.System:
    """The System as it is simulated and written, with its bias and box."""
    prepared = prepare_system(system, topology, asked, seed)
    if acting is not None:
        acting.add_to(prepared)
    if boxed.getPeriodicBoxVectors() is not None:
        prepared.setDefaultPeriodicBoxVectors(*boxed.getPeriodicBoxVectors())
    return prepared


def _simulation(
    boxed: app.Topology,
    system: openmm.System,
    asked: dict[str, Any],
    seed: int,
    execution: Execution,
) -> tuple[app.Simulation, dict[str, str]]:
    """Simulation on the platform that was asked for, and properties of that."""
    integrator = make_integrator(asked["integrator"], system, asked, seed)
    platform, properties = choose_platform(execution.platform, execution.threads)
    with log_if_long(log, "making OpenMM's Context"):
        made = app.Simulation(boxed, system, integrator, platform, properties)
    return made, properties


def _dynamics(asked: dict[str, Any], system: openmm.System) -> dict[str, Any]:
    """Part of the record that follows from integrator and System."""
    integrator = asked["integrator"]
    stochastic = is_stochastic(integrator, asked["ensemble"])
    record: dict[str, Any] = {"stochastic_thermostat": stochastic}
    if integrator == RPMD:  # that the table of energies does not tell
        record["degrees_of_freedom"] = degrees_of_freedom(system)
    return record


def _begin(
    job: Job,
    settings: RunSettings,
    earlier: Earlier,
    state: openmm.State | None,
    ended: Ended | None,
) -> None:
    """Bring a run to its first step, or to that of its checkpoint."""
    before, checkpoint = earlier
    try:
        if checkpoint is None:
            start(job, settings, state, ended)
        else:
            resume_from(checkpoint, job, before)
    except OSError as error:
        raise RuntimeError(
            f"expected to write the output of the run, found {error}; mend that "
            "and continue with resume=True (--resume)"
        ) from error
    if job.acting is not None:
        job.acting.begin(job.simulation, checkpoint.bias if checkpoint else None)


def _further_paths(output: str | Path, settings: RunSettings) -> dict[str, Path]:
    """List the files that a run writes on request."""
    asked = {
        "velocities": settings.velocity_interval,
        "dipoles": settings.dipole_interval,
        "charges": settings.charge_interval,
        "beads": settings.integrator == RPMD,
        "nuclei": settings.integrator in (RPMD, QTB),
    }
    every = paths_of(output)
    return {name: every[name] for name, interval in asked.items() if interval}


def _start_positions(
    positions: Any, state: openmm.State | None, boxed: app.Topology, system: Any
) -> np.ndarray:
    """Positions [N, 3] that a run begins with, nm, with whole molecules."""
    given = positions if state is None else _positions(state)
    coordinates = check_positions(given, boxed, system)
    box = boxed.getPeriodicBoxVectors()
    if box is None:
        return coordinates
    return whole_molecules(coordinates, boxed, system, box)


def _positions(state: openmm.State) -> unit.Quantity:
    try:
        return state.getPositions()
    except openmm.OpenMMException as error:
        raise ValueError(
            "expected a state with positions, context.getState(positions=True, "
            f"velocities=True), found {error}"
        ) from error


def _with_box(
    system: openmm.System, topology: app.Topology, state: openmm.State | None
) -> app.Topology:
    """Topology with the box that is simulated, or none, for the files."""
    box = None
    if system.usesPeriodicBoundaryConditions():
        vectors = system.getDefaultPeriodicBoxVectors()
        if state is not None:
            vectors = state.getPeriodicBoxVectors()
        box = [v.value_in_unit(unit.nanometer) for v in vectors] * unit.nanometer
    topology = copy.copy(topology)
    topology.setPeriodicBoxVectors(box)
    return topology


def _progress(
    simulation: app.Simulation,
    before: dict[str, Any],
    checkpoint: Checkpoint | None,
    minimize: bool,
) -> dict[str, Any]:
    """Part of the record that is not asked for: where the run is, and on what."""
    step = checkpoint.step if checkpoint else 0
    context = simulation.context
    progress = {
        "package_version": __version__,
        "openmm_version": openmm.version.version,
        "platform": context.getPlatform().getName(),
        "hardware": describe_hardware(context),
        "forces": [force.getName() for force in simulation.system.getForces()],
        "minimized": before.get("minimized") if checkpoint else minimize,
        "completed_steps": step,
        "resumed_at": [*before.get("resumed_at", []), step] if checkpoint else [],
        "finished": False,
    }
    if checkpoint:
        kept = (VELOCITIES_DRAWN, MINIMIZATION, WARNINGS, WATCHED)
        progress |= {name: before[name] for name in kept if name in before}
        progress["checkpoint_step"] = step
    return progress
