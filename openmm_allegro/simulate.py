# SPDX-License-Identifier: MIT
"""Run a System in an ensemble and write what happened."""

import contextlib
import json
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import openmm
import torch
from openmm import app, unit
from tqdm import tqdm

from ._version import __version__
from .ensembles import (
    BAROSTATS,
    check_ensemble,
    make_integrator,
    whole_molecules,
    with_barostat,
)
from .simulation_input import (
    check_freedom,
    check_integers,
    check_positions,
    check_start,
    check_values,
)

log = logging.getLogger(__name__)

SUFFIXES = {
    "topology": ".pdb",
    "trajectory": ".xtc",
    "energies": ".csv",
    "state": ".xml",
    "system": ".system.xml",
    "record": ".json",
}
# A little below what a liquid has at 300 K (1250 for salt water, per atom, as OpenMM
# measures it): contacts go, and an equilibrated liquid warms again within a picosecond.
MINIMIZER_TOLERANCE = 1000.0 * unit.kilojoule_per_mole / unit.nanometer
# Fastest first. OpenCL is left out: openmm-torch does not run there.
_PLATFORMS = ("CUDA", "HIP", "CPU", "Reference")


def run(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    output: str | Path,
    *,
    steps: int = 10_000,
    ensemble: str = "nvt",
    temperature: unit.Quantity = 300.0 * unit.kelvin,
    timestep: unit.Quantity = 0.5 * unit.femtosecond,
    friction: unit.Quantity = 1.0 / unit.picosecond,
    pressure: unit.Quantity = 1.0 * unit.bar,
    barostat_interval: int = 25,
    report_interval: int = 20,
    reporters: Sequence[Any] = (),
    minimize: bool = True,
    platform: str | None = None,
    threads: int | None = None,
    notes: dict[str, Any] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = True,
) -> dict[str, Path]:
    """Minimise and run molecular dynamics.

    Parameters
    ----------
    topology : openmm.app.Topology
    positions : [N, 3] Quantity, or array in nm
    system : openmm.System
    output : path
        Prefix of the files to write, such as ``runs/nacl``.
    steps : int
    ensemble : str
        "nvt" (LangevinMiddle, Zhang et al., doi:10.1021/acs.jpca.9b02771), "nve"
        (Verlet), or "npt", "npt-anisotropic", "npt-flexible": as "nvt", with OpenMM's
        Monte Carlo barostat (Åqvist et al., doi:10.1016/j.cplett.2003.12.039) that
        scales the box, each of its lengths, or lengths and angles. Molecules move as
        the System has them (``create_system(rigid_molecules=...)``).
    temperature : Quantity
        Of the thermostat, the barostat and the initial velocities.
    timestep : Quantity
    friction : Quantity
        Of the thermostat.
    pressure : Quantity
        Of the barostat.
    barostat_interval : int
        Steps between attempts to change the volume.
    report_interval : int
        Steps between frames and between lines of energies; at most ``steps``.
    reporters : sequence of OpenMM reporters
        More of them, such as ``reporters.PressureReporter``.
    minimize : bool
        Whether to minimise the energy first, until forces are of thermal size
        (``MINIMIZER_TOLERANCE``).
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
    progress : bool
        Whether to show progress, with ns/day and the time left.

    Returns
    -------
    dict of str to Path
        ``topology`` (PDB), ``trajectory`` (XTC, not wrapped into the box), ``energies``
        (CSV; under NPT with the density), ``state`` (XML with positions, velocities and
        box, to restart from), ``system`` (XML, with the barostat if any), ``record``
        (JSON of what was run).

    Raises
    ------
    FileExistsError
        If output exists and ``overwrite`` is not set.
    ValueError
        If a value is out of range, positions do not fit or are not finite, nothing can
        move, the System has a barostat already, the volume is to change and there is no
        box, or energy and forces at the start are not finite.
    RuntimeError
        If the simulation becomes unstable; what was written stays.
    """
    paths = check_output(output, overwrite)
    try:
        json.dumps(notes)
    except TypeError as error:
        raise ValueError(f"expected notes of JSON values, found {error}") from error
    steps, report_interval, seed, barostat_interval = check_integers(
        steps, report_interval, seed, barostat_interval
    )
    values = check_values(ensemble, temperature, timestep, friction, pressure)
    coordinates = check_positions(positions, topology, system)
    check_freedom(system)
    check_ensemble(ensemble, topology, system)

    seed = seed or random.SystemRandom().randrange(1, 2**31)
    integrator = make_integrator(ensemble, values, seed)
    if ensemble in BAROSTATS:
        values["barostat_interval"] = barostat_interval
        system = with_barostat(ensemble, system, values, seed)
    if system.usesPeriodicBoundaryConditions():
        coordinates = whole_molecules(coordinates, topology, system)
    chosen = _platform(platform)
    properties = {}
    if threads is not None and "Threads" in chosen.getPropertyNames():
        properties["Threads"] = str(threads)
    simulation = app.Simulation(topology, system, integrator, chosen, properties)
    simulation.context.setPositions(coordinates)
    check_start(simulation)
    paths["topology"].parent.mkdir(parents=True, exist_ok=True)
    for path in paths.values():
        path.unlink(missing_ok=True)
    record = {
        **(notes or {}),
        "package_version": __version__,
        "openmm_version": openmm.version.version,
        "platform": chosen.getName(),
        "platform_properties": properties,
        "forces": [force.getName() for force in system.getForces()],
        "atoms": system.getNumParticles(),
        "ensemble": ensemble,
        "steps": steps,
        **values,
        "report_interval": report_interval,
        "minimized": minimize,
        "seed": seed,
        "completed_steps": 0,
    }
    _write(paths["system"], openmm.XmlSerializer.serialize(system))
    _write_record(paths, record)
    if minimize:
        log.info("minimising on the %s platform", chosen.getName())
        simulation.minimizeEnergy(tolerance=MINIMIZER_TOLERANCE, maxIterations=200)
    with open(paths["topology"], "w") as file:
        state = simulation.context.getState(positions=True)
        app.PDBFile.writeFile(topology, state.getPositions(), file, keepIds=True)
    simulation.context.setVelocitiesToTemperature(temperature, seed)
    simulation.reporters += [
        app.XTCReporter(
            str(paths["trajectory"]), report_interval, enforcePeriodicBox=False
        ),
        app.StateDataReporter(
            str(paths["energies"]),
            report_interval,
            step=True,
            time=True,
            potentialEnergy=True,
            kineticEnergy=True,
            totalEnergy=True,
            temperature=True,
            volume=system.usesPeriodicBoundaryConditions(),
            density=ensemble in BAROSTATS,
            speed=True,
        ),
        *reporters,
    ]
    with _torch_threads(threads):
        _run_steps(simulation, steps, report_interval, paths, record, progress)
    return paths


def check_output(output: str | Path, overwrite: bool = False) -> dict[str, Path]:
    """The files that ``run`` will write for a prefix.

    Raises
    ------
    FileExistsError
        If one exists and ``overwrite`` is not set.
    ValueError
        If ``output`` is a folder.
    """
    if str(output).endswith(("/", os.sep)) or Path(output).is_dir():
        raise ValueError(
            "expected the prefix of files to write, such as runs/nacl, found the "
            f"folder {output}"
        )
    paths = {name: Path(f"{output}{suffix}") for name, suffix in SUFFIXES.items()}
    existing = [str(p) for p in paths.values() if p.exists()]
    if existing and not overwrite:
        raise FileExistsError(
            f"expected no output yet, found {', '.join(existing)}; use another name, "
            "or overwrite=True (--force)"
        )
    return paths


def _run_steps(
    simulation: app.Simulation,
    steps: int,
    interval: int,
    paths: dict[str, Path],
    record: dict[str, Any],
    progress: bool,
) -> None:
    """Step in pieces; keep the restart file and the record up to date."""
    started = saved = time.monotonic()
    # A log file is to hold a line every half minute, a terminal a live one.
    pause = 0.2 if sys.stderr.isatty() else 30.0
    with (
        tqdm(
            total=steps,
            unit="step",
            disable=not progress,
            dynamic_ncols=True,
            mininterval=pause,
        ) as bar,
        _interruptible() as interrupted,
    ):
        while simulation.currentStep < steps:
            try:
                # small pieces, so that an interruption need not wait long
                piece = min(interval, 10, steps - simulation.currentStep)
                simulation.step(piece)
                if interrupted():
                    raise KeyboardInterrupt
            except (openmm.OpenMMException, ValueError) as error:
                _write_record(paths, record)
                raise RuntimeError(
                    "expected finite positions, found an unstable simulation after "
                    f"{record['completed_steps']} steps ({str(error).split('  ')[0]}); "
                    f"the frames up to there are in {paths['trajectory']}"
                ) from error
            except KeyboardInterrupt:
                record["completed_steps"] = simulation.currentStep
                _save(simulation, paths, record)
                raise
            done = simulation.currentStep
            elapsed = time.monotonic() - started
            speed = done * record["timestep_fs"] * 1e-6 / (elapsed / 86400)
            bar.update(done - record["completed_steps"])
            bar.set_postfix_str(f"{speed:.3g} ns/day", refresh=False)
            record |= {"completed_steps": done, "ns_per_day": round(speed, 5)}
            if done == steps or time.monotonic() - saved > 30.0:
                _save(simulation, paths, record)
                saved = time.monotonic()
    log.info("%d steps at %.3g ns/day", steps, record["ns_per_day"])


@contextlib.contextmanager
def _torch_threads(count: int | None) -> Iterator[None]:
    """As many threads for torch, and for the fused kernel, as the platform has."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """A function that says whether SIGINT has come; the signal itself does nothing.

    A KeyboardInterrupt raised inside a PythonForce would reach us as a failure of
    OpenMM. Outside the main thread, where signals cannot be handled, never true.
    """
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        yield lambda: bool(seen)
    finally:
        signal.signal(signal.SIGINT, before)


def _save(
    simulation: app.Simulation, paths: dict[str, Path], record: dict[str, Any]
) -> None:
    state = simulation.context.getState(
        positions=True, velocities=True, parameters=True
    )
    _write(paths["state"], openmm.XmlSerializer.serialize(state))
    _write_record(paths, record)


def _platform(name: str | None) -> openmm.Platform:
    count = openmm.Platform.getNumPlatforms()
    present = [openmm.Platform.getPlatform(i).getName() for i in range(count)]
    if name is not None:
        if name not in present:
            raise ValueError(f"expected a platform of {present}, found {name!r}")
        return openmm.Platform.getPlatformByName(name)
    return openmm.Platform.getPlatformByName(
        next(p for p in _PLATFORMS if p in present)
    )


def _write_record(paths: dict[str, Path], record: dict[str, Any]) -> None:
    _write(paths["record"], json.dumps(record, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    """Replace the file in one step: a kill leaves the old one or the new one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)
