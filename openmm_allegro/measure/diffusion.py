# SPDX-License-Identifier: MIT
"""``analyze diffusion``: mean square displacements, in an infinite box too."""

from typing import Any

import numpy as np

from ..runs.selections import elements, selections
from .output import Outcome, Row
from .request import (
    Request,
    Series,
    add_frames,
    add_max_lag,
    add_temperature,
    over_runs,
)


def add_quantities(add: Any) -> None:
    """Add the parser of diffusion."""
    parser = add(
        "diffusion",
        _diffusion,
        aliases=["msd"],
        selections="[SELECTION ...]",
        help="mean square displacement and self-diffusion coefficient, cm²/s; of each "
        "element but hydrogen where none is named (of water, its O); of several runs, "
        "each and their mean",
    )
    add_max_lag(parser, "a fifth")
    add_fit_start(parser)
    parser.add_argument(
        "--keep-drift",
        action="store_true",
        help="do not subtract the motion of the centre of mass of all atoms",
    )
    parser.add_argument(
        "--viscosity",
        type=float,
        metavar="MPA_S",
        help="of the liquid, mPa s: for the coefficient in an infinite box (Yeh and "
        "Hummer; cubic cells)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sampling of D")
    add_temperature(parser)
    add_frames(parser, join=True)


def add_fit_start(parser: Any) -> None:
    """Where the fit to a mean square displacement begins."""
    parser.add_argument(
        "--fit-start",
        type=float,
        metavar="PS",
        help="lag time at which motion is diffusive, ps (default: found)",
    )


def chosen(request: Request, series: Series) -> dict[str, str]:
    """Selections that were asked for, or each element but hydrogen."""
    return selections(request.selections) or elements(
        series.frames.topology, hydrogen=False
    )


def _diffusion(request: Request) -> Outcome:
    from ..analysis import diffusion, plot_msd, yeh_hummer_correction

    options = request.options
    results, rows, infinite = {}, [], {}
    for series in request.series():
        for name, selection in chosen(request, series).items():
            label = name + series.suffix
            found = results[label] = diffusion(
                series.frames,
                selection,
                remove_drift=not options.keep_drift,
                max_lag=options.max_lag,
                fit_start=options.fit_start,
                seed=options.seed,
            )
            rows.append(Row(label, "D", found.coefficient, found.error, "cm²/s"))
            rows.append(Row(label, "fitted from", found.fit_start, None, "ps"))
            rows.append(Row(label, "to", float(found.lag_times[-1]), None, "ps"))
            if options.viscosity is not None:
                length = _cubic_length(series.frames)
                added = yeh_hummer_correction(
                    length, request.temperature(series.run), options.viscosity
                )
                value = found.coefficient + added
                infinite[label] = {"box_length": length, "correction": added}
                rows.append(
                    Row(label, "D of an infinite box", value, found.error, "cm²/s")
                )
    return Outcome(
        over_runs(rows, request),
        {
            label: found._asdict() | infinite.get(label, {})
            for label, found in results.items()
        },
        {
            "coefficient": "cm²/s",
            "error": "cm²/s",
            "lag_times": "ps",
            "msd": "nm²",
            "msd_error": "nm²",
            "fit_start": "ps",
            "intercept": "nm²",
            "box_length": "nm",
            "correction": "cm²/s",
        },
        {
            label: {
                "lag time (ps)": found.lag_times,
                "msd (nm²)": found.msd,
                "msd_error (nm²)": found.msd_error,
            }
            for label, found in results.items()
        },
        lambda path: plot_msd(results, path),
    )


def _cubic_length(frames) -> float:
    """Length in nm of a cubic cell, from its mean volume."""
    cell, edge = frames.cell, frames.volume ** (1 / 3)
    lengths = np.diag(cell)
    if np.ptp(lengths) > 1e-3 * edge or np.abs(cell - np.diag(lengths)).max() > 1e-4:
        raise ValueError(
            "expected a cubic cell with --viscosity, found vectors of "
            + ", ".join(f"{np.linalg.norm(vector):.4g}" for vector in cell)
            + " nm"
        )
    return float(edge)
