# SPDX-License-Identifier: MIT
"""Replicas of openmmtools. It imports openmmtools: import it late."""

import contextlib
import io
import logging
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openmm
from openmm import app, unit
from openmmtools.cache import ContextCache
from openmmtools.multistate import (
    ParallelTemperingSampler,
    ReplicaExchangeSampler,
    SimulationNaNError,
)
from openmmtools.states import SamplerState
from tqdm import tqdm

from ..runs.minimization import minimization_words
from ..simulate.checks import check_start
from ..simulate.minimizer import minimize
from ..simulate.platform import describe_hardware
from ..simulate.topology_file import write_topology
from ..utils.files import write_record
from ..utils.process import CONTINUES, interruptible
from ..utils.reasons import reason_of
from .draws import LangevinMove, seeded
from .ranks import is_parallel, on_first_rank, rank
from .samples import write_exchanges
from .settings import EXCHANGES
from .states import make_states, values_of_states
from .storage import Backup
from .stored import Reporter

log = logging.getLogger(__name__)


class Replicas:
    """Replicas of a run, their common Context, and their files.

    Parameters
    ----------
    platform : openmm.Platform
    properties : dict of str to str
        Properties of the platform.
    paths : dict of str to Path
    record : dict
        Kept up to date.
    system : openmm.System
    """

    def __init__(
        self,
        platform: openmm.Platform,
        properties: dict[str, str],
        paths: dict[str, Path],
        record: dict[str, Any],
        system: openmm.System,
    ):
        self.paths, self.record, self.system = paths, record, system
        self.backup = Backup(paths)
        # One Context serves all temperatures: with a TorchForce each one that was ever
        # made costs some 10 MB.
        self.contexts = ContextCache(platform, properties or None, capacity=2)
        self.reporter = Reporter(
            system,
            record,
            str(paths["samples"]),
            checkpoint_interval=record["checkpoint_interval"],
        )
        self.sampler: Any = None

    def create(self, topology: app.Topology, positions: np.ndarray) -> None:
        """Create replicas of one structure, minimised if the record says so."""
        record, system = self.record, self.system
        states = make_states(system, record)
        move = LangevinMove(
            record["seed"],
            timestep=record["timestep_fs"] * unit.femtosecond,
            collision_rate=record["friction_per_ps"] / unit.picosecond,
            n_steps=record["steps_per_iteration"],
            n_restart_attempts=0,
        )
        # the one that is minimised comes last
        for state in (states[-1], states[0]) if "lambdas" in record else states[:1]:
            integrator = move._get_integrator(state)
            context, _ = self.contexts.get_context(state, integrator)
            context.setPositions(positions)
            check_start(SimpleNamespace(context=context))
        record["hardware"] = describe_hardware(context)
        if record["minimized"]:
            record |= minimize(context)
            if not rank():
                log.info("%s", minimization_words(record))
        start = context.getState(positions=True).getPositions(asNumpy=True)
        box = system.getDefaultPeriodicBoxVectors() if record["periodic"] else None
        on_first_rank(write_topology, self.paths["topology"], topology, start)
        self.sampler = self._sampler_type(
            mcmc_moves=move,
            number_of_iterations=record["iterations"],
            online_analysis_interval=None,
            replica_mixing_scheme=EXCHANGES[record["exchange"]],
        )
        # openmmtools prints the papers to cite.
        with contextlib.redirect_stdout(io.StringIO()):
            replica = SamplerState(start, box_vectors=box)
            if "lambdas" in record:
                replicas = [replica] * len(states)
                self.sampler.create(states, replicas, storage=self.reporter)
            else:
                self.sampler.create(
                    states[0],
                    replica,
                    storage=self.reporter,
                    n_temperatures=len(states),
                    temperatures=record["temperatures_k"] * unit.kelvin,
                )

    def load(self) -> None:
        """Read the replicas of the last checkpoint.

        Raises
        ------
        ValueError
            If the files are of another System.
        """
        with contextlib.redirect_stdout(io.StringIO()):
            self.sampler = self._sampler_type.from_storage(self.reporter)
        self.sampler.number_of_iterations = self.record["iterations"]

    def run(self, progress: bool) -> None:
        """Iterate until the record's number of iterations is reached.

        Raises
        ------
        RuntimeError
            If an energy is not finite.
        """
        sampler, record = self.sampler, self.record
        sampler.energy_context_cache = sampler.sampler_context_cache = self.contexts
        first, limit = sampler.iteration, record["iterations"]
        started = time.monotonic()
        with (
            tqdm(
                total=limit,
                initial=first,
                unit="iteration",
                disable=not progress,
                dynamic_ncols=True,
                # as in run: a log file gets a line every half minute
                mininterval=0.2 if sys.stderr.isatty() else 30.0,
            ) as bar,
            # mpiplus has handlers of its own, which end all ranks
            contextlib.nullcontext(int) if is_parallel() else interruptible() as stop,
        ):
            while sampler.iteration < limit:
                if sampler.iteration % record["checkpoint_interval"] == 0:
                    on_first_rank(self._copy)
                self._iterate()
                bar.update()
                seconds = time.monotonic() - started
                self._count(sampler.iteration - first, seconds)
                if stop():
                    on_first_rank(self._save)
                    if stop() == signal.SIGTERM:
                        raise SystemExit(128 + signal.SIGTERM)
                    raise KeyboardInterrupt(CONTINUES)
        record["finished"] = True
        on_first_rank(self._save)
        on_first_rank(self.paths["backup"].unlink, True)  # if there is one

    @property
    def _sampler_type(self) -> type[ReplicaExchangeSampler]:
        """Class of openmmtools; that of temperatures needs one energy per replica."""
        is_lambda = "lambdas" in self.record
        return ReplicaExchangeSampler if is_lambda else ParallelTemperingSampler

    def close(self) -> None:
        """Close the files and free the Context."""
        on_first_rank(self.reporter.close)
        self.contexts.empty()

    def _iterate(self) -> None:
        try:
            with seeded(self.record["seed"], self.sampler.iteration):
                self.sampler.run(n_iterations=1)
        except (SimulationNaNError, openmm.OpenMMException) as error:
            reason = reason_of(error)
            if not rank():  # without the others, which may not have failed
                stopped = self.record | {"stopped": reason}
                write_record(self.paths["record"], stopped)
            raise RuntimeError(
                "expected finite energies, found an unstable simulation in iteration "
                f"{self.sampler.iteration} ({reason}); the iterations before are in "
                f"{self.paths['samples']}"
            ) from error

    def _count(self, iterations: int, seconds: float) -> None:
        record, done = self.record, self.sampler.iteration
        steps = record["steps_per_iteration"]
        simulated = iterations * steps * len(values_of_states(record))
        record["completed_iterations"] = done
        record["completed_steps"] = done * steps
        # of all replicas together
        speed = simulated * record["timestep_fs"] * 1e-6 / (seconds / 86400)
        record["ns_per_day"] = round(speed, 5)

    def _copy(self) -> None:
        self.reporter.sync()
        if self.backup.save(self.sampler.iteration):
            write_record(self.paths["record"], self.record)

    def _save(self) -> None:
        self.reporter.sync()
        write_record(self.paths["record"], self.record)
        write_exchanges(self.paths)
