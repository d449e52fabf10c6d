# SPDX-License-Identifier: MIT
"""Parallel tempering: replicas at several temperatures that exchange them."""

import contextlib
import random
from pathlib import Path
from typing import Any

import openmm
from openmm import app, unit

from .._version import __version__
from ..runs.names import REPLICA_SUFFIXES, check_existing
from ..simulate.checks import check_integers, check_positions, check_resumed
from ..simulate.platform import choose_platform, torch_threads
from ..simulate.system import whole_molecules
from ..utils.files import lock_output, read_record, write_record
from ..utils.quiet import quiet
from .ranks import on_first_rank, rank
from .settings import check_settings, check_system
from .storage import repair

_COUNTS = ("iterations", "steps_per_iteration", "checkpoint_interval")
# Values of the record that a resumed run must share with the run before.
_FIXED = (
    "temperatures_k",
    "ensemble",
    "pressure_bar",
    "steps_per_iteration",
    "timestep_fs",
    "friction_per_ps",
    "exchange",
    "checkpoint_interval",
    "atoms",
)


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
        Without a barostat. A resumed run uses the System that it began with.
    output : path
        Prefix of the files to write.
    temperatures : [K] Quantity
        Ascending, as from ``temperature_ladder``.
    iterations : int
        Total number, including those before a resumption.
    steps_per_iteration : int
    timestep, friction : Quantity
    pressure : Quantity, optional
        Selects NPT, with an isotropic Monte Carlo barostat every 25 steps.
    exchange : str
        "all" makes K³ attempts between any two replicas; "neighbors" makes one attempt
        for every other pair of neighbours.
    minimize : bool
        Whether to minimise the energy first, until forces are of thermal size.
    checkpoint_interval : int
        Iterations between checkpoints, which alone hold positions.
    platform : str, optional
        Name of an OpenMM platform; by default, the fastest available.
    threads : int, optional
        As in ``run``.
    seed : int
        Seed of velocities, thermostat and exchanges, but not of the barostat; 0 draws
        one, which is recorded.
    resume : bool
        Whether to resume from the last checkpoint of this output, or start if there is
        none. It works after a kill at any moment.
    overwrite : bool
        Whether existing output may be replaced.
    progress : bool
        Whether to show progress.

    Returns
    -------
    dict of str to Path
        ``topology`` (PDB), ``samples`` and ``checkpoint`` (openmmtools' netCDF files:
        energies, and positions of the checkpoints), ``exchanges`` (CSV, the result of
        ``exchanges``), ``record`` (JSON), ``backup`` (of the netCDF files, kept until
        the run is complete).

    Raises
    ------
    FileExistsError
        If output exists and neither ``resume`` nor ``overwrite`` is set, or the record
        to resume from is missing.
    ValueError
        If a value is out of range, the System does not fit or has a barostat, or a run
        is resumed with other settings than it had.
    RuntimeError
        If the simulation becomes unstable, or another run writes to the output.
    ImportError
        If openmmtools is missing.
    """
    if resume and overwrite:
        raise ValueError(
            "expected overwrite or resume, found both: one replaces the files from "
            "which the other resumes"
        )
    settings = check_settings(temperatures, timestep, friction, pressure, exchange)
    counts = check_integers(
        {"seed": 0, **dict.fromkeys(_COUNTS, 1)},
        iterations=iterations,
        steps_per_iteration=steps_per_iteration,
        checkpoint_interval=checkpoint_interval,
        seed=seed,
    )
    coordinates = check_positions(positions, topology, system)
    check_system(settings["ensemble"], topology, system)
    if system.usesPeriodicBoundaryConditions():
        coordinates = whole_molecules(coordinates, topology, system)
    chosen = choose_platform(platform)
    properties = {}
    if threads is not None and "Threads" in chosen.getPropertyNames():
        properties["Threads"] = str(threads)
    record = {
        "package_version": __version__,
        "openmm_version": openmm.version.version,
        "method": "parallel-tempering",
        "platform": chosen.getName(),
        "platform_properties": properties,
        "forces": [force.getName() for force in system.getForces()],
        "atoms": system.getNumParticles(),
        "periodic": system.usesPeriodicBoundaryConditions(),
        "integrator": "langevin-middle",
        **settings,
        **counts,
        "steps": counts["iterations"] * counts["steps_per_iteration"],
        "report_interval": counts["steps_per_iteration"],
        "minimized": minimize,
        "seed": counts["seed"] or random.SystemRandom().randrange(1, 2**31),
        "completed_iterations": 0,
        "completed_steps": 0,
        "resumed_at": [],
        "finished": False,
    }
    paths = {
        name: Path(f"{output}{suffix}") for name, suffix in REPLICA_SUFFIXES.items()
    }
    with quiet("openmmtools", "pymbar"):
        from .replicas import Replicas  # imports openmmtools

    lock = contextlib.nullcontext() if rank() else lock_output(output)
    with quiet("openmmtools", "pymbar"), torch_threads(threads), lock:
        resumed, record = on_first_rank(_prepare, paths, record, resume, overwrite)
        replicas = Replicas(chosen, properties, paths, record)
        try:
            if resumed:
                replicas.load()
            else:
                replicas.create(topology, system, coordinates)
            replicas.run(progress)
        finally:
            replicas.close()
    return paths


def _prepare(
    paths: dict[str, Path], record: dict[str, Any], resume: bool, overwrite: bool
) -> tuple[bool, dict[str, Any]]:
    """Decide if a run is resumed, and make the record, the same for all ranks."""
    check_existing(paths, overwrite, resume)
    if resume and paths["record"].exists():
        before = read_record(paths["record"])
        done = repair(paths)
        if done is not None:
            done *= before["steps_per_iteration"]
            check_resumed(
                {"temperature_k": None, **before, "completed_steps": done},
                {name: record.get(name) for name in _FIXED},
                record["steps"],
                paths["record"],
            )
            lengths = {name: record[name] for name in ("iterations", "steps")}
            resumed_at = [*before["resumed_at"], done]
            return True, before | lengths | {
                "resumed_at": resumed_at,
                "finished": False,
            }
    for path in paths.values():
        path.unlink(missing_ok=True)
    write_record(paths["record"], record)
    return False, record
