# SPDX-License-Identifier: MIT
"""The loop over steps: checkpoints, temperature ramps, progress and its ends."""

import contextlib
import json
import logging
import re
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app
from tqdm import tqdm

from ..bias.acting import ActingBias
from ..reporters import HDF5Reporter
from ..runs.names import SUFFIXES
from ..utils.files import replace_file, write_record
from ..utils.process import CONTINUES, interruptible
from ..utils.reasons import reason_of
from .barostat import BarostatWatch
from .checkpoint import make_checkpoint, write_checkpoint
from .file_sums import Sums, growing_files, sha256_of, sum_files
from .first_part import FirstPart
from .integrators import set_temperature, temperature_at
from .watchdogs.watchdog import StopSimulation, Watchdog

log = logging.getLogger(__name__)

# Errors of a simulation and its reporters; others are mistakes in a reporter's code.
_EXPLAINED = (openmm.OpenMMException, ValueError, OSError, RuntimeError)
# A force's module names itself, and refuses positions and boxes alone.
_UNSTABLE = re.compile("NaN|finite|infinity|too large for XTC|Allegro: expected")
# Steps between looks at signals and changes of a ramp's temperature.
_PIECE = 10


@dataclass
class Job:
    """A run in progress.

    Attributes
    ----------
    simulation : openmm.app.Simulation
    paths : dict of str to Path
    record : dict
        Content of ``paths["record"]``.
    own : list
        The user's reporters whose files are cut to the checkpoint.
    system : openmm.System
        As it is written; that of the simulation may have a barostat without XML.
    save_after : float, optional
        Seconds after the last checkpoint when one is written before its turn.
    velocities : HDF5Reporter, optional
    watchdog : Watchdog, optional
    barostat : BarostatWatch, optional
    acting : ActingBias, optional
        Variables, restraints and bias.
    sums : Sums, optional
        Of the files at the last checkpoint.
    saved : float
        Time of the last checkpoint.
    """

    simulation: app.Simulation
    paths: dict[str, Path]
    record: dict[str, Any]
    own: list[Any]
    system: openmm.System
    save_after: float | None = None
    velocities: HDF5Reporter | None = None
    watchdog: Watchdog | None = None
    barostat: BarostatWatch | None = None
    acting: ActingBias | None = None
    sums: Sums | None = None
    saved: float = field(default_factory=time.monotonic)

    @property
    def prefix(self) -> str:
        """Beginning of the names of the run's files."""
        return str(self.paths["record"]).removesuffix(SUFFIXES["record"])

    @property
    def files(self) -> dict[str, Path]:
        """Files that grow, by names that stay when a run is moved or renamed."""
        return growing_files(self.prefix, self.own)


def run_steps(job: Job, progress: bool) -> None:
    """Step until the end, a signal or an error; see ``run``."""
    simulation, record = job.simulation, job.record
    steps, begin = record["steps"], simulation.currentStep
    started = time.monotonic()
    # A log file gets a line every half minute, a terminal a live one.
    pause = 0.2 if sys.stderr.isatty() else 30.0
    with (
        tqdm(
            total=steps,
            initial=begin,
            unit="step",
            disable=not progress,
            dynamic_ncols=True,
            mininterval=pause,
        ) as bar,
        interruptible() as interrupted,
        with_explanation(job),
    ):
        first = FirstPart(simulation.context, record)
        if "checkpoint_step" not in record:
            save(job)
        while simulation.currentStep < steps:
            _ramp(job)
            _step(job, _piece(job))
            done = simulation.currentStep
            if job.barostat and done % record["barostat_interval"] == 0:
                job.barostat.look()
            elapsed = time.monotonic() - started
            speed = (done - begin) * record["timestep_fs"] * 1e-6 / (elapsed / 86400)
            bar.update(done - record["completed_steps"])
            bar.set_postfix_str(f"{speed:.3g} ns/day", refresh=False)
            record |= {"completed_steps": done, "ns_per_day": round(speed, 5)}
            if not first.ended and first.look(done):
                write_record(job.paths["record"], record)
            late = job.save_after and time.monotonic() - job.saved > job.save_after
            due = done % record["checkpoint_interval"] == 0 or done == steps
            if due or late or interrupted():
                save(job)
            if interrupted() == signal.SIGTERM:
                raise SystemExit(128 + signal.SIGTERM)
            if interrupted():
                raise KeyboardInterrupt(CONTINUES)
        if job.velocities:
            job.velocities.finish()
            digest = sha256_of(job.paths["velocities"])
            record["files_sha256"] = record["files_sha256"] | {"velocities": digest}
        record["finished"] = True
        write_record(job.paths["record"], record)
    if steps > begin:
        log.info("%d steps at %.3g ns/day", steps - begin, record["ns_per_day"])


def save(job: Job) -> None:
    """Write everything to the disk, the checkpoint last, if the simulation is sane.

    Raises
    ------
    ValueError
        If positions or velocities are not finite.
    StopSimulation
        From a watchdog.
    OSError
        If something could not be written; the last checkpoint stays.
    """
    simulation, record, paths = job.simulation, job.record, job.paths
    include = {"positions", "velocities"}
    include |= set(job.watchdog.include) if job.watchdog else set()
    state = simulation.context.getState(**dict.fromkeys(include, True))
    # of a ring polymer, they are means of all beads
    for values in (state.getPositions(asNumpy=True), state.getVelocities(asNumpy=True)):
        if not np.isfinite(values._value).all():
            raise ValueError("NaN in positions or velocities")
    if job.watchdog:
        job.watchdog.check(state, simulation.currentStep)
    if job.velocities:
        job.velocities.commit()
    job.sums = sum_files(job.files, job.sums)
    checkpoint = make_checkpoint(
        simulation,
        record["integrator"],
        job.sums,
        job.velocities.frames if job.velocities else 0,
        # a copy, because the run changes its own
        json.loads(json.dumps(job.watchdog.state_dict() if job.watchdog else {})),
        job.velocities.checksum if job.velocities else None,
        job.barostat.state_dict() if job.barostat else None,
        job.acting.state_dict() if job.acting else None,
    )
    write_checkpoint(paths["checkpoint"], checkpoint)
    record["checkpoint_step"] = checkpoint.step
    replace_file(paths["state"], checkpoint.state)
    write_record(paths["record"], record)
    job.saved = time.monotonic()


def _piece(job: Job) -> int:
    """Steps until the next report, checkpoint or look; a resumed run has the same."""
    step, record = job.simulation.currentStep, job.record
    intervals = [min(_PIECE, record["report_interval"]), record["checkpoint_interval"]]
    if job.barostat:
        intervals.append(record["barostat_interval"])
    if job.acting and job.acting.interval:
        intervals.append(job.acting.interval)
    return min(record["steps"] - step, *(n - step % n for n in intervals))


def _step(job: Job, steps: int) -> None:
    """Take steps, and change a bias after the last of them where that is due."""
    if job.acting:
        job.acting.step(job.simulation, steps)
    else:
        job.simulation.step(steps)


def _ramp(job: Job) -> None:
    temperature = job.record["temperature_k"]
    if isinstance(temperature, list):
        fraction = job.simulation.currentStep / job.record["steps"]
        set_temperature(job.simulation.context, temperature_at(temperature, fraction))


@contextlib.contextmanager
def with_explanation(job: Job) -> Any:
    """Raise errors again, with the step and the files that are left.

    The reason is in the record, as "stopped".
    """
    try:
        yield
    except Exception as error:
        saved = job.record.get("checkpoint_step")
        text = reason_of(error)
        with contextlib.suppress(OSError):
            write_record(job.paths["record"], job.record | {"stopped": text})
        if not _is_explained(error):
            raise
        left = "there is no checkpoint yet"
        if saved is not None:
            left = (
                f"frames are in {job.paths['trajectory']}, the checkpoint of step "
                f"{saved} in {job.paths['checkpoint']}"
            )
        if isinstance(error, StopSimulation):
            raise StopSimulation(f"{text}; {left}") from error
        if isinstance(error, OSError):
            raise RuntimeError(
                f"expected to write the output of the run, found {text} at step "
                f"{job.simulation.currentStep}; {left}: mend that and continue with "
                "resume=True (--resume)"
            ) from error
        what = "expected a simulation and reporters without errors, found one"
        if _UNSTABLE.search(text):
            what = "expected finite positions, found an unstable simulation"
        raise RuntimeError(
            f"{what} after {job.record['completed_steps']} steps ({text}); {left}"
        ) from error


def _is_explained(error: Exception) -> bool:
    """Tell an error of a simulation from a mistake in code."""
    torch = sys.modules.get("torch")  # without it, nothing can have raised its error
    return isinstance(error, _EXPLAINED) or (
        torch is not None and isinstance(error, torch.jit.Error)
    )
