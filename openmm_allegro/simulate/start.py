# SPDX-License-Identifier: MIT
"""Start a run, or resume it from a checkpoint."""

import functools
import logging
from collections.abc import Sequence
from typing import Any

import openmm
from openmm import app

from ..bias.acting import VariablesReporter
from ..nuclei.choices import QTB, RPMD
from ..nuclei.ring_polymer import RingPolymerContext
from ..reporters import (
    ChargeReporter,
    DipoleReporter,
    HDF5Reporter,
    PressureReporter,
    UncertaintyReporter,
    XTCReporter,
)
from ..reporters.nuclei import BeadReporter, EnergyReporter, NucleiReporter
from ..reporters.table import TableReporter
from ..runs.minimization import minimization_words
from ..runs.names import ENSEMBLES, VELOCITIES_DRAWN, remove_output
from ..topology.pdb import read_pdb
from ..utils.files import replace_file, write_record
from ..utils.progress import log_if_long
from .barostat import BarostatWatch, barostat_of
from .checkpoint import Checkpoint, restore
from .file_sums import cut_files, with_keys_of
from .integrators import start_temperature
from .loop import Job, with_explanation
from .masses import Ended, keep_kinetic_energies
from .minimizer import minimize
from .resume import hash_written, write_missing
from .settings import RunSettings
from .topology_file import write_topology
from .watchdogs.watchdog import Watchdog, Watchdogs

log = logging.getLogger(__name__)


def check_reporters(reporters: Sequence[Any]) -> None:
    """Refuse an HDF5Reporter, which ``run`` has to make itself.

    Raises
    ------
    ValueError
    """
    if any(isinstance(reporter, HDF5Reporter) for reporter in reporters):
        raise ValueError(
            "expected velocity_interval for velocities in HDF5, found an HDF5Reporter "
            "among the reporters, whose frames would not be part of checkpoints"
        )


def own_reporters(reporters: Sequence[Any]) -> list[Any]:
    """Select reporters whose files are cut to the checkpoint when a run is resumed."""
    own = (TableReporter, XTCReporter, ChargeReporter)
    return [r for r in reporters if isinstance(r, own) and hasattr(r, "path")]


def check_watching(
    values: dict[str, Any], reporters: Sequence[Any], watchdogs: Watchdogs | None
) -> None:
    """Refuse to watch what a centroid, or velocities of a thermal bath, do not tell.

    Raises
    ------
    ValueError
    """
    of_beads = (ChargeReporter, DipoleReporter, UncertaintyReporter)
    unfit = [type(one).__name__ for one in reporters if isinstance(one, of_beads)]
    if values["integrator"] == RPMD and unfit:
        raise ValueError(
            f"integrator 'rpmd': expected no {unfit[0]}, found one: what the model "
            "says of the centroid is not what it says of the beads"
        )
    if values["integrator"] != QTB:
        return
    asked = watchdogs is not None and watchdogs.temperature_k
    if asked or any(isinstance(one, PressureReporter) for one in reporters):
        what = "limits of the temperature" if asked else "a PressureReporter"
        raise ValueError(
            f"integrator 'qtb': expected no {what.removeprefix('a ')}, found {what}: "
            "its velocities are those of quantum nuclei, and not of a temperature"
        )


def start(
    job: Job,
    settings: RunSettings,
    state: openmm.State | None,
    ended: Ended | None = None,
) -> None:
    """Bring a new run to its first step; earlier output is removed.

    Parameters
    ----------
    job : Job
    settings : RunSettings
    state : openmm.State or None
        End of another run, whose velocities are kept.
    ended : Ended, optional
        Of that run, what the state lacks.
    """
    simulation, paths, record = job.simulation, job.paths, job.record
    kept = None if settings.draw_velocities else state
    if kept is not None and not has_velocities(kept):
        kept = None
    record[VELOCITIES_DRAWN] = kept is None
    # In this order a kill leaves no checkpoint of another run than the record's, and
    # no files without a record.
    paths["checkpoint"].unlink(missing_ok=True)
    write_record(paths["record"], record)
    remove_output(job.prefix, keep=("record",))
    replace_file(paths["system"], openmm.XmlSerializer.serialize(job.system))
    context = simulation.context
    if settings.minimize:
        log.info("minimising on the %s platform", context.getPlatform().getName())
        with with_explanation(job), log_if_long(log, "minimising"):
            record |= minimize(context, settings.minimize_tolerance_kj_mol_nm)
        log.info("%s", minimization_words(record))
    positions = context.getState(positions=True).getPositions()
    write_topology(paths["topology"], simulation.topology, positions)
    record["files_sha256"] = hash_written(paths)
    if kept is None:
        kelvin = start_temperature(record["temperature_k"])
        context.setVelocitiesToTemperature(kelvin, record["seed"])
    else:
        context.setVelocities(kept.getVelocities())
        if ended is not None:
            keep_kinetic_energies(context, ended.masses)
    if isinstance(context, RingPolymerContext):
        kelvin = start_temperature(record["temperature_k"])
        beads = None if settings.minimize or ended is None else ended.beads
        if beads is not None and settings.draw_velocities:
            beads = beads._replace(velocities=beads.velocities[:0])
        context.begin(kelvin, record["seed"], beads)


def resume_from(checkpoint: Checkpoint, job: Job, before: dict[str, Any]) -> None:
    """Bring a run that ``check_earlier`` has checked to the step of its checkpoint.

    ``before`` is the record that it had.
    """
    cut_files(job.files, checkpoint.sums)
    job.sums = with_keys_of(job.files, checkpoint.sums)
    simulation, paths = job.simulation, job.paths
    write_missing(paths, checkpoint, lambda: job.system, simulation.topology)
    hashes = hash_written(paths)
    hashes.pop("velocities", None)  # they grow again
    job.record["files_sha256"] = hashes
    integrator = job.record["integrator"]
    if not restore(job.simulation.context, checkpoint, integrator):
        log.warning(
            "resuming from positions and velocities alone: the checkpoint (platform "
            "%s, OpenMM %s) is of another platform, version, machine or number of "
            "threads",
            checkpoint.platform,
            checkpoint.openmm_version,
        )
    backend, other = before.get("backend"), ""
    if backend and backend != job.record.get("backend"):
        other = f", until which backend={backend!r} computed the model"
    log.info("resuming after step %d%s", checkpoint.step, other)
    if checkpoint.step == job.record["steps"]:
        # a kill just after the last checkpoint may have left the state behind
        replace_file(job.paths["state"], checkpoint.state)
    write_record(job.paths["record"], job.record)


def add_reporters(
    job: Job,
    checkpoint: Checkpoint | None,
    more: Sequence[Any],
    watchdogs: Watchdogs | None,
) -> None:
    """Add the reporters of a run, which continue the files of a checkpoint."""
    simulation, paths, record = job.simulation, job.paths, job.record
    if barostat_of(simulation.context) is not None:
        memory = checkpoint.barostat if checkpoint else None
        job.barostat = BarostatWatch(simulation.context, memory)
    append, interval = checkpoint is not None, record["report_interval"]
    for reporter in job.own:
        reporter.append = append
    paths["trajectory"].touch()
    if watchdogs is not None:
        bonds = None
        if watchdogs.bond_stretch:  # the same lengths for a run that was interrupted
            bonds = read_pdb(paths["topology"]).positions
        bias = job.acting.bias_energy if job.acting else lambda context: 0.0
        energy = functools.partial(bias, simulation.context)
        job.watchdog = Watchdog(watchdogs, simulation, job.prefix, bonds, energy)
        if checkpoint is not None:
            job.watchdog.load_state_dict(checkpoint.watchdogs)
    if "velocities" in paths:
        job.velocities = HDF5Reporter(
            paths["velocities"],
            record["velocity_interval"],
            checkpoint.frames if checkpoint else 0,
            checkpoint.velocity_sum if checkpoint else None,
        )
    simulation.reporters += [
        XTCReporter(paths["trajectory"], interval, append=True),
        _of_energies(simulation, paths, record, append),
        *filter(None, [job.velocities]),
        *_of_variables(job),
        *_of_charges(paths, record, append),
        *_of_nuclei(paths, record, append),
        *more,
        # last, because it may stop the run, and the frame should be written before
        *filter(None, [job.watchdog]),
    ]


def _of_variables(job: Job) -> list[VariablesReporter]:
    """Make the reporter of variables, if there are any."""
    if job.acting is None or "variables" not in job.paths:
        return []
    record = job.record
    interval = record.get("variable_interval", record["report_interval"])
    return [VariablesReporter(job.acting, interval)]


def _of_energies(
    simulation: app.Simulation,
    paths: dict[str, Any],
    record: dict[str, Any],
    append: bool,
) -> Any:
    """Make the reporter of energies, in columns that are the same for all runs."""
    interval = record["report_interval"]
    periodic = simulation.system.usesPeriodicBoundaryConditions()
    density = ENSEMBLES[record["ensemble"]] is not None
    if record["integrator"] in (RPMD, QTB):
        return EnergyReporter(paths["energies"], interval, append, periodic, density)
    return app.StateDataReporter(
        str(paths["energies"]),
        interval,
        step=True,
        time=True,
        potentialEnergy=True,
        kineticEnergy=True,
        totalEnergy=True,
        temperature=True,
        volume=periodic,
        density=density,
        speed=True,
        append=append and paths["energies"].stat().st_size > 0,
    )


def _of_nuclei(
    paths: dict[str, Any], record: dict[str, Any], append: bool
) -> list[BeadReporter | NucleiReporter]:
    """Make the reporters of runs with quantum nuclei."""
    made: list[BeadReporter | NucleiReporter] = []
    if "beads" in paths:
        paths["beads"].touch()
        made.append(BeadReporter(paths["beads"], record["bead_interval"], append=True))
    if "nuclei" in paths:
        interval = record["report_interval"]
        made.append(NucleiReporter(paths["nuclei"], interval, append))
    return made


def _of_charges(
    paths: dict[str, Any], record: dict[str, Any], append: bool
) -> list[DipoleReporter | ChargeReporter]:
    """Make the reporters of dipoles and charges that were asked for."""
    made = {"dipoles": DipoleReporter, "charges": ChargeReporter}
    return [
        make(paths[name], record[f"{name[:-1]}_interval"], append)
        for name, make in made.items()
        if name in paths
    ]


def has_velocities(state: openmm.State) -> bool:
    """Tell whether a state has velocities."""
    try:
        state.getVelocities()
    except openmm.OpenMMException:
        return False
    return True
