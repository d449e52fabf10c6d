# SPDX-License-Identifier: MIT
"""Run a System at constant temperature and write what happened."""

import json
import logging
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit
from tqdm import tqdm

from ._version import __version__

log = logging.getLogger(__name__)

ENSEMBLES = ("nvt", "nve")
SUFFIXES = {
    "topology": ".pdb",
    "trajectory": ".xtc",
    "energies": ".csv",
    "state": ".xml",
    "system": ".system.xml",
    "record": ".json",
}
# Thermal forces of a liquid at 300 K are of this size (root mean square). Going further
# would take heat out of a system that is equilibrated already.
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
    report_interval: int = 20,
    minimize: bool = True,
    platform: str | None = None,
    platform_properties: dict[str, str] | None = None,
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
        "nvt" (LangevinMiddle, Zhang et al., doi:10.1021/acs.jpca.9b02771) or "nve"
        (Verlet).
    temperature : Quantity
        Of the thermostat and of the initial velocities.
    timestep : Quantity
    friction : Quantity
        Of the thermostat.
    report_interval : int
        Steps between frames and between lines of energies.
    minimize : bool
        Whether to minimise the energy first, until forces are of thermal size
        (``MINIMIZER_TOLERANCE``).
    platform : str, optional
        Name of an OpenMM platform; the fastest present by default.
    platform_properties : dict, optional
        As ``{"Threads": "1"}``.
    seed : int
        Of velocities and thermostat; 0 takes a new one each time.
    overwrite : bool
        Whether existing output may be replaced.
    progress : bool
        Whether to show progress, with ns/day and the time left.

    Returns
    -------
    dict of str to Path
        ``topology`` (PDB), ``trajectory`` (XTC, not wrapped into the box), ``energies``
        (CSV), ``state`` (XML with positions, velocities and box, to restart from),
        ``system`` (XML), ``record`` (JSON of what was run).

    Raises
    ------
    FileExistsError
        If output exists and ``overwrite`` is not set.
    ValueError
        If a value is out of range, or positions do not fit or are not finite.
    RuntimeError
        If the simulation becomes unstable; what was written stays.
    """
    paths = check_output(output, overwrite)
    values = _check_values(
        steps, ensemble, temperature, timestep, friction, report_interval
    )
    coordinates = _check_positions(positions, topology, system)

    integrator = _integrator(ensemble, values, seed)
    chosen = _platform(platform)
    simulation = app.Simulation(
        topology, system, integrator, chosen, platform_properties or {}
    )
    simulation.context.setPositions(coordinates)
    paths["topology"].parent.mkdir(parents=True, exist_ok=True)
    for path in paths.values():
        path.unlink(missing_ok=True)
    record = {
        "package_version": __version__,
        "openmm_version": openmm.version.version,
        "platform": chosen.getName(),
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
    simulation.context.setVelocitiesToTemperature(
        temperature, *([seed] if seed else [])
    )
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
            speed=True,
        ),
    ]
    _run_steps(simulation, steps, report_interval, paths, record, progress)
    return paths


def check_output(output: str | Path, overwrite: bool = False) -> dict[str, Path]:
    """The files that ``run`` will write for a prefix.

    Raises
    ------
    FileExistsError
        If one exists and ``overwrite`` is not set.
    """
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
    done = 0
    # A log file is to hold a line every half minute, a terminal a live one.
    pause = 0.2 if sys.stderr.isatty() else 30.0
    with tqdm(
        total=steps,
        unit="step",
        disable=not progress,
        dynamic_ncols=True,
        mininterval=pause,
    ) as bar:
        while done < steps:
            piece = min(interval, steps - done)
            try:
                simulation.step(piece)
            except (openmm.OpenMMException, ValueError) as error:
                raise RuntimeError(
                    f"expected finite positions, found an unstable simulation after "
                    f"{done} steps ({str(error).split('  ')[0]}); the frames up to "
                    f"there are in {paths['trajectory']}"
                ) from error
            done += piece
            elapsed = time.monotonic() - started
            speed = done * record["timestep_fs"] * 1e-6 / (elapsed / 86400)
            bar.update(piece)
            bar.set_postfix_str(f"{speed:.3g} ns/day", refresh=False)
            record |= {"completed_steps": done, "ns_per_day": round(speed, 5)}
            if done == steps or time.monotonic() - saved > 30.0:
                state = simulation.context.getState(
                    positions=True, velocities=True, parameters=True
                )
                _write(paths["state"], openmm.XmlSerializer.serialize(state))
                _write_record(paths, record)
                saved = time.monotonic()
    log.info("%d steps at %.3g ns/day", done, record["ns_per_day"])


def _integrator(
    ensemble: str, values: dict[str, float], seed: int
) -> openmm.Integrator:
    timestep = values["timestep_fs"] * unit.femtosecond
    if ensemble == "nve":
        return openmm.VerletIntegrator(timestep)
    integrator = openmm.LangevinMiddleIntegrator(
        values["temperature_k"] * unit.kelvin,
        values["friction_per_ps"] / unit.picosecond,
        timestep,
    )
    integrator.setRandomNumberSeed(seed)
    return integrator


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


def _check_values(
    steps: int,
    ensemble: str,
    temperature: Any,
    timestep: Any,
    friction: Any,
    report_interval: int,
) -> dict[str, float]:
    if ensemble not in ENSEMBLES:
        raise ValueError(f"expected ensemble of {ENSEMBLES}, found {ensemble!r}")
    for name, value in (("steps", steps), ("report_interval", report_interval)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(
                f"expected {name} as an integer of at least 1, found {value}"
            )
    wanted = {
        "temperature_k": (temperature, unit.kelvin),
        "timestep_fs": (timestep, unit.femtosecond),
        "friction_per_ps": (friction, unit.picosecond**-1),
    }
    values = {}
    for name, (value, in_unit) in wanted.items():
        if not unit.is_quantity(value):
            raise ValueError(
                f"expected a quantity with a unit for {name.rsplit('_', 1)[0]}, such "
                f"as 300*kelvin, found {value!r}"
            )
        values[name] = value.value_in_unit(in_unit)
        if not values[name] > 0 or not math.isfinite(values[name]):
            raise ValueError(f"expected {name} above 0, found {values[name]}")
    return values


def _check_positions(
    positions: Any, topology: app.Topology, system: openmm.System
) -> np.ndarray:
    if unit.is_quantity(positions):
        positions = positions.value_in_unit(unit.nanometer)
    coordinates = np.array(positions, dtype=float)
    count = system.getNumParticles()
    if topology.getNumAtoms() != count:
        raise ValueError(
            f"expected a topology of the System's {count} particles, found "
            f"{topology.getNumAtoms()} atoms"
        )
    if coordinates.shape != (count, 3):
        raise ValueError(
            f"expected positions of shape ({count}, 3), found {coordinates.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(coordinates).all(axis=1))
    if bad.size:
        raise ValueError(
            f"expected finite positions, found NaN or infinity at {bad.size} atoms, "
            f"the first with index {bad[0]}"
        )
    return coordinates


def _write_record(paths: dict[str, Path], record: dict[str, Any]) -> None:
    _write(paths["record"], json.dumps(record, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    """Replace the file in one step: a kill leaves the old one or the new one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)
