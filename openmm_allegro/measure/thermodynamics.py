# SPDX-License-Identifier: MIT
"""Density, energy and response functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..runs.charges import read_charges
from ..runs.energies import degrees_of_freedom
from ..runs.frames import read_topology
from ..runs.names import ENSEMBLES, QTB, RPMD
from ..runs.run import Run
from ..runs.selections import no_words
from ..runs.source import Source
from ..runs.species import masses_of
from ..units import KJ_PER_MOL_NM3_TO_BAR, NM3_TO_M3
from ..utils.settings import setting
from .canonical import check_canonical, check_least
from .judgement import check_fluctuation, judge_independent
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


class _Ensemble(NamedTuple):
    """Variance of the temperature over the canonical one, and degrees of freedom."""

    ratio: Any
    freedom: int


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
    failed, warnings = {}, []
    for run in source.runs:
        label = source.label(run)
        judged, of_run, traces[label] = _measure_run(source, run, settings)
        values = judged.values
        failed |= judged.failed
        warnings += judged.warnings
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
        failed=failed,
        warnings=warnings,
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


class _Judged:
    """Values of one run by key, what was withheld of them, and warnings.

    Attributes
    ----------
    values : dict of str to (str, Estimate, str)
        Name, estimate and unit.
    failed : dict of str to str
    warnings : list of str
    """

    def __init__(self, label: str):
        self.label = label
        self.values: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        self.warnings: list[str] = []

    def mean(self, key: str, name: str, series: np.ndarray, unit: str) -> None:
        """Take the mean of a series."""
        from ..analysis import series_mean
        from ..analysis.statistics import ENOUGH, independent_values

        self.values[key] = name, series_mean(series), unit
        independent = independent_values(series)
        self.warnings += judge_independent(
            self.label, name, independent, independent < ENOUGH
        )

    def fluctuation(
        self,
        key: str,
        name: str,
        series: np.ndarray,
        of: str,
        make: Callable[[], Any],
        unit: str,
        *,
        ensemble: _Ensemble | None = None,
        least: float = 0.0,
    ) -> None:
        """Take what ``make()`` makes of the fluctuation of a series, if it has one.

        It is withheld if the `ensemble` was not sampled, or it is below the `least`
        that it can be.
        """
        from ..analysis.statistics import ENOUGH_OF_VARIANCE, independent_values

        independent = independent_values(series)
        try:
            check_fluctuation(name, series, of)
            if ensemble is not None:
                check_canonical(name, ensemble.ratio)
            value = make()
            check_least(name, value, least, unit)
        except ValueError as error:
            self.failed[f"{name} of {self.label}"] = str(error)
            said = name.replace(", C_", " C_")
            self.warnings.append(f"{self.label}: the {said} is withheld.")
            return
        self.values[key] = name, value, unit
        self.warnings += judge_independent(
            self.label, name, independent, independent < ENOUGH_OF_VARIANCE, of
        )


def _measure_run(
    source: Source, run: Run, settings: ThermodynamicsSettings
) -> tuple[_Judged, list[str], _Trace]:
    """Measure one run: its values, notes, and a trace."""
    judged, notes, density = _Judged(source.label(run)), [], None
    ensemble = settings.ensemble or run.ensemble
    times, volumes, energies, potential = _series(source, run)
    mass = _mass(run)
    atoms = run.record.get("atoms")
    if potential is not None and atoms:
        judged.mean(
            *("potential_energy", "potential energy"),
            *(potential / atoms, "kJ/mol per atom"),
        )
    if volumes is not None and mass is not None:
        density = _density(mass, volumes)
        judged.mean("density", "density", density, "kg/m³")
    constant_pressure = ensemble.startswith("npt")
    if constant_pressure and volumes is not None:
        judged.mean("volume", "volume", volumes, "nm³")
    _responses(judged, source, run, settings, (volumes, energies, mass))
    if ensemble not in ("nvt", "nve") and not constant_pressure:
        notes.append("No response functions: --ensemble is not known.")
    if settings.charges:
        _dielectric(judged, source, run, settings)
    if not judged.values:
        raise ValueError(
            next(iter(judged.failed.values()), None)
            or f"expected volumes and a topology, or energies, of {run.name}, found "
            "neither"
        )
    if energies is None or (density is not None and np.ptp(volumes) > 0):
        return judged, notes, _Trace(times, _DENSITY, density)
    return judged, notes, _Trace(times, _ENERGY, energies)


def _responses(
    judged: _Judged,
    source: Source,
    run: Run,
    settings: ThermodynamicsSettings,
    series: tuple[Any, Any, Any],
) -> None:
    """Measure compressibility, expansion and heat capacity, as the ensemble allows."""
    from ..analysis import compressibility, heat_capacity, thermal_expansion

    volumes, energies, mass = series
    ensemble = settings.ensemble or run.ensemble
    constant_pressure = ensemble.startswith("npt")
    sampled = _sampled(source, run) if constant_pressure or ensemble == "nvt" else None
    if constant_pressure and volumes is not None:
        temperature = source.temperature(run)
        judged.fluctuation(
            *("compressibility", "compressibility", volumes, "volume"),
            *(lambda: compressibility(volumes, temperature), "1/bar"),
            ensemble=sampled,
        )
    if energies is None or not (constant_pressure or ensemble == "nvt"):
        return
    if run.record.get("integrator") in (RPMD, QTB):
        judged.failed[f"heat capacity of {source.label(run)}"] = (
            "expected classical nuclei, of whose energy fluctuations tell it, found "
            f"integrator {run.record['integrator']!r}; take the difference of mean "
            "energies at two temperatures"
        )
        return
    temperature, heat, of = source.temperature(run), energies, "energy"
    if constant_pressure:
        heat, of = energies + _work(settings, run) * volumes, "enthalpy"
        judged.fluctuation(
            *("thermal_expansion", "thermal expansion", volumes, "volume"),
            *(lambda: thermal_expansion(volumes, heat, temperature), "1/K"),
            ensemble=sampled,
        )
    unit = "J/(K mol)" if mass is None else "J/(K g)"
    name = "heat capacity, " + ("C_P" if constant_pressure else "C_V")
    judged.fluctuation(
        *("heat_capacity", name, heat, of),
        *(lambda: heat_capacity(heat, temperature, mass=mass), unit),
        ensemble=sampled,
        least=0.0 if sampled is None else _ideal_part(sampled, mass),
    )


def _sampled(source: Source, run: Run) -> _Ensemble | None:
    """How far a run sampled the canonical ensemble; None where nothing tells it."""
    from ..analysis import check_temperature

    target = source.target(run)
    if target is None or run.energies is None:
        return None
    if run.record.get("integrator") in (RPMD, QTB):
        return None
    table = source.energies(run)
    if not {"temperature", "kinetic"} <= table.keys() or len(table["time"]) < 10:
        return None
    if not np.isfinite(table["temperature"]).all():
        return None
    freedom = run.record.get("degrees_of_freedom") or degrees_of_freedom(table)
    check = check_temperature(table["time"], table["temperature"], target, freedom)
    return _Ensemble(check.variance_ratio, freedom)


def _ideal_part(ensemble: _Ensemble, mass: float | None) -> float:
    """Heat capacity of the kinetic energy alone, in J/(mol K), or J/(K g) of a mass."""
    from scipy.constants import gas_constant

    return 0.5 * ensemble.freedom * gas_constant / (1.0 if mass is None else mass)


def _dielectric(
    judged: _Judged, source: Source, run: Run, settings: ThermodynamicsSettings
) -> None:
    """Measure the dielectric constant from the fluctuation of the dipole."""
    from ..analysis.statistics import independent_values
    from ..analysis.thermodynamics import dielectric_of, dipole_moments

    frames = source.frames([run])
    charges = read_charges(settings.charges, frames.topology).of_atoms
    temperature = source.temperature(run)
    dipoles = dipole_moments(frames.load(), charges)
    slowest = min(dipoles.values.T, key=independent_values)
    judged.fluctuation(
        *("dielectric_constant", "dielectric constant", slowest, "dipole moment"),
        lambda: dielectric_of(dipoles, temperature, n_blocks=settings.blocks),
        "",
    )


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
    from ..analysis.frames import cell_volumes

    times, volumes = [], []
    frames = source.frames([run])
    frames.check_times()
    for chunk in frames:
        times.append(np.asarray(chunk.time, dtype=float))
        if chunk.unitcell_lengths is not None:
            volumes.append(cell_volumes(chunk))
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
