# SPDX-License-Identifier: MIT
"""How a run begins, and how it goes on after an interruption."""

import logging
from collections.abc import Sequence
from typing import Any

import openmm
from openmm import app, unit

from ..reporters import HDF5Reporter, XTCReporter
from ..runs.names import remove_output
from ..utils.files import replace_file, write_record
from .checkpoint import Checkpoint, cut_files, restore
from .integrators import start_temperature
from .loop import Run
from .system import BAROSTATS
from .watchdogs.watchdog import Watchdog, Watchdogs

log = logging.getLogger(__name__)

# A little below what a liquid has at 300 K (1250 for salt water, per atom, as OpenMM
# measures it): contacts go, and an equilibrated liquid warms again within a picosecond.
MINIMIZER_TOLERANCE = 1000.0 * unit.kilojoule_per_mole / unit.nanometer


def start(
    job: Run, minimize: bool, state: openmm.State | None, draw_velocities: bool
) -> None:
    """Bring a new run to its first step; what was there before goes."""
    simulation, paths, record = job.simulation, job.paths, job.record
    # In this order a kill leaves no checkpoint of another run than the record's, and
    # no files without a record.
    paths["checkpoint"].unlink(missing_ok=True)
    write_record(paths["record"], record)
    remove_output(job.prefix, keep=("record",))
    replace_file(paths["system"], openmm.XmlSerializer.serialize(simulation.system))
    context = simulation.context
    if minimize:
        log.info("minimising on the %s platform", context.getPlatform().getName())
        simulation.minimizeEnergy(tolerance=MINIMIZER_TOLERANCE, maxIterations=200)
    with open(paths["topology"], "w") as file:
        app.PDBFile.writeFile(
            simulation.topology,
            context.getState(positions=True).getPositions(),
            file,
            keepIds=True,
        )
    if state is None or draw_velocities or not _has_velocities(state):
        kelvin = start_temperature(record["temperature_k"])
        context.setVelocitiesToTemperature(kelvin, record["seed"])
    else:
        context.setVelocities(state.getVelocities())


def go_on(job: Run, checkpoint: Checkpoint) -> None:
    """Bring a run to where its checkpoint was.

    Raises
    ------
    ValueError
        If files or reporters of before are gone.
    """
    cut_files(job.files, checkpoint.sizes)
    integrator = job.record["integrator"]
    if not restore(job.simulation.context, checkpoint, integrator):
        log.warning(
            "going on from positions and velocities alone: the checkpoint (platform "
            "%s, OpenMM %s) is of another platform, version, machine or of other "
            "threads",
            checkpoint.platform,
            checkpoint.openmm_version,
        )
    log.info("going on after step %d", checkpoint.step)
    if checkpoint.step == job.record["steps"]:
        # a kill just after the last checkpoint may have left the state behind
        replace_file(job.paths["state"], checkpoint.state)
    write_record(job.paths["record"], job.record)


def add_reporters(
    job: Run,
    checkpoint: Checkpoint | None,
    more: Sequence[Any],
    watchdogs: Watchdogs | None,
) -> None:
    """Add all that writes or watches, to new files or behind what is there."""
    simulation, paths, record = job.simulation, job.paths, job.record
    append, interval = checkpoint is not None, record["report_interval"]
    for reporter in job.own:
        reporter.append = append
    paths["trajectory"].touch()
    if watchdogs is not None:
        bonds = None
        if watchdogs.bond_stretch:  # the same lengths for a run that was interrupted
            pdb = app.PDBFile(str(paths["topology"]))
            bonds = pdb.getPositions(asNumpy=True)._value
        job.watchdog = Watchdog(watchdogs, simulation, job.prefix, bonds)
        if checkpoint is not None:
            job.watchdog.load_state_dict(checkpoint.watchdogs)
    if "velocities" in paths:
        job.velocities = HDF5Reporter(
            paths["velocities"],
            record["velocity_interval"],
            checkpoint.frames if checkpoint else 0,
        )
    simulation.reporters += [
        XTCReporter(paths["trajectory"], interval, append=True),
        app.StateDataReporter(
            str(paths["energies"]),
            interval,
            step=True,
            time=True,
            potentialEnergy=True,
            kineticEnergy=True,
            totalEnergy=True,
            temperature=True,
            volume=simulation.system.usesPeriodicBoundaryConditions(),
            density=record["ensemble"] in BAROSTATS,
            speed=True,
            append=append and paths["energies"].stat().st_size > 0,
        ),
        *filter(None, [job.velocities]),
        *more,
        # last, for it may stop the run: the frame is to be written before
        *filter(None, [job.watchdog]),
    ]


def _has_velocities(state: openmm.State) -> bool:
    try:
        state.getVelocities()
    except openmm.OpenMMException:
        return False
    return True
