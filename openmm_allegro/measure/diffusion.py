# SPDX-License-Identifier: MIT
"""Mean square displacements and self-diffusion, in an infinite box too."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..analysis.defaults import LONG_BLOCKS
from ..runs.frames import Frames
from ..runs.source import Source
from ..utils.config import SettingError
from ..utils.settings import setting
from .judgement import (
    check_flight,
    check_steps,
    judge_few,
    judge_motion,
    judge_size,
)
from .measurement import Measurement, Part, Row, measure_items
from .quantity import MOTION, Quantity, Settings, blocks_setting, max_lag_setting
from .subjects import default_species, in_each_series

_UNITS = {
    "coefficient": "cm²/s",
    "error": "cm²/s",
    "lag_times": "ps",
    "msd": "nm²",
    "msd_error": "nm²",
    "fit_start": "ps",
    "intercept": "nm²",
    "displacement": "nm",
    "exponent": "1",
    "particles": "1",
    "box_length": "nm",
    "correction": "cm²/s",
    "correction_times_viscosity": "cm²/s mPa s",
}


def fit_start_setting() -> Any:
    """Declare the start of the fit to a mean square displacement."""
    return setting(
        None,
        about="Lag time from which motion is diffusive, ps (default: found)",
        above=0,
        unit="ps",
        metavar="PS",
    )


@dataclass(frozen=True)
class DiffusionSettings(Settings):
    """Settings of self-diffusion."""

    max_lag: float | None = max_lag_setting("a fifth")
    fit_start: float | None = fit_start_setting()
    keep_drift: bool = setting(
        False, about="Do not subtract the motion of the centre of mass of all atoms"
    )
    viscosity: float | None = setting(
        None,
        about="Viscosity of the liquid, mPa s: for the coefficient in an infinite box "
        "(Yeh and Hummer; cubic cells)",
        above=0,
        unit="mPa s",
        metavar="MPA_S",
    )
    blocks: int = blocks_setting(LONG_BLOCKS)


def measure_diffusion(
    source: Source, subjects: Mapping[str, Any], settings: DiffusionSettings
) -> Measurement:
    """Measure self-diffusion coefficients.

    Results by item: fields of a Diffusion; ``box_length``, None unless the cell is
    cubic; ``correction_times_viscosity`` for its size, None without a temperature or a
    cubic cell; with a viscosity the ``correction`` too.
    """
    from ..analysis import diffusion, plot_msd

    def measure(label, item):
        series, selection = item
        curve = diffusion(
            series.frames,
            selection,
            remove_drift=not settings.keep_drift,
            max_lag=settings.max_lag,
            fit_start=settings.fit_start,
            n_blocks=settings.blocks,
        )
        longest = float(curve.lag_times[-1])
        check_flight(curve.regime, curve.exponent, longest, "diffusion coefficient")
        _check_steps(curve, series.frames)
        infinite, more = _infinite_box(label, curve, series, source, settings)
        rows = [
            Row(label, "D", curve.coefficient, curve.error, "cm²/s"),
            Row(label, "fitted from", curve.fit_start, None, "ps"),
            Row(label, "to", longest, None, "ps"),
            *more,
        ]
        warnings = judge_motion(
            label, "D", curve.regime, curve.displacement, curve.exponent, longest
        )
        warnings = warnings or judge_size(f"D of {label}", curve[0], curve[1])
        return Part(curve, rows, infinite, warnings=warnings)

    measurement = measure_items(
        in_each_series(source, subjects),
        measure,
        plot_msd,
        settings,
        units=_UNITS,
        columns={
            "lag time (ps)": "lag_times",
            "msd (nm²)": "msd",
            "msd_error (nm²)": "msd_error",
        },
    )
    numbers = {k: result["particles"] for k, result in measurement.results.items()}
    warnings = [*measurement.warnings, *judge_few(numbers)]
    return replace(measurement, warnings=warnings)


QUANTITY = Quantity(
    "diffusion",
    measure_diffusion,
    DiffusionSettings,
    "mean square displacement and self-diffusion coefficient, cm²/s; where none is "
    "named, of the centre of each kind of molecule and ion (of water, its O); of "
    "several runs, each and their mean",
    aliases=("msd",),
    default=default_species,
    window=MOTION,
    temperature=True,
    centers=True,
)


def _check_steps(curve, frames):
    """Refuse frames between which atoms cross much of the cell."""
    from ..analysis.frames import largest_radius

    step = float(np.sqrt(max(curve.msd[0], 0.0)))
    check_steps(step, largest_radius(frames.cell[None]), float(curve.lag_times[0]))


def _infinite_box(label, curve, series, source, settings):
    """Length of the box and its correction, and the row of the corrected D."""
    from ..analysis import yeh_hummer_correction

    length = temperature = added = None
    try:
        length = _cubic_length(series.frames)
        temperature = source.temperature(series.run)
        added = yeh_hummer_correction(length, temperature, 1.0)
    except ValueError:
        if settings.viscosity is not None:
            raise
    more = {"box_length": length, "correction_times_viscosity": added}
    if settings.viscosity is None:
        return more, []
    added = yeh_hummer_correction(length, temperature, settings.viscosity)
    value = curve.coefficient + added
    row = Row(label, "D of an infinite box", value, curve.error, "cm²/s")
    return more | {"correction": added}, [row]


def _cubic_length(frames: Frames) -> float:
    """Length in nm of a cubic cell, from its mean volume."""
    if frames.cell is None:
        raise SettingError(
            "expected a cubic cell with --viscosity, found none", "viscosity"
        )
    cell, edge = frames.cell, frames.volume ** (1 / 3)
    lengths = np.diag(cell)
    if np.ptp(lengths) > 1e-3 * edge or np.abs(cell - np.diag(lengths)).max() > 1e-4:
        raise SettingError(
            "expected a cubic cell with --viscosity, found vectors of "
            + ", ".join(f"{np.linalg.norm(vector):.4g}" for vector in cell)
            + " nm",
            "viscosity",
        )
    return float(edge)
