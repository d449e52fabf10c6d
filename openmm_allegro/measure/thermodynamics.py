# SPDX-License-Identifier: MIT
"""Density, energy and response functions."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..runs.charges import read_charges
from ..runs.frames import read_topology
from ..runs.names import ENSEMBLES
from ..runs.run import Run
from ..runs.selections import no_words
from ..runs.source import Source
from ..runs.species import masses_of
from ..units import KJ_PER_MOL_NM3_TO_BAR, NM3_TO_M3
from ..utils.settings import setting
from .measurement import Measurement, Row
from .quantity import Quantity, Settings, blocks_setting

_DENSITY = "density (kg/m³)"
_ENERGY = "energy (kJ/mol)"


@dataclass(frozen=True)
class ThermodynamicsSettings(Settings):
    """Settings of density and response functions."""

    ensemble: str | None = setting(
        None,
        about="Ensemble (default: the run's record)",
        choices=tuple(ENSEMBLES),
    )
    pressure: float | None = setting(
        None,
        about="Pressure, bar (default: the run's record)",
        unit="bar",
        metavar="BAR",
    )
    charges: str | None = setting(
        None,
        about="Charge numbers of neutral molecules, by element or in a file of one "
        "number for each atom: for the dielectric constant",
        metavar="O=-0.8,H=0.4",
    )
    blocks: int = blocks_setting()


class _Trace(NamedTuple):
    """Series that is drawn: times in ps, name with unit, values."""

    times: np.ndarray
    name: str
    values: np.ndarray


def measure_thermodynamics(
    source: Source, subjects: None, settings: ThermodynamicsSettings
) -> Measurement:
    """Measure density, energy and response functions, as far as the files allow.

    Results by run: value and error of each quantity.
    """
    from ..analysis import plot_series, series_mean

    results, rows, notes, traces, units = {}, [], [], {}, {}
    for run in source.runs:
        label = source.label(run)
        values, of_run, traces[label] = _measure_run(source, run, settings)
        results[label] = {k: value._asdict() for k, (_, value, _) in values.items()}
        units |= {key: unit for key, (_, _, unit) in values.items()}
        rows += [
            Row(label, name, *value, unit) for name, value, unit in values.values()
        ]
        notes += [note for note in of_run if note not in notes]
    first = next(iter(traces.values()))
    return Measurement(
        rows,
        results,
        units,
        {
            label: {"time (ps)": trace.times, trace.name: trace.values}
            for label, trace in traces.items()
        },
        lambda path: plot_series(
            first.times,
            first.values,
            path,
            ylabel=first.name[0].upper() + first.name[1:],
            mean=series_mean(first.values),
        ),
        notes=notes,
    )


QUANTITY = Quantity(
    "thermodynamics",
    measure_thermodynamics,
    ThermodynamicsSettings,
    "density, kg/m³, heat capacity, compressibility, thermal expansion and dielectric "
    "constant, as far as the ensemble and the files allow",
    subjects="[TRAJ TOP] [ENERGIES.csv]",
    read_subjects=no_words,
    temperature=True,
)


def _measure_run(source: Source, run: Run, settings: ThermodynamicsSettings):
    """Measure one run: (name, estimate, unit) by key, notes, and a trace."""
    from ..analysis import (
        compressibility,
        dielectric_constant,
        heat_capacity,
        series_mean,
        thermal_expansion,
    )

    ensemble = settings.ensemble or run.ensemble
    times, volumes, energies, potential = _series(source, run)
    mass = _mass(run)
    values: dict[str, Any] = {}
    notes, density = [], None
    atoms = run.record.get("atoms")
    if potential is not None and atoms:
        mean = series_mean(potential / atoms)
        values["potential_energy"] = ("potential energy", mean, "kJ/mol per atom")
    if volumes is not None and mass is not None:
        density = _density(mass, volumes)
        values["density"] = ("density", series_mean(density), "kg/m³")
    constant_pressure = ensemble.startswith("npt")
    if constant_pressure and volumes is not None:
        temperature = source.temperature(run)
        kappa = compressibility(volumes, temperature)
        values["volume"] = ("volume", series_mean(volumes), "nm³")
        values["compressibility"] = ("compressibility", kappa, "1/bar")
    if energies is not None and (constant_pressure or ensemble == "nvt"):
        temperature = source.temperature(run)
        heat = energies
        if constant_pressure:
            heat = energies + _work(settings, run) * volumes
            expansion = thermal_expansion(volumes, heat, temperature)
            values["thermal_expansion"] = ("thermal expansion", expansion, "1/K")
        unit = "J/(K mol)" if mass is None else "J/(K g)"
        name = "heat capacity, " + ("C_P" if constant_pressure else "C_V")
        capacity = heat_capacity(heat, temperature, mass=mass)
        values["heat_capacity"] = (name, capacity, unit)
    if ensemble not in ("nvt", "nve") and not constant_pressure:
        notes.append("No response functions: --ensemble is not known.")
    if settings.charges:
        frames = source.frames([run])
        charges = read_charges(settings.charges, frames.topology).of_atoms
        temperature = source.temperature(run)
        constant = dielectric_constant(
            frames.load(), charges, temperature, n_blocks=settings.blocks
        )
        values["dielectric_constant"] = ("dielectric constant", constant, "")
    if not values:
        raise ValueError(
            f"expected volumes and a topology, or energies, of {run.name}, found "
            "neither"
        )
    if energies is None or (density is not None and np.ptp(volumes) > 0):
        return values, notes, _Trace(times, _DENSITY, density)
    return values, notes, _Trace(times, _ENERGY, energies)


def _series(source: Source, run: Run):
    """Times in ps, volumes in nm³, total and potential energies in kJ/mol; None if not.

    Volumes that vary at other times than the energies come without total energies.
    """
    if run.energies is None:
        return *_volumes(source, run), None, None
    table = source.energies(run)
    times, volumes = table["time"], table.get("volume")
    if volumes is None and run.trajectory is not None:
        own, volumes = _volumes(source, run)
        if volumes is not None:
            if np.ptp(volumes) > 1e-5 * volumes[0]:
                return own, volumes, None, table.get("potential")
            volumes = np.full(len(times), volumes[0])
    return times, volumes, table.get("total"), table.get("potential")


def _volumes(source: Source, run: Run):
    """Times in ps and volumes in nm³ of frames, None without a cell."""
    times, volumes = [], []
    for chunk in source.frames([run]):
        times.append(np.asarray(chunk.time, dtype=float))
        if chunk.unitcell_lengths is not None:
            volumes.append(np.asarray(chunk.unitcell_volumes, dtype=float))
    return np.concatenate(times), np.concatenate(volumes) if volumes else None


def _mass(run: Run) -> float | None:
    """Mass of the system in g/mol, where its atoms are known."""
    if run.topology is None and run.trajectory is None:
        return None
    return float(masses_of(read_topology(run)).sum())


def _density(mass: float, volumes: np.ndarray) -> np.ndarray:
    """Density in kg/m³ of a mass in g/mol in volumes in nm³."""
    from scipy.constants import atomic_mass

    return mass * atomic_mass / (volumes * NM3_TO_M3)


def _work(settings: ThermodynamicsSettings, run: Run) -> float:
    """Pressure in kJ/mol per nm³."""
    pressure = settings.pressure
    if pressure is None:
        pressure = run.record.get("pressure_bar")
    if pressure is None:
        raise ValueError(
            "expected --pressure in bar, or a run whose record holds it, found none"
        )
    return pressure / KJ_PER_MOL_NM3_TO_BAR
