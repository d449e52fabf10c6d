# SPDX-License-Identifier: MIT
"""Parallel tempering: replicas at several temperatures that exchange them."""

import contextlib
import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from .._version import __version__
from ..potential.description import FORCE_NOTES, about_models, notes_of
from ..runs.names import check_existing, replica_paths_of
from ..simulate.arguments import without_units
from ..simulate.atoms import describe_start
from ..simulate.checks import OF_FORCES, check_positions
from ..simulate.contents import check_contents
from ..simulate.differences import Asked
from ..simulate.force_field import about_force_field
from ..simulate.identity import identify
from ..simulate.platform import choose_platform, torch_threads
from ..simulate.resume import check_same_run
from ..simulate.settings import Execution
from ..simulate.system import whole_molecules
from ..utils.extras import naming_extras
from ..utils.files import lock_output, read_record, write_record
from ..utils.quiet import quiet
from .ranks import on_first_rank, rank
from .settings import ExchangeSettings, TemperingSettings, check_system, in_kelvin
from .storage import repair

log = logging.getLogger(__name__)

# Values that a resumed run may have other ones of, and which its record then has.
_MAY_CHANGE = ("iterations", "steps")


def parallel_tempering(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    output: str | Path,
    *,
    temperatures: unit.Quantity,
    iterations: int = 1000,
    steps_per_iteration: int = 200,
    timestep: unit.Quantity = 0.5 * unit.femtosecond,
    friction: unit.Quantity = 1.0 / unit.picosecond,
    pressure: unit.Quantity | None = None,
    exchange: str = "all",
    minimize: bool = True,
    checkpoint_interval: int = 10,
    platform: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> dict[str, Path]:
    """Simulate replicas of a System that exchange their temperatures.

    It uses ``openmmtools.multistate.ParallelTemperingSampler``. An iteration exchanges
    temperatures (Chodera and Shirts, doi:10.1063/1.3660669), draws new velocities for
    all replicas, and runs each with LangevinMiddle. One Context serves all replicas in
    turn. Under mpirun, with mpi4py installed, the ranks share out the replicas, and all
    ranks make this call.

    Parameters
    ----------
    topology : openmm.app.Topology
    positions : [N, 3] Quantity, or array in nm
        Start of every replica.
    system : openmm.System
        Without a barostat. A resumed run needs the System that it began with.
    output : path
        Prefix of the files to write.
    temperatures : [K] Quantity
        Ascending, as from ``temperature_ladder``.
    iterations, steps_per_iteration, checkpoint_interval : int
    timestep, friction : Quantity
    pressure : Quantity, optional
    exchange : str
    minimize : bool
        See ``TemperingSettings`` for these.
    platform, threads, seed, resume, overwrite, progress
        As ``run``. The seed is not a barostat's. What has no checkpoint begins anew.

    Returns
    -------
    dict of str to Path
        ``topology`` (PDB), ``samples`` and ``checkpoint`` (openmmtools' netCDF files:
        energies, and positions of the checkpoints), ``exchanges`` (CSV, the result of
        ``exchanges``), ``record`` (JSON), ``backup`` (of the netCDF files, kept until
        the run is complete).

    Raises
    ------
    FileExistsError, ImportError, RuntimeError, ValueError
        As ``run``; ImportError if openmmtools is missing.
    """
    arguments = {
        "iterations": iterations,
        "steps_per_iteration": steps_per_iteration,
        "timestep": timestep,
        "friction": friction,
        "pressure": pressure,
        "exchange": exchange,
        "minimize": bool(minimize),
        "checkpoint_interval": checkpoint_interval,
    }
    execution = Execution(platform, threads, seed, overwrite, resume, progress)
    kelvin = np.atleast_1d(in_kelvin(temperatures)).astype(float).tolist()
    settings = TemperingSettings(kelvin, **without_units(TemperingSettings, arguments))
    return exchange_states(topology, positions, system, output, settings, execution)


def exchange_states(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    output: str | Path,
    settings: TemperingSettings | ExchangeSettings,
    execution: Execution,
) -> dict[str, Path]:
    """Do what ``parallel_tempering`` does, with settings that were checked.

    Those of another kind have other states, see ``states.make_states``.
    """
    coordinates = check_positions(positions, topology, system)
    asked = settings.record()
    check_system(asked["ensemble"], topology, system)
    pressure = settings.pressure_bar is not None
    check_contents(topology, system, coordinates, pressure=pressure)
    if system.usesPeriodicBoundaryConditions():
        coordinates = whole_molecules(coordinates, topology, system)
    platform, properties = choose_platform(execution.platform, execution.threads)
    identity = identify(system, topology)
    notes = notes_of(identity.descriptions)
    record = asked | notes | about_models(identity.descriptions)
    record |= about_force_field(system, topology)
    record |= {
        "identity": identity.parts,
        "package_version": __version__,
        "openmm_version": openmm.version.version,
        "method": settings.method,
        "platform": platform.getName(),
        "platform_properties": properties,
        "forces": [force.getName() for force in system.getForces()],
        "atoms": system.getNumParticles(),
        "periodic": system.usesPeriodicBoundaryConditions(),
        "integrator": "langevin-middle",
        "minimized": settings.minimize,
        "seed": execution.seed or random.SystemRandom().randrange(1, 2**31),
        "completed_iterations": 0,
        "completed_steps": 0,
        "resumed_at": [],
        "finished": False,
    }
    fixed = {name: record[name] for name in (*asked, *notes, "atoms")}
    run = Asked(identity.parts, lambda: system, topology)
    paths = replica_paths_of(output)
    with quiet("openmmtools", "pymbar"), naming_extras("multistate"):
        from .replicas import Replicas  # imports openmmtools

    lock = contextlib.nullcontext() if rank() else lock_output(output)
    with quiet("openmmtools", "pymbar"), torch_threads(execution.threads), lock:
        resumed, record = on_first_rank(_prepare, paths, record, fixed, run, execution)
        if not rank():
            forces = identity.descriptions
            log.info("%s", describe_start(topology, system, forces))
        replicas = Replicas(platform, properties, paths, record, system)
        try:
            if resumed:
                replicas.load()
            else:
                replicas.create(topology, coordinates)
            replicas.run(execution.progress)
        finally:
            replicas.close()
    return paths


def _prepare(
    paths: dict[str, Path],
    record: dict[str, Any],
    fixed: dict[str, Any],
    run: Asked,
    execution: Execution,
) -> tuple[bool, dict[str, Any]]:
    """Look for a run to resume; return whether there is one, and its record.

    Under mpirun one rank does this for all.
    """
    check_existing(paths, execution.overwrite, execution.resume)
    if execution.resume and paths["record"].exists():
        before = read_record(paths["record"])
        done = repair(paths)
        if done is not None:
            done *= before["steps_per_iteration"]
            before |= {"completed_steps": done}
            check_same_run(before, fixed, run, paths, {*OF_FORCES, *_MAY_CHANGE})
            names = (*_MAY_CHANGE, *FORCE_NOTES, "identity", "openmm_version")
            asked = {name: record[name] for name in names if name in record}
            resumed = [*before["resumed_at"], done]
            again = {"resumed_at": resumed, "finished": False}
            before.pop("stopped", None)
            return True, before | asked | again
    for path in paths.values():
        path.unlink(missing_ok=True)
    write_record(paths["record"], record)
    return False, record
