# SPDX-License-Identifier: MIT
"""Quantities of velocities: autocorrelation, density of states, Green-Kubo."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..runs.frames import read_topology
from ..runs.selections import elements
from ..runs.source import Source
from ..runs.species import find_kinds
from ..utils.settings import setting
from .measurement import Measurement, Row
from .quantity import Quantity, Settings, blocks_setting, max_lag_setting

_WINDOW = ("start", "stop", "time_step")
# Longest lag in ps: the cage and the vibrations, and little noise.
_LAG = 2.0
# Finest default of a line in THz, and the end of the figure in 1/cm: above bonds of
# hydrogen.
_FINEST, _HIGHEST = 1.0, 4500.0


def keep_drift_setting() -> Any:
    """Declare the option to keep the motion of the centre of mass."""
    return setting(
        False, about="Do not subtract the velocity of the centre of mass of all atoms"
    )


def cutoff_setting() -> Any:
    """Declare the end of a Green-Kubo integral."""
    return setting(
        None,
        about="End of the integral, ps (default: where the function is noise)",
        above=0,
        metavar="PS",
    )


@dataclass(frozen=True)
class VacfSettings(Settings):
    """Settings of velocity autocorrelation functions."""

    max_lag: float | None = max_lag_setting("2 ps, or nearly a block")
    keep_drift: bool = keep_drift_setting()
    blocks: int = blocks_setting()


@dataclass(frozen=True)
class GreenKuboSettings(Settings):
    """Settings of self-diffusion by Green and Kubo."""

    max_lag: float | None = max_lag_setting("2 ps, or nearly a block")
    cutoff: float | None = cutoff_setting()
    keep_drift: bool = keep_drift_setting()
    blocks: int = blocks_setting()


@dataclass(frozen=True)
class DensityOfStatesSettings(Settings):
    """Settings of the vibrational density of states."""

    resolution: float | None = setting(
        None,
        about="Width of a line, THz; 1 THz is 33.4 1/cm (default: 1, or what a block "
        "of a shorter run allows)",
        above=0,
        metavar="THZ",
    )
    max_wavenumber: float | None = setting(
        None,
        about="End of the figure, 1/cm (default: what the frames show, 4500 at most)",
        above=0,
        metavar="W",
    )
    keep_drift: bool = keep_drift_setting()
    blocks: int = blocks_setting(5)


def measure_vacf(
    source: Source,
    subjects: Mapping[str, Any] | None = None,
    settings: VacfSettings | None = None,
) -> Measurement:
    """Measure velocity autocorrelation functions.

    Parameters
    ----------
    source : Source
    subjects : mapping of str to selection, optional
        Default: each element.
    settings : VacfSettings, optional

    Returns
    -------
    Measurement
        Results by item: a Correlation.
    """
    from ..analysis import plot_vacf, velocity_autocorrelation

    settings, results, rows = settings or VacfSettings(), {}, []
    for label, some in _each(source, subjects, settings, elements):
        function = results[label] = velocity_autocorrelation(
            some.values,
            some.time_step,
            max_lag=longest_lag(some, settings),
            n_blocks=settings.blocks,
        )
        start = float(function.values[0]), float(function.error[0])
        rows.append(Row(label, "C(0)", *start, "nm²/ps²"))
        crossed = np.flatnonzero(function.values < 0)
        if len(crossed):
            first = float(function.lag_times[crossed[0]])
            rows.append(Row(label, "first negative at", first, None, "ps"))
    return Measurement(
        rows,
        results,
        {"lag_times": "ps", "values": "nm²/ps²", "error": "nm²/ps²"},
        {
            label: {"lag time (ps)": t, "C (nm²/ps²)": value, "error": error}
            for label, (t, value, error) in results.items()
        },
        lambda path: plot_vacf(results, path),
    )


def measure_density_of_states(
    source: Source,
    subjects: Mapping[str, Any] | None = None,
    settings: DensityOfStatesSettings | None = None,
) -> Measurement:
    """Measure the vibrational density of states.

    Parameters
    ----------
    source : Source
    subjects : mapping of str to selection, optional
        Default: each element.
    settings : DensityOfStatesSettings, optional

    Returns
    -------
    Measurement
        Results by item: a Spectrum.
    """
    from ..analysis import density_of_states, plot_density_of_states

    settings, results, rows = settings or DensityOfStatesSettings(), {}, []
    notes, highest_shown = [], _HIGHEST
    for label, some in _each(source, subjects, settings, elements):
        resolution, of_frames = _resolution(some, settings)
        highest_shown = min(highest_shown, 1e3 / (2 * some.time_step) / 29.9792458)
        notes += [note for note in of_frames if note not in notes]
        spectrum = results[label] = density_of_states(
            some.values,
            some.masses,
            some.time_step,
            resolution=resolution,
            n_blocks=settings.blocks,
        )
        top = int(np.argmax(spectrum.density))
        highest = float(spectrum.density[top]), float(spectrum.error[top])
        at_rest = float(spectrum.density[0]), float(spectrum.error[0])
        rows += [
            Row(label, "highest", *highest, "1/THz per atom"),
            Row(label, "at", float(spectrum.wavenumber[top]), None, "1/cm"),
            Row(label, "at zero frequency", *at_rest, "1/THz per atom"),
        ]
    return Measurement(
        rows,
        results,
        {
            "frequency": "THz",
            "wavenumber": "1/cm",
            "density": "1/THz per atom",
            "error": "1/THz per atom",
        },
        {
            label: {
                "frequency (THz)": spectrum.frequency,
                "wavenumber (1/cm)": spectrum.wavenumber,
                "density (1/THz per atom)": spectrum.density,
                "error": spectrum.error,
            }
            for label, spectrum in results.items()
        },
        lambda path: plot_density_of_states(
            results, path, max_wavenumber=settings.max_wavenumber or highest_shown
        ),
        notes=notes,
    )


def measure_green_kubo(
    source: Source,
    subjects: Mapping[str, Any] | None = None,
    settings: GreenKuboSettings | None = None,
) -> Measurement:
    """Measure self-diffusion coefficients from velocities.

    Parameters
    ----------
    source : Source
    subjects : mapping of str to selection, optional
        Default: the centre of each kind of molecule and ion.
    settings : GreenKuboSettings, optional

    Returns
    -------
    Measurement
        Results by item: a GreenKubo.
    """
    from ..analysis import green_kubo_diffusion, plot_green_kubo

    settings, results, rows, notes = settings or GreenKuboSettings(), {}, [], []
    for label, some in _each(source, subjects, settings, _centers):
        integral = results[label] = green_kubo_diffusion(
            some.values,
            some.time_step,
            max_lag=longest_lag(some, settings),
            cutoff=settings.cutoff,
            n_blocks=settings.blocks,
        )
        rows += [
            Row(label, "D", *integral.coefficient, "cm²/s"),
            Row(label, "integrated to", integral.cutoff, None, "ps"),
        ]
        notes += unfinished(label, integral, settings.cutoff)
    return Measurement(
        rows,
        results,
        green_kubo_units("cm²/s"),
        {
            label: {
                "upper limit (ps)": integral.lag_times,
                "integral (cm²/s)": integral.running,
                "error (cm²/s)": integral.running_error,
            }
            for label, integral in results.items()
        },
        lambda path: plot_green_kubo(
            results, path, ylabel="$D(t)$ (10$^{-5}$ cm²/s)", scale=1e5
        ),
        notes=notes,
    )


VACF = Quantity(
    "vacf",
    measure_vacf,
    VacfSettings,
    "velocity autocorrelation functions, from PREFIX.h5; of each element where none is "
    "named",
    window=_WINDOW,
)
DENSITY_OF_STATES = Quantity(
    "density-of-states",
    measure_density_of_states,
    DensityOfStatesSettings,
    "vibrational density of states, from PREFIX.h5; of each element where none is "
    "named",
    window=_WINDOW,
)
GREEN_KUBO = Quantity(
    "green-kubo",
    measure_green_kubo,
    GreenKuboSettings,
    "self-diffusion coefficient from the velocities in PREFIX.h5, cm²/s; of the centre "
    "of each kind of molecule and ion where none is named",
    window=_WINDOW,
)


def unfinished(label: str, integral: Any, cutoff: float | None) -> list[str]:
    """Note if a GreenKubo ends at the longest lag because none was long enough."""
    if cutoff is not None or integral.cutoff < integral.lag_times[-1]:
        return []
    return [
        f"{label}: the integral may not have ended at the longest lag, "
        f"{integral.cutoff:.4g} ps; give a longer --max-lag."
    ]


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
            f"expected at least {3 * settings.blocks} frames with velocities, found "
            f"{len(velocities.values)}"
        )
    return min(_LAG, (block - 1) * velocities.time_step)


def _resolution(
    velocities: Any, settings: DensityOfStatesSettings
) -> tuple[float, list[str]]:
    """Choose the width of a line in THz, and note the limits of the frames."""
    n_frames, dt = len(velocities.values), velocities.time_step
    # Each block is a window long at least.
    finest = 1.5 * settings.blocks * 1.01 / (n_frames * dt)
    resolution = settings.resolution or max(_FINEST, finest)
    if settings.resolution is None and not 1.5 / (8 * dt) > resolution:
        raise ValueError(
            f"expected a few hundred frames with velocities, found {n_frames} every "
            f"{dt:.3g} ps"
        )
    notes = [f"Resolution {resolution:.2g} THz, {33.356 * resolution:.0f} cm⁻¹."]
    highest = 1e3 / (2 * dt) / 29.9792458
    if highest < _HIGHEST:
        notes.append(
            f"Frames every {1e3 * dt:.3g} fs show vibrations up to {highest:.0f} cm⁻¹: "
            "faster ones appear at wrong places."
        )
    return resolution, notes


def _each(source: Source, subjects, settings, default) -> Iterator[tuple[str, Any]]:
    """Give label and velocities of each selection of each run."""
    reference = None if settings.keep_drift else "all"
    for run in source.runs:
        chosen = subjects
        if not chosen and run.velocities:
            # The topology that counts is that in the file of the velocities.
            own = replace(run, topology=None, trajectory=run.velocities)
            chosen = default(read_topology(own))
        for name, selection in (chosen or {"all": "all"}).items():
            label = f"{name} ({run.name})" if len(source.runs) > 1 else name
            yield label, source.velocities(run, selection, reference)


def _centers(topology: Any) -> dict[str, np.ndarray]:
    return {kind.label: kind.centers for kind in find_kinds(topology)}
