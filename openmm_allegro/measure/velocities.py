# SPDX-License-Identifier: MIT
"""Quantities of velocities: autocorrelation, density of states, Green-Kubo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..analysis.defaults import LONG_BLOCKS
from ..runs.frames import read_topology
from ..runs.run import Run
from ..runs.selections import elements
from ..runs.source import Source
from ..runs.species import find_kinds
from ..utils.settings import setting
from .judgement import judge_decay, judge_integral, judge_resolution, judge_size
from .kinetic import UNITS, Kinetic, compare_temperatures, with_temperature
from .measurement import Measurement, Part, Row, highest, measure_items
from .quantity import Quantity, Settings, blocks_setting, max_lag_setting
from .spectra import (
    HIGHEST_WAVENUMBER,
    choose_resolution,
    highest_wavenumber,
    max_wavenumber_setting,
    resolution_setting,
)

_WINDOW = ("start", "stop", "time_step", "drop_repeated")
# Longest lag in ps: the cage and the vibrations, and little noise.
_LAG = 2.0


def cutoff_setting() -> Any:
    """Declare the end of a Green-Kubo integral."""
    return setting(
        None,
        about="End of the integral, ps (default: where the function is noise)",
        above=0,
        unit="ps",
        metavar="PS",
    )


@dataclass(frozen=True)
class VelocitySettings(Settings):
    """Settings of all quantities of velocities."""

    keep_drift: bool = setting(
        False, about="Do not subtract the velocity of the centre of mass of all atoms"
    )
    blocks: int = blocks_setting()


@dataclass(frozen=True)
class VacfSettings(VelocitySettings):
    """Settings of velocity autocorrelation functions."""

    max_lag: float | None = max_lag_setting("2 ps, or nearly a block")


@dataclass(frozen=True)
class GreenKuboSettings(VacfSettings):
    """Settings of self-diffusion by Green and Kubo."""

    cutoff: float | None = cutoff_setting()


@dataclass(frozen=True)
class DensityOfStatesSettings(VelocitySettings):
    """Settings of the vibrational density of states."""

    resolution: float | None = resolution_setting()
    max_wavenumber: float | None = max_wavenumber_setting()
    blocks: int = blocks_setting(LONG_BLOCKS)


def measure_vacf(
    source: Source, subjects: Mapping[str, Any] | None, settings: VacfSettings
) -> Measurement:
    """Measure velocity autocorrelation functions, by default of each element.

    Results by item: fields of a Correlation, and those of `with_temperature`.
    """
    from ..analysis import plot_vacf, velocity_autocorrelation

    def measure(label, velocities):
        function = velocity_autocorrelation(
            velocities.values,
            velocities.time_step,
            max_lag=longest_lag(velocities, settings),
            n_blocks=settings.blocks,
        )
        start = float(function.values[0]), float(function.error[0])
        rows = [Row(label, "C(0)", *start, "nm²/ps²")]
        crossed = np.flatnonzero(function.values < 0)
        if len(crossed):
            first = float(function.lag_times[crossed[0]])
            rows.append(Row(label, "first negative at", first, None, "ps"))
        return Part(function, rows, warnings=judge_decay(label, function))

    return _of_velocities(
        source,
        _in_each_run(source, subjects, elements),
        measure,
        plot_vacf,
        settings,
        units={"lag_times": "ps", "values": "nm²/ps²", "error": "nm²/ps²"},
        columns={
            "lag time (ps)": "lag_times",
            "C (nm²/ps²)": "values",
            "error": "error",
        },
    )


def measure_density_of_states(
    source: Source,
    subjects: Mapping[str, Any] | None,
    settings: DensityOfStatesSettings,
) -> Measurement:
    """Measure the vibrational density of states, by default of each element.

    Results by item: fields of a Spectrum, and those of `with_temperature`.
    """
    from ..analysis import density_of_states, plot_density_of_states

    ends = [HIGHEST_WAVENUMBER]

    def measure(label, velocities):
        resolution, notes = choose_resolution(
            *(len(velocities.values), velocities.time_step),
            *(settings.resolution, settings.blocks, "frames with velocities"),
        )
        ends.append(highest_wavenumber(velocities.time_step))
        spectrum = density_of_states(
            velocities.values,
            velocities.masses,
            velocities.time_step,
            resolution=resolution,
            n_blocks=settings.blocks,
        )
        _, wavenumber, density, error = spectrum
        unit = "1/THz per atom"
        at_rest = float(density[0]), float(error[0])
        rows = [
            *highest(label, "highest", wavenumber, density, error, unit, "1/cm"),
            Row(label, "at zero frequency", *at_rest, unit),
        ]
        warnings = judge_resolution(resolution, settings.resolution)
        return Part(spectrum, rows, notes=notes, warnings=warnings)

    def plot(spectra, path):
        end = settings.max_wavenumber or min(ends)
        return plot_density_of_states(spectra, path, max_wavenumber=end)

    return _of_velocities(
        source,
        _in_each_run(source, subjects, elements),
        measure,
        plot,
        settings,
        units={
            "frequency": "THz",
            "wavenumber": "1/cm",
            "density": "1/THz per atom",
            "error": "1/THz per atom",
        },
        columns={
            "frequency (THz)": "frequency",
            "wavenumber (1/cm)": "wavenumber",
            "density (1/THz per atom)": "density",
            "error": "error",
        },
    )


def measure_green_kubo(
    source: Source, subjects: Mapping[str, Any] | None, settings: GreenKuboSettings
) -> Measurement:
    """Measure self-diffusion coefficients from velocities.

    By default of the centre of each kind of molecule and ion. Results by item: fields
    of a GreenKubo, and those of `with_temperature`.
    """
    from ..analysis import green_kubo_diffusion, plot_green_kubo

    def measure(label, velocities):
        integral = green_kubo_diffusion(
            velocities.values,
            velocities.time_step,
            max_lag=longest_lag(velocities, settings),
            cutoff=settings.cutoff,
            n_blocks=settings.blocks,
        )
        rows = [
            Row(label, "D", *integral.coefficient, "cm²/s"),
            Row(label, "integrated to", integral.cutoff, None, "ps"),
        ]
        warnings = judge_integral(label, "D", integral)
        warnings = warnings or judge_size(f"D of {label}", *integral.coefficient)
        return Part(integral, rows, warnings=warnings)

    def plot(integrals, path):
        label = "$D(t)$ (10$^{-5}$ cm²/s)"
        return plot_green_kubo(integrals, path, ylabel=label, scale=1e5)

    return _of_velocities(
        source,
        _in_each_run(source, subjects, _centers),
        measure,
        plot,
        settings,
        units=green_kubo_units("cm²/s"),
        columns={
            "upper limit (ps)": "lag_times",
            "integral (cm²/s)": "running",
            "error (cm²/s)": "running_error",
        },
    )


VACF = Quantity(
    "vacf",
    measure_vacf,
    VacfSettings,
    "velocity autocorrelation functions and kinetic temperatures, from PREFIX.h5; of "
    "each element where none is named",
    window=_WINDOW,
    section="vibrations",
)
DENSITY_OF_STATES = Quantity(
    "density-of-states",
    measure_density_of_states,
    DensityOfStatesSettings,
    "vibrational density of states, from PREFIX.h5; of each element where none is "
    "named",
    window=_WINDOW,
    section="vibrations",
)
GREEN_KUBO = Quantity(
    "green-kubo",
    measure_green_kubo,
    GreenKuboSettings,
    "self-diffusion coefficient from the velocities in PREFIX.h5, cm²/s; of the centre "
    "of each kind of molecule and ion where none is named",
    window=_WINDOW,
)


def green_kubo_units(unit: str) -> dict[str, str]:
    """Name the units of a GreenKubo."""
    return {
        "coefficient": unit,
        "lag_times": "ps",
        "running": unit,
        "running_error": unit,
        "cutoff": "ps",
    }


def longest_lag(velocities: Any, settings: Any) -> float:
    """Choose the longest lag in ps: as asked, or less than a block."""
    if settings.max_lag is not None:
        return settings.max_lag
    block = len(velocities.values) // settings.blocks
    if block < 3:
        raise ValueError(
            f"expected at least {3 * settings.blocks} frames with velocities for "
            f"errors from {settings.blocks} blocks, found {len(velocities.values)}; "
            "give a longer run, or fewer --blocks"
        )
    return min(_LAG, (block - 1) * velocities.time_step)


def _of_velocities(
    source: Source,
    items: Mapping[str, tuple[Run, Any]],
    measure: Callable[[str, Any], Part],
    plot: Callable[[Mapping[str, Any], Any], Any],
    settings: Any,
    *,
    units: Mapping[str, str],
    columns: Mapping[str, str],
) -> Measurement:
    """Measure velocities of each item, and with them their kinetic temperatures."""
    known: dict[str, Kinetic] = {}

    def with_its_temperature(label: str, item: tuple[Run, Any]) -> Part:
        drift = settings.keep_drift
        velocities = source.velocities(*item, None if drift else "all")
        part = measure(label, velocities)
        return with_temperature(part, label, velocities, item[0], drift, known)

    measured = measure_items(
        items,
        with_its_temperature,
        plot,
        settings,
        units={**units, **UNITS},
        columns=columns,
    )
    return compare_temperatures(measured, known)


def _in_each_run(
    source: Source,
    subjects: Mapping[str, Any] | None,
    default: Callable[[Any], Mapping[str, Any]],
) -> dict[str, tuple[Run, Any]]:
    """List each selection in each run; by default those of its topology."""
    items = {}
    for run in source.runs:
        chosen = subjects
        if not chosen and run.velocities:
            # The topology that counts is that in the file of the velocities.
            own = replace(run, topology=None, trajectory=run.velocities)
            chosen = default(read_topology(own))
        for name, selection in (chosen or {"all": "all"}).items():
            label = f"{name} ({run.name})" if len(source.runs) > 1 else name
            items[label] = run, selection
    return items


def _centers(topology: Any) -> dict[str, np.ndarray]:
    return {kind.label: kind.centers for kind in find_kinds(topology)}
