# SPDX-License-Identifier: MIT
"""``analyze`` of who is beside whom, for how long: survival, speciation, clusters."""

from typing import Any

import numpy as np

from ..runs.selections import groups
from .output import Outcome, Row
from .rdf import add_shell, one_each, shells
from .request import Request, add_blocks, add_frames, add_max_lag, numbers, over_runs

# Part of the contacts that may outlast the integral of a residence time.
_REMAINING = 0.05


def add_quantities(add: Any) -> None:
    """Add the parsers of this module's quantities."""
    survival = add(
        "survival",
        _survival,
        aliases=["residence"],
        selections="A-B [A-B ...]",
        help="how long pairs stay together: lifetimes, residence times, continuous and "
        "intermittent survival functions",
    )
    add_shell(survival)
    survival.add_argument(
        "--outer",
        type=numbers,
        metavar="NM",
        help="radius beyond which a contact breaks, nm, or one for each pair: past the "
        "first minimum of g(r), with --shell at its first maximum (default: --shell)",
    )
    survival.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="PS",
        help="absences that do not break a contact, ps (default 0)",
    )
    add_max_lag(survival)
    add_frames(survival, join=True)
    add_blocks(survival)

    speciation = add(
        "speciation",
        _speciation,
        selections="A-B [A-C ...]",
        curves=False,
        help="how often a centre A has how many neighbours of each kind",
    )
    add_shell(speciation)
    add_frames(speciation)
    add_blocks(speciation)

    clusters = add(
        "clusters",
        _clusters,
        selections="A-B",
        help="sizes of clusters that contacts of a and b, as Na-Cl, hold together",
    )
    add_shell(clusters)
    add_frames(clusters)
    add_blocks(clusters)


def _survival(request: Request) -> Outcome:
    from ..analysis import contacts, plot_survival, survival

    options, pairs = request.options, _pairs(request)
    results, rows, notes = {}, [], []
    for series in request.series():
        inner = shells(request, series.frames, pairs)
        outer = inner
        if options.outer is not None:
            outer = one_each(options.outer, pairs, "--outer")
        for name, pair in pairs.items():
            label = name + series.suffix
            found = contacts(
                series.frames,
                *pair,
                inner[name],
                r_out=outer[name],
                tolerance=options.tolerance,
            )
            lasting = results[label] = survival(
                found, max_lag=options.max_lag, n_blocks=options.blocks
            )
            rows += [
                Row(label, "lifetime", *lasting.lifetime, "ps"),
                Row(label, "residence time", *lasting.residence_time, "ps"),
                Row(label, "breaks", lasting.n_breaks, None, ""),
                Row(label, "formed within", inner[name], None, "nm"),
                Row(label, "broken beyond", outer[name], None, "nm"),
            ]
            if lasting.remaining > _REMAINING:
                notes.append(
                    f"{label}: the residence time is a lower bound; "
                    f"{lasting.remaining:.0%} of the contacts outlast its integral. "
                    "Give a longer --max-lag."
                )
    return Outcome(
        over_runs(rows, request),
        results,
        {
            "lifetime": "ps",
            "residence_time": "ps",
            "lag_times": "ps",
            "continuous": "1",
            "continuous_error": "1",
            "intermittent": "1",
            "intermittent_error": "1",
            "random": "1",
            "remaining": "1",
        },
        {
            label: {
                "lag time (ps)": found.lag_times,
                "continuous": found.continuous,
                "continuous_error": found.continuous_error,
                "intermittent": found.intermittent,
                "intermittent_error": found.intermittent_error,
            }
            for label, found in results.items()
        },
        lambda path: plot_survival(results, path),
        tuple(notes),
    )


def _speciation(request: Request) -> Outcome:
    from ..analysis import plot_speciation, speciation

    pairs, frames = _pairs(request), request.frames()
    centers = {pair[0] for pair in pairs.values()}
    if len(centers) > 1:
        raise ValueError(
            "expected pairs of one centre, such as Na-O Na-Cl, found "
            + " ".join(request.selections)
        )
    radii = shells(request, frames, pairs)
    kinds = [pair[1].removeprefix("element ") for pair in pairs.values()]
    ligands = {
        kind: (pair[1], radii[label])
        for kind, (label, pair) in zip(kinds, pairs.items(), strict=True)
    }
    if len(ligands) < len(pairs):
        raise ValueError(
            f"expected each kind of neighbour once, found {' '.join(pairs)}"
        )
    found = speciation(frames, centers.pop(), ligands, n_blocks=request.options.blocks)
    rows = [
        Row(
            " ".join(f"{n} {kind}" for n, kind in zip(numbers, kinds, strict=True)),
            "part of the centres",
            *part,
            "",
        )
        for numbers, part in found.items()
    ]
    rows += [
        Row(label, "within", radius, None, "nm") for label, radius in radii.items()
    ]
    return Outcome(
        rows,
        {
            "kinds": kinds,
            "shells": list(radii.values()),
            "environments": [
                {"numbers": key, "value": value, "error": error}
                for key, (value, error) in found.items()
            ],
        },
        {"shells": "nm", "value": "1", "error": "1"},
        {},
        lambda path: plot_speciation(found, kinds, path),
    )


def _clusters(request: Request) -> Outcome:
    from ..analysis import clusters, plot_clusters

    pairs, frames = _pairs(request), request.frames()
    if len(pairs) != 1:
        raise ValueError(f"expected one pair such as Na-Cl, found {' '.join(pairs)}")
    ((label, pair),) = pairs.items()
    radius = shells(request, frames, pairs)[label]
    found = clusters(frames, *pair, radius, n_blocks=request.options.blocks)
    rows = [Row(label, "mean size", *map(float, found.mean_size), "")]
    for size, value, error in zip(found.sizes, *found.fraction, strict=True):
        name = "part of the ions alone" if size == 1 else f"in clusters of {size}"
        rows.append(Row(label, name, float(value), float(error), ""))
    rows.append(Row(label, "within", radius, None, "nm"))
    return Outcome(
        rows,
        {label: found._asdict() | {"r_max": radius}},
        {"sizes": "1", "fraction": "1", "mean_size": "1", "r_max": "nm"},
        {
            label: {
                "size": found.sizes,
                "part of the ions": found.fraction.value,
                "error": np.asarray(found.fraction.error),
            }
        },
        lambda path: plot_clusters(found, path),
    )


def _pairs(request: Request) -> dict[str, tuple[str, ...]]:
    pairs = groups(request.selections)
    if not pairs:
        raise ValueError("expected pairs such as Na-O, found none")
    return pairs
