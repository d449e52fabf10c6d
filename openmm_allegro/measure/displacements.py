# SPDX-License-Identifier: MIT
"""Displacements of atoms: van Hove functions and the non-Gaussian parameter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..runs.selections import pairs, selections
from ..runs.source import Series, Source
from ..utils.settings import setting
from .judgement import judge_blocks
from .measurement import Measurement, Part, Row, highest, measure_items
from .quantity import (
    MOTION,
    Quantity,
    Settings,
    bin_width_setting,
    blocks_setting,
    max_lag_setting,
)
from .subjects import default_species, in_each_series, with_centers


@dataclass(frozen=True)
class VanHoveSettings(Settings):
    """Settings of van Hove functions."""

    times: tuple[float, ...] = setting(
        example="1,5,20",
        about="Lag times, ps: 1,5,20",
        above=0,
        unit="ps",
        metavar="PS",
    )
    distinct: bool = setting(False, about="The distinct part, of pairs A-B")
    r_max: float | None = setting(
        None,
        about="Longest distance, nm (default: 0.5, or L/2 of the distinct part)",
        above=0,
        unit="nm",
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
    source: Source, subjects: Sequence[str] | None, settings: VanHoveSettings
) -> Measurement:
    """Measure the self part of the van Hove function, or its distinct part.

    Subjects are words for selections, or for pairs of the distinct part; by default the
    centres of each kind of molecule and ion. Results by item: fields of a VanHove.
    """
    from ..analysis import plot_van_hove

    if settings.distinct:
        chosen, compute, unit = pairs(subjects or ()), _distinct, ""
        if not chosen:
            raise ValueError("expected pairs such as Na-O with --distinct, found none")
    else:
        chosen = selections(subjects) if subjects else default_species(source)
        compute, unit = _self, "1/nm"
    source, chosen = with_centers(source, chosen)

    curves = {}

    def measure(label, item):
        function, rows = compute(*item, settings), []
        for time, values, error in zip(
            function.lag_times, function.values, function.error, strict=True
        ):
            name = f"highest after {time:.4g} ps"
            top, at = highest(label, name, function.r, values, error, unit, "nm")
            rows += [top, at._replace(quantity=f"{name} at")]
            columns = {"r (nm)": function.r, "G": values, "error": error}
            curves[f"{label}, {time:.4g} ps"] = columns
        paths = item[0].frames
        length = paths.last_time - paths.first_time
        warnings = [
            text
            for time in function.lag_times
            for text in judge_blocks(label, "distances", time, length, settings.blocks)
        ]
        return Part(function, rows, warnings=warnings)

    def plot(functions, path):
        first = next(iter(functions.values()))
        return plot_van_hove(first, path, distinct=settings.distinct)

    measurement = measure_items(
        in_each_series(source, chosen),
        measure,
        plot,
        settings,
        units={"r": "nm", "lag_times": "ps"}
        | dict.fromkeys(("values", "error"), unit or "1"),
        columns={},
    )
    several = len(measurement.results) > 1
    notes = ["A figure is of the first item."] if several else []
    return replace(measurement, curves=curves, notes=notes)


def measure_non_gaussian(
    source: Source, subjects: Mapping[str, Any], settings: NonGaussianSettings
) -> Measurement:
    """Measure the non-Gaussian parameter; results by item: fields of a Correlation."""
    from ..analysis import follow, non_gaussian_parameter, plot_non_gaussian

    def measure(label, item):
        series, selection = item
        paths = follow(series.frames, selection)
        curve = non_gaussian_parameter(
            paths.positions,
            paths.time_step,
            max_lag=settings.max_lag,
            n_blocks=settings.blocks,
        )
        times, values, error = curve
        if not values.max() > 0:
            last = float(values[-1]), float(error[-1])
            rows = [Row(label, f"α₂ at {times[-1]:.3g} ps", *last, "")]
            notes = [f"α₂ of {label} is nowhere above 0: it has no highest value."]
            return Part(curve, rows, notes=notes)
        return Part(curve, highest(label, "highest α₂", times, values, error, "", "ps"))

    return measure_items(
        in_each_series(source, subjects),
        measure,
        plot_non_gaussian,
        settings,
        units={"lag_times": "ps", "values": "1", "error": "1"},
        columns={"lag time (ps)": "lag_times", "α₂": "values", "error": "error"},
    )


VAN_HOVE = Quantity(
    "van-hove",
    measure_van_hove,
    VanHoveSettings,
    "van Hove functions: how far atoms have moved in a time, or with --distinct A-B, "
    "where other atoms are around the place of an atom",
    read_subjects=list,
    window=MOTION,
    centers=True,
)
NON_GAUSSIAN = Quantity(
    "non-gaussian",
    measure_non_gaussian,
    NonGaussianSettings,
    "non-Gaussian parameter of displacements, 0 for free diffusion",
    default=default_species,
    window=MOTION,
    section="kinetics",
    centers=True,
)


def _self(series: Series, selection: Any, settings: VanHoveSettings) -> Any:
    from ..analysis import follow, van_hove_self

    paths = follow(series.frames, selection)
    return van_hove_self(
        paths.positions,
        paths.time_step,
        list(settings.times),
        0.5 if settings.r_max is None else settings.r_max,
        bin_width=settings.bin_width,
        n_blocks=settings.blocks,
    )


def _distinct(series: Series, pair: Sequence[Any], settings: VanHoveSettings) -> Any:
    from ..analysis import van_hove_distinct

    return van_hove_distinct(
        # It looks at pairs of frames far from each other: they are held in memory.
        series.frames.load(),
        *pair[:2],
        list(settings.times),
        r_max=settings.r_max or series.frames.largest_radius(),
        bin_width=settings.bin_width,
        n_origins=settings.origins,
        n_blocks=settings.blocks,
    )
