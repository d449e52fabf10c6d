# SPDX-License-Identifier: MIT
"""Displacements of atoms: van Hove functions and the non-Gaussian parameter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..runs.selections import pairs, selections
from ..runs.source import Source
from ..utils.settings import setting
from .measurement import Measurement, Row
from .quantity import (
    Quantity,
    Settings,
    bin_width_setting,
    blocks_setting,
    max_lag_setting,
)
from .subjects import default_species


@dataclass(frozen=True)
class VanHoveSettings(Settings):
    """Settings of van Hove functions."""

    times: tuple[float, ...] = setting(
        about="Lag times, ps: 1,5,20", above=0, metavar="PS"
    )
    distinct: bool = setting(False, about="The distinct part, of pairs A-B")
    r_max: float | None = setting(
        None,
        about="Longest distance, nm (default: 0.5, or L/2 of the distinct part)",
        above=0,
        metavar="NM",
    )
    bin_width: float = bin_width_setting(0.01)
    origins: int = setting(
        200, about="Time origins of the distinct part", minimum=1, metavar="N"
    )
    blocks: int = blocks_setting()


@dataclass(frozen=True)
class NonGaussianSettings(Settings):
    """Settings of the non-Gaussian parameter."""

    max_lag: float | None = max_lag_setting()
    blocks: int = blocks_setting()


def measure_van_hove(
    source: Source, subjects: list[str] | None, settings: VanHoveSettings
) -> Measurement:
    """Measure the self part of the van Hove function, or its distinct part.

    Parameters
    ----------
    source : Source
    subjects : list of str, optional
        Words for selections, or for pairs of the distinct part. Default: the centre of
        each kind of molecule and ion.
    settings : VanHoveSettings

    Returns
    -------
    Measurement
        Results by item: a VanHove.
    """
    from ..analysis import plot_van_hove

    results, rows, unit = {}, [], "" if settings.distinct else "1/nm"
    measure = _distinct if settings.distinct else _self
    for series in source.series():
        for name, curves in measure(source, series, subjects, settings).items():
            label = name + series.suffix
            results[label] = curves
            for time, values, error in zip(
                curves.lag_times, curves.values, curves.error, strict=True
            ):
                peak, after = int(np.argmax(values)), f"after {time:.4g} ps"
                highest = float(values[peak]), float(error[peak])
                at = float(curves.r[peak])
                rows += [
                    Row(label, f"highest {after}", *highest, unit),
                    Row(label, f"highest {after} at", at, None, "nm"),
                ]
    shown, *others = results.values()
    return Measurement(
        rows,
        results,
        {"r": "nm", "lag_times": "ps"}
        | dict.fromkeys(("values", "error"), unit or "1"),
        {
            f"{label}, {time:.4g} ps": {"r (nm)": curves.r, "G": value, "error": error}
            for label, curves in results.items()
            for time, value, error in zip(
                curves.lag_times, curves.values, curves.error, strict=True
            )
        },
        lambda path: plot_van_hove(shown, path, distinct=settings.distinct),
        notes=["A figure is of the first item."] if others else [],
    )


def measure_non_gaussian(
    source: Source,
    subjects: Mapping[str, Any] | None = None,
    settings: NonGaussianSettings | None = None,
) -> Measurement:
    """Measure the non-Gaussian parameter of displacements.

    Parameters
    ----------
    source : Source
    subjects : mapping of str to selection, optional
        Default: the centre of each kind of molecule and ion.
    settings : NonGaussianSettings, optional

    Returns
    -------
    Measurement
        Results by item: a Correlation.
    """
    from ..analysis import follow, non_gaussian_parameter, plot_non_gaussian

    settings = settings or NonGaussianSettings()
    subjects = subjects or default_species(source)
    results, rows = {}, []
    for series in source.series():
        for name, selection in subjects.items():
            label = name + series.suffix
            paths = follow(series.frames, selection)
            curve = results[label] = non_gaussian_parameter(
                paths.positions,
                paths.time_step,
                max_lag=settings.max_lag,
                n_blocks=settings.blocks,
            )
            top = int(np.argmax(curve.values))
            highest = float(curve.values[top]), float(curve.error[top])
            rows += [
                Row(label, "highest α₂", *highest, ""),
                Row(label, "at", float(curve.lag_times[top]), None, "ps"),
            ]
    return Measurement(
        rows,
        results,
        {"lag_times": "ps", "values": "1", "error": "1"},
        {
            label: {"lag time (ps)": t, "α₂": value, "error": error}
            for label, (t, value, error) in results.items()
        },
        lambda path: plot_non_gaussian(results, path),
    )


VAN_HOVE = Quantity(
    "van-hove",
    measure_van_hove,
    VanHoveSettings,
    "van Hove functions: how far atoms have moved in a time, or with --distinct A-B, "
    "where other atoms are around the place of an atom",
    read_subjects=list,
    window=("start", "stop", "stride", "time_step", "join"),
)
NON_GAUSSIAN = Quantity(
    "non-gaussian",
    measure_non_gaussian,
    NonGaussianSettings,
    "non-Gaussian parameter of displacements, 0 for free diffusion",
    window=("start", "stop", "stride", "time_step", "join"),
)


def _self(source, series, subjects, settings):
    from ..analysis import follow, van_hove_self

    curves = {}
    chosen = selections(subjects) if subjects else default_species(source)
    for label, selection in chosen.items():
        paths = follow(series.frames, selection)
        curves[label] = van_hove_self(
            paths.positions,
            paths.time_step,
            list(settings.times),
            0.5 if settings.r_max is None else settings.r_max,
            bin_width=settings.bin_width,
            n_blocks=settings.blocks,
        )
    return curves


def _distinct(source, series, subjects, settings):
    from ..analysis import van_hove_distinct

    chosen = pairs(subjects or ())
    if not chosen:
        raise ValueError("expected pairs such as Na-O with --distinct, found none")
    # It looks at pairs of frames far from each other: they are held in memory.
    trajectory = series.frames.load()
    r_max = settings.r_max or series.frames.largest_radius()
    return {
        label: van_hove_distinct(
            trajectory,
            *pair,
            list(settings.times),
            r_max=r_max,
            bin_width=settings.bin_width,
            n_origins=settings.origins,
            n_blocks=settings.blocks,
        )
        for label, pair in chosen.items()
    }
