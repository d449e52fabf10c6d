# SPDX-License-Identifier: MIT
"""``analyze thermodynamics``: density and response functions."""

import argparse
from typing import Any

import numpy as np
from scipy.constants import Avogadro, atomic_mass

from ..runs.frames import Run, read_topology
from ..runs.selections import energies_between, read_charges
from .output import Outcome, Row
from .request import Request, add_blocks, add_frames, add_temperature, over_runs

_DENSITY = "density (kg/m³)"
_ENERGY = "energy (kJ/mol)"


def add_quantities(add: Any) -> None:
    """Add the parsers of this module's quantities."""
    bulk = add(
        "thermodynamics",
        _thermodynamics,
        selections="[TRAJ TOP] [ENERGIES.csv]",
        help="density, kg/m³, heat capacity, compressibility, thermal expansion and "
        "dielectric constant, as far as the ensemble and the files allow",
    )
    bulk.add_argument(
        "--ensemble",
        choices=("nvt", "npt", "npt-anisotropic", "npt-flexible", "nve"),
        help="(default: the run's record)",
    )
    bulk.add_argument(
        "--pressure", type=float, metavar="BAR", help="bar (default: the run's record)"
    )
    bulk.add_argument(
        "--charges",
        metavar="O=-0.8,H=0.4",
        help="charge numbers of neutral molecules, by element or in a file of one "
        "number for each atom: for the dielectric constant",
    )
    add_temperature(bulk)
    add_frames(bulk)
    add_blocks(bulk)


def _thermodynamics(request: Request) -> Outcome:
    from ..analysis import plot_series, series_mean

    results, rows, notes, traces = {}, [], [], {}
    for run in request.runs:
        label = f"all ({run.name})" if len(request.runs) > 1 else "all"
        found, of_run, trace = _of_run(request, run)
        results[label] = found
        rows += [Row(label, name, *value, unit) for name, value, unit in found.values()]
        notes += [note for note in of_run if note not in notes]
        traces[label] = trace
    time, name, values = next(iter(traces.values()))
    columns = {
        label: {"time (ps)": t, name: series}
        for label, (t, name, series) in traces.items()
    }
    return Outcome(
        over_runs(rows, request),
        {
            label: {
                key: {"value": value.value, "error": value.error}
                for key, (_, value, _) in found.items()
            }
            for label, found in results.items()
        },
        {k: unit for found in results.values() for k, (_, _, unit) in found.items()},
        columns,
        lambda path: plot_series(
            time,
            values,
            path,
            ylabel=name[0].upper() + name[1:],
            mean=series_mean(values),
        ),
        tuple(notes),
    )


def _of_run(request: Request, run: Run):
    """What one run tells: estimates by name with their units, notes, and a trace."""
    from ..analysis import (
        compressibility,
        dielectric_constant,
        heat_capacity,
        series_mean,
        thermal_expansion,
    )

    options = request.options
    ensemble = options.ensemble or run.record.get("ensemble")
    time, volumes, energies = _series(request, run)
    mass = _mass(run)
    found, notes = {}, []
    density = None
    if volumes is not None and mass is not None:
        density = mass * atomic_mass / (volumes * 1e-27)
        found["density"] = ("density", series_mean(density), "kg/m³")
    constant_pressure = str(ensemble).startswith("npt")
    if constant_pressure and volumes is not None:
        temperature = request.temperature(run)
        kappa = compressibility(volumes, temperature)
        found["compressibility"] = ("compressibility", kappa, "1/bar")
    if energies is not None and (constant_pressure or ensemble == "nvt"):
        temperature = request.temperature(run)
        heat = energies
        if constant_pressure:
            heat = energies + _work(options, run) * volumes
            expansion = thermal_expansion(volumes, heat, temperature)
            found["thermal_expansion"] = ("thermal expansion", expansion, "1/K")
        unit = "J/(K mol)" if mass is None else "J/(K g)"
        name = "heat capacity, " + ("C_P" if constant_pressure else "C_V")
        capacity = heat_capacity(heat, temperature, mass=mass)
        found["heat_capacity"] = (name, capacity, unit)
    if ensemble not in ("nvt", "nve") and not constant_pressure:
        notes.append("No response functions: --ensemble is not known.")
    if options.charges:
        frames = request.frames([run])
        charges, _ = read_charges(options.charges, frames.topology)
        temperature = request.temperature(run)
        constant = dielectric_constant(
            frames.load(), charges, temperature, n_blocks=options.blocks
        )
        found["dielectric_constant"] = ("dielectric constant", constant, "")
    if not found:
        raise ValueError(
            f"expected volumes and a topology, or energies, of {run.name}, found "
            "neither"
        )
    if density is not None and np.ptp(volumes) > 0:
        return found, notes, (time, _DENSITY, density)
    if energies is not None:
        return found, notes, (time, _ENERGY, energies)
    return found, notes, (time, _DENSITY, density)


def _series(request: Request, run: Run):
    """Times in ps, volumes in nm³ and total energies in kJ/mol; None what is not."""
    if run.energies is None:
        return *_volumes(request, run), None
    table = energies_between(request.options, run)
    times, volumes = table["Time (ps)"], table.get("Box Volume (nm^3)")
    energies = table.get("Total Energy (kJ/mole)")
    if volumes is None and run.trajectory is not None:
        own, volumes = _volumes(request, run)
        if volumes is not None:
            if np.ptp(volumes) > 1e-5 * volumes[0]:  # of other times than the energies
                return own, volumes, None
            volumes = np.full(len(times), volumes[0])
    return times, volumes, energies


def _volumes(request: Request, run: Run):
    """Times in ps and volumes in nm³ of frames, None without a cell."""
    times, volumes = [], []
    for chunk in request.frames([run]):
        times.append(np.asarray(chunk.time, dtype=float))
        if chunk.unitcell_lengths is not None:
            volumes.append(np.asarray(chunk.unitcell_volumes, dtype=float))
    return np.concatenate(times), np.concatenate(volumes) if volumes else None


def _mass(run: Run) -> float | None:
    """Mass of the system in g/mol, where its atoms are known."""
    if run.topology is None and run.trajectory is None:
        return None
    return sum(atom.element.mass for atom in read_topology(run).atoms)


def _work(options: argparse.Namespace, run: Run) -> float:
    """Pressure in kJ/mol per nm³."""
    pressure = options.pressure
    if pressure is None:
        pressure = run.record.get("pressure_bar")
    if not isinstance(pressure, int | float):
        raise ValueError(
            "expected --pressure in bar, or a run whose record holds it, found "
            f"{pressure}"
        )
    return pressure * 1e5 * 1e-27 * 1e-3 * Avogadro
