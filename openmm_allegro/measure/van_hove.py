# SPDX-License-Identifier: MIT
"""``analyze`` of where atoms are after a time: van Hove, non-Gaussian parameter."""

from typing import Any

import numpy as np

from ..runs.selections import groups
from .diffusion import chosen
from .output import Outcome, Row
from .rdf import add_bin_width
from .request import (
    Request,
    add_blocks,
    add_frames,
    add_max_lag,
    numbers,
    over_runs,
    positive,
)


def add_quantities(add: Any) -> None:
    """Add the parsers of this module's quantities."""
    van_hove = add(
        "van-hove",
        _van_hove,
        selections="[SELECTION ...]",
        help="van Hove functions: how far atoms have moved in a time, or with "
        "--distinct A-B, where other atoms are around the place of an atom",
    )
    van_hove.add_argument(
        "--distinct", action="store_true", help="the distinct part, of pairs A-B"
    )
    van_hove.add_argument(
        "--times",
        type=numbers,
        required=True,
        metavar="PS",
        help="lag times, ps: 1,5,20",
    )
    van_hove.add_argument(
        "--r-max",
        type=float,
        metavar="NM",
        help="nm (default: 0.5, or L/2 of the distinct part)",
    )
    add_bin_width(van_hove, 0.01)
    van_hove.add_argument(
        "--origins",
        type=positive,
        default=200,
        metavar="N",
        help="time origins of the distinct part (default 200)",
    )
    add_frames(van_hove, join=True)
    add_blocks(van_hove)

    non_gaussian = add(
        "non-gaussian",
        _non_gaussian,
        selections="[SELECTION ...]",
        help="non-Gaussian parameter of displacements, 0 for free diffusion",
    )
    add_max_lag(non_gaussian)
    add_frames(non_gaussian, join=True)
    add_blocks(non_gaussian)


def _van_hove(request: Request) -> Outcome:
    from ..analysis import plot_van_hove

    options = request.options
    results, rows = {}, []
    for series in request.series():
        of_series = _distinct(request, series) if options.distinct else None
        for label, found in (of_series or _self(request, series)).items():
            results[label + series.suffix] = found
            for time, values, error in zip(
                found.lag_times, found.values, found.error, strict=True
            ):
                peak = int(np.argmax(values))
                after = f"after {time:.4g} ps"
                unit = "" if options.distinct else "1/nm"
                rows += [
                    Row(
                        label + series.suffix,
                        f"highest {after}",
                        float(values[peak]),
                        float(error[peak]),
                        unit,
                    ),
                    Row(
                        label + series.suffix,
                        f"highest {after} at",
                        float(found.r[peak]),
                        None,
                        "nm",
                    ),
                ]
    shown, *others = results.values()
    notes = ("The figure is of the first item.",) if options.plot and others else ()
    unit = "1" if options.distinct else "1/nm"
    return Outcome(
        rows,
        results,
        {"r": "nm", "lag_times": "ps", "values": unit, "error": unit},
        {
            f"{label}, {time:.4g} ps": {"r (nm)": found.r, "G": value, "error": error}
            for label, found in results.items()
            for time, value, error in zip(
                found.lag_times, found.values, found.error, strict=True
            )
        },
        lambda path: plot_van_hove(shown, path, distinct=options.distinct),
        notes,
    )


def _self(request, series):
    from ..analysis import follow, van_hove_self

    options = request.options
    found = {}
    for label, selection in chosen(request, series).items():
        paths = follow(series.frames, selection)
        found[label] = van_hove_self(
            paths.positions,
            paths.time_step,
            options.times,
            0.5 if options.r_max is None else options.r_max,
            bin_width=options.bin_width,
            n_blocks=options.blocks,
        )
    return found


def _distinct(request, series):
    from ..analysis import van_hove_distinct

    options = request.options
    pairs = groups(request.selections)
    if not pairs:
        raise ValueError("expected pairs such as Na-O with --distinct, found none")
    # It looks at pairs of frames far from each other: they are held in memory.
    trajectory = series.frames.load()
    r_max = options.r_max or series.frames.largest_radius()
    return {
        label: van_hove_distinct(
            trajectory,
            *pair,
            options.times,
            r_max=r_max,
            bin_width=options.bin_width,
            n_origins=options.origins,
            n_blocks=options.blocks,
        )
        for label, pair in pairs.items()
    }


def _non_gaussian(request: Request) -> Outcome:
    from ..analysis import follow, non_gaussian_parameter, plot_non_gaussian

    options = request.options
    results, rows = {}, []
    for series in request.series():
        for name, selection in chosen(request, series).items():
            paths = follow(series.frames, selection)
            found = results[name + series.suffix] = non_gaussian_parameter(
                paths.positions,
                paths.time_step,
                max_lag=options.max_lag,
                n_blocks=options.blocks,
            )
            top = int(np.argmax(found.values))
            highest = float(found.values[top]), float(found.error[top])
            rows += [
                Row(name + series.suffix, "highest α₂", *highest, ""),
                Row(
                    name + series.suffix, "at", float(found.lag_times[top]), None, "ps"
                ),
            ]
    return Outcome(
        over_runs(rows, request),
        results,
        {"lag_times": "ps", "values": "1", "error": "1"},
        {
            label: {"lag time (ps)": t, "α₂": value, "error": error}
            for label, (t, value, error) in results.items()
        },
        lambda path: plot_non_gaussian(results, path),
    )
