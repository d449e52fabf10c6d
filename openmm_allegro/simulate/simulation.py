# SPDX-License-Identifier: MIT
"""Run a System in an ensemble and write what happened, so that nothing is lost."""

import contextlib
import copy
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openmm
from openmm import app, unit

from .._version import __version__
from ..reporters import HDF5Reporter, XTCReporter
from ..reporters.table import TableReporter
from ..runs.names import check_output, paths_of
from ..utils.files import lock_output, read_record
from .checkpoint import read_checkpoint
from .checks import check_integers, check_positions, check_resumed, check_start
from .integrators import make_integrator
from .loop import Run, run_steps
from .platform import choose_platform, describe_hardware, torch_threads
from .settings import check_notes, check_settings, prepare_system
from .start import add_reporters, go_on, start
from .system import whole_molecules
from .watchdogs.watchdog import Watchdogs

log = logging.getLogger(__name__)


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
    that was never interrupted; where a signal or the clock brought a checkpoint out of
    its turn, but for rounding. A barostat starts anew to find the size of its moves.

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
        package's reporters (with a path) are cut to the checkpoint when a run is
        resumed, as its own are; others' are not.
    watchdogs : Watchdogs, optional
        What to look for, and what to do then.
    minimize : bool
        Whether to minimise the energy first, until forces are of thermal size
        (``simulate.start.MINIMIZER_TOLERANCE``).
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
        JSON values to keep in the record, by names that it does not have itself.
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
        If output exists and neither ``overwrite`` nor ``resume`` is set, or the record
        to resume from is missing.
    ValueError
        If a value is out of range, positions do not fit or are not finite, nothing can
        move, the System has a barostat or a thermostat already, the volume is to change
        and there is no box, energy and forces at the start are not finite, or the run
        to be resumed is another one, or lacks files.
    RuntimeError
        If the simulation becomes unstable, a reporter fails, a watchdog stops it
        (StopSimulation), the output cannot be written, or another run writes it; what
        was written stays, with the last sane checkpoint.
    """
    paths = check_output(output, overwrite, resume)
    if velocity_interval:
        paths["velocities"] = paths_of(output)["velocities"]
    if any(isinstance(reporter, HDF5Reporter) for reporter in reporters):
        raise ValueError(
            "expected velocity_interval for velocities in HDF5, found an HDF5Reporter "
            "among the reporters, whose frames would not be part of checkpoints"
        )
    notes = check_notes(notes)
    asked = check_settings(
        topology,
        system,
        steps=steps,
        ensemble=ensemble,
        integrator=integrator,
        temperature=temperature,
        timestep=timestep,
        friction=friction,
        pressure=pressure,
        barostat_interval=barostat_interval,
        hydrogen_mass=hydrogen_mass,
        report_interval=report_interval,
        velocity_interval=velocity_interval,
        checkpoint_interval=checkpoint_interval,
        minimize=minimize,
        seed=seed,
    )
    if threads is not None:
        check_integers({"threads": 1}, threads=threads)
    coordinates = check_positions(
        positions if state is None else _positions(state), topology, system
    )

    with contextlib.ExitStack() as stack:
        stack.enter_context(torch_threads(threads))
        before: dict[str, Any] = {}
        checkpoint = None
        if resume and paths["record"].exists():
            stack.enter_context(lock_output(output))
            before = read_record(paths["record"])
            if paths["checkpoint"].exists():
                checkpoint = read_checkpoint(paths["checkpoint"])
        seed = asked["seed"] or before.get("seed", 0)
        seed = seed or random.SystemRandom().randrange(1, 2**31)
        settings = {**notes, **asked, "seed": seed}
        if before:
            check_resumed(before, settings, asked["steps"], paths["record"])
            if before.get("finished") and before["steps"] == settings["steps"]:
                log.info("%s is finished already", output)
                return paths
            if checkpoint is None and before["completed_steps"] > 0:
                raise ValueError(
                    f"expected the checkpoint {paths['checkpoint']} of a run that has "
                    f"{before['completed_steps']} steps, found none; bring it back, or "
                    "start anew (overwrite=True, --force)"
                )
        # other random numbers than from the start on, where they are not restored
        step = checkpoint.step if checkpoint else 0
        fresh = (seed + step) % 2**31
        system = prepare_system(system, topology, settings, fresh)
        box = None
        if system.usesPeriodicBoundaryConditions():
            if state is not None:
                system.setDefaultPeriodicBoxVectors(*state.getPeriodicBoxVectors())
            vectors = system.getDefaultPeriodicBoxVectors()
            box = [v.value_in_unit(unit.nanometer) for v in vectors] * unit.nanometer
            coordinates = whole_molecules(coordinates, topology, system)
        # files have the box that is simulated, or none, whatever the topology has
        topology = copy.copy(topology)
        topology.setPeriodicBoxVectors(box)
        chosen = choose_platform(platform)
        properties = {}
        if threads is not None and "Threads" in chosen.getPropertyNames():
            properties["Threads"] = str(threads)
        simulation = app.Simulation(
            topology,
            system,
            make_integrator(settings["integrator"], system, settings, fresh),
            chosen,
            properties,
        )
        simulation.context.setPositions(coordinates)
        check_start(simulation)
        if not before:
            stack.enter_context(lock_output(output))
            if not overwrite:  # another run may have written meanwhile
                check_output(output)
        record = {
            **settings,
            "package_version": __version__,
            "openmm_version": openmm.version.version,
            "platform": chosen.getName(),
            "platform_properties": properties,
            "hardware": describe_hardware(simulation.context),
            "forces": [force.getName() for force in system.getForces()],
            "minimized": before.get("minimized") if checkpoint else minimize,
            "completed_steps": step,
            "resumed_at": [*before.get("resumed_at", []), step] if checkpoint else [],
            "finished": False,
        }
        if checkpoint:
            record["checkpoint_step"] = step
        job = Run(
            simulation,
            paths,
            record,
            _cut_with_the_run(reporters),
            save_after=None if checkpoint_interval else 900.0,
        )
        if checkpoint is None:
            start(job, minimize, state, draw_velocities)
        else:
            go_on(job, checkpoint)
        add_reporters(job, checkpoint, reporters, watchdogs)
        run_steps(job, progress)
    return paths


def _cut_with_the_run(reporters: Sequence[Any]) -> list[Any]:
    """Those whose files are cut to the checkpoint when a run goes on."""
    own = (TableReporter, XTCReporter)
    return [r for r in reporters if isinstance(r, own) and hasattr(r, "path")]


def _positions(state: openmm.State) -> unit.Quantity:
    try:
        return state.getPositions()
    except openmm.OpenMMException as error:
        raise ValueError(
            "expected a state with positions, context.getState(positions=True, "
            f"velocities=True), found {error}"
        ) from error
