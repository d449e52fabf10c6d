# SPDX-License-Identifier: MIT
"""Run a System in an ensemble and write what happened, so that nothing is lost."""

import contextlib
import json
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openmm
from openmm import app, unit

from ._version import __version__
from .checkpoint import read_checkpoint
from .ensembles import BAROSTATS, add_barostat, check_ensemble, whole_molecules
from .forces import copy_system
from .hydrogen_mass import repartition_hydrogen_mass
from .integrators import (
    add_andersen,
    choose_integrator,
    make_integrator,
)
from .output import (
    check_output,
    lock_output,
    paths_of,
    read_record,
)
from .process import choose_platform, describe_hardware, torch_threads
from .run_loop import Run, run_steps, save
from .run_start import add_reporters, go_on, start
from .simulation_input import (
    check_freedom,
    check_integers,
    check_positions,
    check_resumed,
    check_start,
    check_values,
)
from .watchdogs import Watchdogs

log = logging.getLogger(__name__)

# Steps between checkpoints, in whole report intervals.
_CHECKPOINT_STEPS = 2000
_LOWEST = {
    "steps": 0,
    "report_interval": 1,
    "velocity_interval": 0,
    "checkpoint_interval": 1,
    "barostat_interval": 1,
    "seed": 0,
}


def run(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    output: str | Path,
    *,
    steps: int = 10_000,
    ensemble: str = "nvt",
    integrator: str = "auto",
    temperature: unit.Quantity = 300.0 * unit.kelvin,
    timestep: unit.Quantity = 0.5 * unit.femtosecond,
    friction: unit.Quantity = 1.0 / unit.picosecond,
    pressure: unit.Quantity = 1.0 * unit.bar,
    barostat_interval: int = 25,
    hydrogen_mass: unit.Quantity | None = None,
    report_interval: int = 20,
    velocity_interval: int = 0,
    checkpoint_interval: int | None = None,
    reporters: Sequence[Any] = (),
    watchdogs: Watchdogs | None = None,
    minimize: bool = True,
    state: openmm.State | None = None,
    draw_velocities: bool = False,
    platform: str | None = None,
    threads: int | None = None,
    notes: dict[str, Any] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Path]:
    """Minimise and run molecular dynamics.

    A kill at any moment leaves files that can be read and a checkpoint; ``resume=True``
    goes on from there, without a frame that is there twice or missing. On the platforms
    Reference and CPU (with the property DeterministicForces where classical forces are
    computed, too), at constant volume, the run is then the same to the last bit as one
    that was never interrupted. A barostat starts anew to find the size of its moves.

    Parameters
    ----------
    topology : openmm.app.Topology
    positions : [N, 3] Quantity, or array in nm
    system : openmm.System
    output : path
        Prefix of the files to write, such as ``runs/nacl``.
    steps : int
        0 if there is no more to do than to minimise. A finished run that is resumed
        with more becomes longer.
    ensemble : str
        "nvt", "nve", or "npt", "npt-anisotropic", "npt-flexible": as "nvt", with
        OpenMM's Monte Carlo barostat (Åqvist et al.,
        doi:10.1016/j.cplett.2003.12.039) that scales the box, each of its lengths, or
        lengths and angles. Molecules move as the System has them
        (``create_system(rigid_molecules=...)``).
    integrator : str
        See ``integrators``; "auto" is "verlet" in "nve", else "langevin-middle".
    temperature : Quantity
        Of the thermostat, the barostat and the initial velocities. Several are a ramp
        over all steps, linear from each to the next: ``[300, 3000] * kelvin``.
    timestep : Quantity
    friction : Quantity
        Of Langevin dynamics; the collision frequency of other thermostats.
    pressure : Quantity
        Of the barostat.
    barostat_interval : int
        Steps between attempts to change the volume.
    hydrogen_mass : Quantity, optional
        Mass of hydrogens, taken from the atoms they are bonded to.
    report_interval : int
        Steps between frames and between lines of energies; at most ``steps``.
    velocity_interval : int
        Steps between frames with velocities in HDF5; 0 for none.
    checkpoint_interval : int, optional
        Steps between checkpoints. By default about 2,000, in whole report intervals,
        or sooner: a quarter of an hour after the last one.
    reporters : sequence of OpenMM reporters
        More of them, such as ``reporters.PressureReporter``. The files of this
        package's reporters are cut to the checkpoint when a run is resumed, as its own
        are.
    watchdogs : Watchdogs, optional
        What to look for, and what to do then.
    minimize : bool
        Whether to minimise the energy first, until forces are of thermal size
        (``run_start.MINIMIZER_TOLERANCE``).
    state : openmm.State, optional
        Of the end of another run, to begin with: its positions, velocities and box
        stand for ``positions``, the System's box and velocities that are drawn.
    draw_velocities : bool
        Whether to draw velocities all the same.
    platform : str, optional
        Name of an OpenMM platform; the fastest present by default.
    threads : int, optional
        Threads of the CPU platform and of the model on the CPU; by default, all
        processors and what ``torch.get_num_threads`` says.
    notes : dict, optional
        JSON values to keep in the record.
    seed : int
        Of velocities and thermostat, below 2³¹; 0 draws one, which is recorded.
    overwrite : bool
        Whether existing output may be replaced.
    resume : bool
        Whether to go on with existing output, if there is any.
    progress : bool
        Whether to show progress, with ns/day and the time left.

    Returns
    -------
    dict of str to Path
        ``topology`` (PDB), ``trajectory`` (XTC, not wrapped into the box), ``energies``
        (CSV; under NPT with the density), ``state`` (XML with positions, velocities and
        box), ``system`` (XML, with the barostat if any), ``checkpoint``, ``record``
        (JSON of what was run), and ``velocities`` (HDF5) if asked for.

    Raises
    ------
    FileExistsError
        If output exists and neither ``overwrite`` nor ``resume`` is set.
    ValueError
        If a value is out of range, positions do not fit or are not finite, nothing can
        move, the System has a barostat already, the volume is to change and there is no
        box, energy and forces at the start are not finite, or the run to be resumed is
        another one.
    RuntimeError
        If the simulation becomes unstable, a watchdog stops it (StopSimulation), the
        output cannot be written, or another run writes it; what was written stays, with
        the last sane checkpoint.
    """
    paths = check_output(output, overwrite, resume)
    if velocity_interval:
        paths["velocities"] = paths_of(output)["velocities"]
    try:
        json.dumps(notes)
    except TypeError as error:
        raise ValueError(f"expected notes of JSON values, found {error}") from error
    whole = check_integers(
        _LOWEST,
        steps=steps,
        report_interval=report_interval,
        velocity_interval=velocity_interval,
        checkpoint_interval=checkpoint_interval or _checkpoint_steps(report_interval),
        barostat_interval=barostat_interval,
        seed=seed,
    )
    _check_intervals(whole, minimize)
    values = check_values(ensemble, temperature, timestep, friction, pressure)
    integrator = choose_integrator(integrator, ensemble)
    coordinates = check_positions(
        positions if state is None else state.getPositions(), topology, system
    )
    check_freedom(system)
    check_ensemble(ensemble, topology, system)
    if ensemble in BAROSTATS:
        values["barostat_interval"] = whole["barostat_interval"]
    if hydrogen_mass is not None:
        values["hydrogen_mass_da"] = _dalton(hydrogen_mass)

    with contextlib.ExitStack() as stack:
        stack.enter_context(torch_threads(threads))
        before: dict[str, Any] = {}
        checkpoint = None
        if resume and paths["record"].exists():
            stack.enter_context(lock_output(output))
            before = read_record(paths["record"])
            if paths["checkpoint"].exists():
                checkpoint = read_checkpoint(paths["checkpoint"])
        seed = whole["seed"] or before.get("seed", 0)
        seed = seed or random.SystemRandom().randrange(1, 2**31)
        settings = {
            **(notes or {}),
            "atoms": system.getNumParticles(),
            "ensemble": ensemble,
            "integrator": integrator,
            **values,
            "report_interval": whole["report_interval"],
            "velocity_interval": whole["velocity_interval"],
            "seed": seed,
        }
        if before:
            check_resumed(before, settings, whole["steps"], paths["record"])
            if before.get("finished") and before["steps"] == whole["steps"]:
                log.info("%s is finished already", output)
                return paths
        system = _prepared(system, topology, ensemble, integrator, values, seed)
        if state is not None and system.usesPeriodicBoundaryConditions():
            system.setDefaultPeriodicBoxVectors(*state.getPeriodicBoxVectors())
        if system.usesPeriodicBoundaryConditions():
            coordinates = whole_molecules(coordinates, topology, system)
        chosen = choose_platform(platform)
        properties = {}
        if threads is not None and "Threads" in chosen.getPropertyNames():
            properties["Threads"] = str(threads)
        # other random numbers than from the start on, where they are not restored
        step = checkpoint.step if checkpoint else 0
        simulation = app.Simulation(
            topology,
            system,
            make_integrator(integrator, system, values, (seed + step) % 2**31),
            chosen,
            properties,
        )
        simulation.context.setPositions(coordinates)
        check_start(simulation)
        if not before:
            stack.enter_context(lock_output(output))
        record = {
            **settings,
            "package_version": __version__,
            "openmm_version": openmm.version.version,
            "platform": chosen.getName(),
            "platform_properties": properties,
            "hardware": describe_hardware(simulation.context),
            "forces": [force.getName() for force in system.getForces()],
            "steps": whole["steps"],
            "checkpoint_interval": whole["checkpoint_interval"],
            "minimized": minimize,
            "completed_steps": step,
            "resumed_at": [*before.get("resumed_at", []), step] if checkpoint else [],
            "finished": False,
        }
        job = Run(
            simulation,
            paths,
            record,
            [r for r in reporters if hasattr(r, "path")],
            save_after=None if checkpoint_interval else 900.0,
        )
        if checkpoint is None:
            start(job, minimize, state, draw_velocities)
        else:
            go_on(job, checkpoint)
        add_reporters(job, checkpoint, reporters, watchdogs)
        if checkpoint is None:
            save(job)
        run_steps(job, progress)
    return paths


def _prepared(
    system: openmm.System,
    topology: app.Topology,
    ensemble: str,
    integrator: str,
    values: dict[str, Any],
    seed: int,
) -> openmm.System:
    """A copy with all that the run adds."""
    system = copy_system(system)
    if "hydrogen_mass_da" in values:
        repartition_hydrogen_mass(system, topology, values["hydrogen_mass_da"])
    if ensemble in BAROSTATS:
        add_barostat(ensemble, system, values, seed)
    if integrator == "andersen":
        add_andersen(system, values, seed)
    return system


def _checkpoint_steps(report_interval: Any) -> int:
    interval = report_interval if isinstance(report_interval, int) else 1
    return max(1, _CHECKPOINT_STEPS // max(interval, 1)) * max(interval, 1)


def _check_intervals(whole: dict[str, int], minimize: bool) -> None:
    steps = whole["steps"]
    if steps == 0 and not minimize:
        raise ValueError(
            "expected steps of at least 1, or minimize, found 0 steps and no "
            "minimisation: nothing to do"
        )
    for name in ("report_interval", "velocity_interval"):
        if whole[name] > steps > 0:
            raise ValueError(
                f"expected {name} of at most steps = {steps}, found {whole[name]}: "
                "nothing would be written"
            )


def _dalton(mass: Any) -> float:
    if not unit.is_quantity(mass) or not mass.unit.is_compatible(unit.dalton):
        raise ValueError(
            f"expected a quantity in dalton for hydrogen_mass, found {mass!r}"
        )
    if not 0 < mass.value_in_unit(unit.dalton) < 12:
        raise ValueError(f"expected hydrogen_mass between 0 and 12 Da, found {mass}")
    return mass.value_in_unit(unit.dalton)
