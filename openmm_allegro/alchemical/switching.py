# SPDX-License-Identifier: MIT
"""Free energy from a force field to a model by nonequilibrium switching.

At each end a run of equilibrium is sampled; from its structures λ is driven to the
other end, and the work is summed up. Each part is resumed after a kill.
"""

import contextlib
import logging
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit
from tqdm import tqdm

from .._version import __version__
from ..potential.description import FORCE_NOTES, about_models, notes_of
from ..replica_exchange.seeds import draw
from ..replica_exchange.settings import check_system
from ..replica_exchange.states import LAMBDA
from ..runs.names import check_existing, switching_paths_of
from ..simulate.arguments import without_units
from ..simulate.checkpoint import forget_pairs
from ..simulate.checks import OF_FORCES, check_positions
from ..simulate.differences import Asked
from ..simulate.execute import execute
from ..simulate.force_field import about_force_field
from ..simulate.identity import Identity, identify
from ..simulate.integrators import make_integrator
from ..simulate.platform import choose_platform, torch_threads
from ..simulate.resume import check_same_run
from ..simulate.settings import Execution, RunSettings
from ..simulate.system import prepare_system
from ..utils.files import lock_output, read_record, write_record
from ..utils.process import CONTINUES, interruptible
from ..utils.reasons import reason_of
from .settings import DIRECTIONS, SwitchingSettings
from .starts import Start, StartReporter, read_start
from .systems import at_lambda, check_lambda, end_system, lambda_groups
from .works import Saved, Switch, load_works, maker, save_works

log = logging.getLogger(__name__)

# λ at which a direction starts.
_FROM = {"forward": 0.0, "reverse": 1.0}
_MAY_CHANGE = ("switches", "steps")


def switch_states(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    output: str | Path,
    *,
    directions: str = "both",
    switches: int = 100,
    switch_steps: int = 2000,
    change_interval: int = 10,
    interval: int = 500,
    equilibration: int = 5000,
    temperature: unit.Quantity = 300.0 * unit.kelvin,
    timestep: unit.Quantity = 0.5 * unit.femtosecond,
    friction: unit.Quantity = 1.0 / unit.picosecond,
    pressure: unit.Quantity | None = None,
    minimize: bool = True,
    platform: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> dict[str, Path]:
    r"""Sample both ends of λ, and measure the work of switching between them.

    .. math:: W = \sum_k U(\lambda_{k+1}, x_k) - U(\lambda_k, x_k)

    LangevinMiddle moves the atoms between the changes of λ, from new velocities at each
    start. ``switching_free_energy`` makes the free energy of the works.

    Parameters
    ----------
    topology, positions
        As ``run``; positions are those that both ends begin with.
    system : openmm.System
        With the global parameter ``lambda_interpolate``, as
        ``create_mixed_system(interpolate=True)`` makes it; without a barostat.
    output : path
        Prefix. ``output-mm.*`` and ``output-ml.*`` are files of ``run`` at the ends.
    directions : str
    switches, switch_steps, change_interval, interval, equilibration : int
    temperature, timestep, friction : Quantity
    pressure : Quantity, optional
    minimize : bool
        See ``SwitchingSettings`` for these.
    platform, threads, seed, resume, overwrite, progress
        As ``run``. A resumed run gives the works of an undisturbed one to the last bit
        where ``run`` does, but for NPT: there the size of volume moves is tuned anew.

    Returns
    -------
    dict of str to Path
        ``works`` (CSV), ``checkpoint``, ``record`` (JSON).

    Raises
    ------
    FileExistsError, ImportError, RuntimeError, ValueError
        As ``run``; ValueError if the System has no ``lambda_interpolate``.
    """
    arguments = {
        "directions": directions,
        "switches": switches,
        "switch_steps": switch_steps,
        "change_interval": change_interval,
        "interval": interval,
        "equilibration": equilibration,
        "temperature": temperature,
        "timestep": timestep,
        "friction": friction,
        "pressure": pressure,
        "minimize": bool(minimize),
    }
    execution = Execution(platform, threads, seed, overwrite, resume, progress)
    settings = SwitchingSettings(**without_units(SwitchingSettings, arguments))
    return switch(topology, positions, system, output, settings, execution)


def switch(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    output: str | Path,
    settings: SwitchingSettings,
    execution: Execution,
    notes: dict[str, Any] | None = None,
) -> dict[str, Path]:
    """Do what ``switch_states`` does, with settings that were checked.

    ``notes`` are kept in the records.
    """
    check_lambda(system)
    check_positions(positions, topology, system)
    check_system(settings.ensemble, topology, system)
    paths = switching_paths_of(output)
    check_existing(
        {name: paths[name] for name in ("works", "checkpoint", "record")},
        execution.overwrite,
        execution.resume,
    )
    identity = identify(at_lambda(system, 1.0), topology)
    with lock_output(output):
        record = _begin(paths, settings, execution, identity, system, topology)
        for number, direction in enumerate(DIRECTIONS[settings.directions]):
            end = "mm" if direction == "forward" else "ml"
            log.info("equilibrium at λ = %g", _FROM[direction])
            execute(
                topology,
                positions,
                end_system(system, _FROM[direction]),
                paths[end],
                _equilibrium(settings),
                Execution(
                    execution.platform,
                    execution.threads,
                    (record["seed"] + number) % 2**31 or 1,
                    execution.overwrite,
                    execution.resume,
                    execution.progress,
                ),
                reporters=[
                    StartReporter(
                        paths[f"{end}_starts"], settings.interval, settings.first_start
                    )
                ],
                notes=notes,
            )
        with torch_threads(execution.threads):
            switcher = Switcher(topology, system, paths, record, settings, execution)
            switcher.run(execution.progress)
    return {name: paths[name] for name in ("works", "checkpoint", "record")}


def _equilibrium(settings: SwitchingSettings) -> RunSettings:
    """Settings of the run at an end."""
    pressure = settings.pressure_bar
    return RunSettings(
        steps=settings.steps,
        ensemble=settings.ensemble,
        temperature_k=(settings.temperature_k,),
        timestep_fs=settings.timestep_fs,
        friction_per_ps=settings.friction_per_ps,
        **({} if pressure is None else {"pressure_bar": pressure}),
        report_interval=settings.interval,
        minimize=settings.minimize,
    )


def _begin(
    paths: dict[str, Path],
    settings: SwitchingSettings,
    execution: Execution,
    identity: Identity,
    system: openmm.System,
    topology: app.Topology,
) -> dict[str, Any]:
    """Compare a run that is resumed; write and return the record."""
    notes = notes_of(identity.descriptions)
    asked = settings.record() | notes | {"atoms": system.getNumParticles()}
    record = asked | about_models(identity.descriptions)
    record |= about_force_field(system, topology)
    record |= {
        "identity": identity.parts,
        "method": "switching",
        "package_version": __version__,
        "openmm_version": openmm.version.version,
        "seed": execution.seed or random.SystemRandom().randrange(1, 2**31),
        "completed_steps": 0,
        "completed_switches": 0,
        "finished": False,
    }
    if execution.resume and paths["record"].exists():
        before = read_record(paths["record"])
        run = Asked(identity.parts, lambda: at_lambda(system, 1.0), topology)
        files = {"record": paths["record"], "topology": paths["topology"]}
        check_same_run(before, asked, run, files, {*OF_FORCES, *_MAY_CHANGE})
        names = (*_MAY_CHANGE, *FORCE_NOTES, "identity", "openmm_version")
        changed = {name: record[name] for name in names if name in record}
        before.pop("stopped", None)
        record = before | changed | {"finished": False}
    else:
        for name in ("checkpoint", "works"):
            paths[name].unlink(missing_ok=True)
        for name in ("mm_starts", "ml_starts"):
            shutil.rmtree(paths[name], ignore_errors=True)
    write_record(paths["record"], record)
    return record


class Switcher:
    """Switches of a run, one Context for all.

    Parameters
    ----------
    topology : openmm.app.Topology
    system : openmm.System
    paths : dict of str to Path
    record : dict
        Kept up to date.
    settings : SwitchingSettings
    execution : Execution
    """

    def __init__(
        self,
        topology: app.Topology,
        system: openmm.System,
        paths: dict[str, Path],
        record: dict[str, Any],
        settings: SwitchingSettings,
        execution: Execution,
    ):
        self.paths, self.record, self.settings = paths, record, settings
        self.saved = load_works(paths)
        # random numbers that are not restored are to be others than before
        seed = draw(record["seed"], len(self.saved.works))
        values = _equilibrium(settings).record()
        prepared = prepare_system(at_lambda(system, 0.0), topology, values, seed)
        self.groups = lambda_groups(prepared)
        self.periodic = prepared.usesPeriodicBoundaryConditions()
        self.integrator = make_integrator("langevin-middle", prepared, values, seed)
        platform, properties = choose_platform(execution.platform, execution.threads)
        self.context = openmm.Context(prepared, self.integrator, platform, properties)
        self.made_by = maker(self.context, execution.threads)
        if self.saved.exact and self.saved.made_by == self.made_by:
            with contextlib.suppress(openmm.OpenMMException):  # another machine
                self.context.loadCheckpoint(self.saved.exact)

    def run(self, progress: bool) -> None:
        """Carry out the switches that are missing.

        Raises
        ------
        RuntimeError
            If an energy is not finite.
        """
        works = list(self.saved.works)
        done = {(switch.direction, switch.number) for switch in works}
        missing = [plan for plan in self._plans() if plan not in done]
        total = len(missing) + len(works)
        with (
            interruptible() as stop,
            tqdm(
                total=total,
                initial=len(works),
                unit="switch",
                disable=not progress,
                dynamic_ncols=True,
                mininterval=0.2 if sys.stderr.isatty() else 30.0,
            ) as bar,
        ):
            for direction, number in missing:
                works.append(self._switch(direction, number))
                exact = self.context.createCheckpoint()
                save_works(self.paths, Saved(works, exact, self.made_by))
                bar.update()
                if stop():
                    self._write(works, finished=False)
                    if stop() == signal.SIGTERM:
                        raise SystemExit(128 + signal.SIGTERM)
                    raise KeyboardInterrupt(CONTINUES)
        self._write(works, finished=True)

    def _plans(self) -> Iterator[tuple[str, int]]:
        for direction in DIRECTIONS[self.settings.directions]:
            yield from ((direction, i) for i in range(self.settings.switches))

    def _write(self, works: list[Switch], finished: bool) -> None:
        self.record["completed_switches"] = len(works)
        self.record["finished"] = finished
        write_record(self.paths["record"], self.record)

    def _switch(self, direction: str, number: int) -> Switch:
        settings, forward = self.settings, direction == "forward"
        folder = self.paths["mm_starts" if forward else "ml_starts"]
        step = settings.first_start + number * settings.interval
        try:
            self._set(read_start(folder, step), _FROM[direction])
            seed = draw(self.record["seed"], number, int(forward))
            self.context.setVelocitiesToTemperature(settings.temperature_k, seed)
            values = np.linspace(0.0, 1.0, settings.changes + 1)
            work = self._work(values if forward else values[::-1])
            if not np.isfinite(work):
                raise openmm.OpenMMException(f"a work of {work} kJ/mol")
        except openmm.OpenMMException as error:
            reason = reason_of(error)
            write_record(self.paths["record"], self.record | {"stopped": reason})
            raise RuntimeError(
                f"expected finite energies, found an unstable {direction} switch "
                f"number {number} ({reason}); works before it are in "
                f"{self.paths['works']}"
            ) from error
        return Switch(direction, number, step, work)

    def _set(self, start: Start, value: float) -> None:
        if self.periodic:
            self.context.setPeriodicBoxVectors(*start.box)
        self.context.setPositions(start.positions)
        self.context.setParameter(LAMBDA, value)
        # lest rounding depends on what the Context did before
        forget_pairs(self.context)

    def _work(self, values: np.ndarray) -> float:
        """Drive λ through values, and sum up the work of its changes in kJ/mol."""
        work, last = 0.0, len(values) - 1
        for index, value in enumerate(values[1:], start=1):
            before = self._energy()
            self.context.setParameter(LAMBDA, float(value))
            work += self._energy() - before
            if index < last:
                self.integrator.step(self.settings.change_interval)
        return work

    def _energy(self) -> float:
        """Energy of what depends on λ, in kJ/mol."""
        state = self.context.getState(energy=True, groups=self.groups)
        return state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
