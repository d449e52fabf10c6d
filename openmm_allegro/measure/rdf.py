# SPDX-License-Identifier: MIT
"""``analyze rdf``: g(r), coordination numbers, potentials of mean force; shells."""

from typing import Any

import numpy as np

from ..runs.frames import Frames
from ..runs.selections import groups
from .output import Outcome, Row
from .request import Request, add_blocks, add_frames, add_temperature, numbers


def add_quantities(add: Any) -> None:
    """Add the parser of g(r)."""
    parser = add(
        "rdf",
        _rdf,
        selections="[A-B ...]",
        help="g(r), coordination numbers, potentials of mean force; all pairs of "
        "elements and the total where none is named",
    )
    parser.add_argument("--r-max", type=float, metavar="NM", help="nm (default: L/2)")
    add_bin_width(parser, 0.005)
    add_shell(parser)
    parser.add_argument(
        "--potential",
        action="store_true",
        help="the potential of mean force too, kJ/mol; --plot and --csv are then of it",
    )
    add_temperature(parser)
    add_frames(parser)
    add_blocks(parser)


def add_bin_width(parser: Any, default: float) -> None:
    """Width of the bins of distances."""
    parser.add_argument(
        "--bin-width",
        type=float,
        default=default,
        metavar="NM",
        help=f"nm (default {default})",
    )


def add_shell(parser: Any) -> None:
    """Radii of shells, one or one for each pair."""
    parser.add_argument(
        "--shell",
        type=numbers,
        metavar="NM",
        help="radius of the shell, nm, or one for each pair: 0.36,0.32 (default: first "
        "minimum of g(r))",
    )


def shells(
    request: Request, frames: Frames, pairs: dict[str, tuple[str, ...]]
) -> dict[str, float]:
    """Radius of the shell of each pair in nm: as asked, or the minimum of g(r)."""
    from ..analysis.structure.coordination import coordination_of
    from ..analysis.structure.rdf import histograms

    asked = request.options.shell
    if asked is None:
        found = histograms(frames, list(pairs.values()), frames.largest_radius())
        return {
            label: coordination_of(of_pair).r_max
            for label, of_pair in zip(pairs, found, strict=True)
        }
    return one_each(asked, pairs, "--shell")


def one_each(
    radii: list[float], pairs: dict[str, Any], option: str
) -> dict[str, float]:
    """The one radius that an option gave for all pairs, or that of each."""
    if len(radii) not in (1, len(pairs)):
        raise ValueError(
            f"expected one {option}, or {len(pairs)} for {', '.join(pairs)}, found "
            f"{len(radii)}"
        )
    return dict(zip(pairs, radii * (len(pairs) // len(radii)), strict=True))


def _rdf(request: Request) -> Outcome:
    from ..analysis import (
        element_pairs,
        plot_potential,
        plot_rdf,
        potential_of_mean_force,
    )
    from ..analysis.structure.rdf import RDF, distribution_of, histograms

    options, frames = request.options, request.frames()
    pairs = groups(request.selections) or element_pairs(frames)
    temperature = request.temperature() if options.potential else None
    r_max = options.r_max or frames.largest_radius()
    found = histograms(frames, list(pairs.values()), r_max, options.bin_width)
    curves = {}
    for label, of_pair in zip(pairs, found, strict=True):
        blocks = request.blocks(len(of_pair.counts))
        if blocks > 1:
            curves[label] = distribution_of(of_pair, blocks)
        else:  # a single frame has no errors
            centers = 0.5 * (of_pair.edges[1:] + of_pair.edges[:-1])
            g = of_pair.counts.sum(axis=0) / of_pair.ideal.sum(axis=0)
            curves[label] = RDF(centers, g)
    numbers, notes = _coordination(request, frames, pairs, found)
    rows = []
    for label, shell in numbers.items():
        rows += [
            Row(label, "first peak", shell.r_peak, None, "nm"),
            Row(label, "g at the peak", shell.g_peak, None, ""),
            Row(label, "coordination number", shell.number, shell.number_error, ""),
            Row(label, "within", shell.r_max, None, "nm"),
        ]
    results = {
        label: {
            "distribution": curve,
            "coordination": numbers.get(label),
        }
        for label, curve in curves.items()
    }
    units = dict.fromkeys(("r", "r_max", "r_peak"), "nm")
    units |= dict.fromkeys(("g", "g_error", "g_peak", "number", "number_error"), "1")
    if not options.potential:
        named = dict(r="r (nm)", g="g", g_error="g_error", number="number")
        named["number_error"] = "number_error"
        columns = {
            label: {named[k]: v for k, v in curve._asdict().items()}
            for label, curve in curves.items()
        }
        return Outcome(
            rows,
            results,
            units,
            columns,
            lambda path: plot_rdf(curves, path, coordination=numbers),
            tuple(notes),
        )
    if any(len(curve) == 2 for curve in curves.values()):
        raise ValueError("expected at least 2 frames with --potential, found 1")
    work = {
        label: potential_of_mean_force(curve, temperature)
        for label, curve in curves.items()
    }
    for label, of_pair in work.items():
        results[label]["potential_of_mean_force"] = of_pair
        deepest = int(np.argmin(of_pair.potential))
        depth = float(of_pair.potential[deepest]), float(of_pair.error[deepest])
        rows += [
            Row(label, "deepest potential of mean force", *depth, "kJ/mol"),
            Row(label, "at", float(of_pair.r[deepest]), None, "nm"),
        ]
    columns = {
        label: {
            "r (nm)": w.r,
            "potential (kJ/mol)": w.potential,
            "error (kJ/mol)": w.error,
        }
        for label, w in work.items()
    }
    units |= {"potential": "kJ/mol", "error": "kJ/mol"}
    return Outcome(
        rows,
        results,
        units,
        columns,
        lambda path: plot_potential(work, path),
        tuple(notes),
    )


def _coordination(request, frames, pairs, found):
    """Coordination of each pair that has a shell, and notes of those without."""
    from ..analysis.structure import coordination
    from ..analysis.structure.rdf import histograms

    pairs = {label: pair for label, pair in pairs.items() if label != "total"}
    asked = request.options.shell is not None
    if asked:
        radii = shells(request, frames, pairs)
        found = [
            histograms(frames, [pair], radii[label], request.options.bin_width)[0]
            for label, pair in pairs.items()
        ]
    numbers, notes = {}, []
    for label, of_pair in zip(pairs, found, strict=False):
        try:
            numbers[label] = coordination.coordination_of(
                of_pair, first_shell=not asked, n_blocks=request.options.blocks
            )
        except ValueError as error:  # the curve is worth having without it
            notes.append(f"{label}: no coordination number, {error}")
            continue
        if not asked and numbers[label].holds_more:
            notes.append(
                f"{label}: the minimum found, {numbers[label].r_max:.3g} nm, is far "
                "from the peak: second neighbours are counted too. Give --shell."
            )
    return numbers, notes
