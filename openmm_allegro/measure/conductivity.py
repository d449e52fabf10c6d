# SPDX-License-Identifier: MIT
"""``analyze conductivity``: by Einstein, by Nernst and Einstein, by Green and Kubo."""

from pathlib import Path
from typing import Any

import numpy as np

from ..cli.output import check_free
from ..runs.frames import Run
from ..runs.selections import read_charges, selections
from .diffusion import add_fit_start
from .output import Outcome, Row
from .request import (
    Request,
    Series,
    add_blocks,
    add_frames,
    add_max_lag,
    add_temperature,
    over_runs,
)
from .velocities import add_cutoff, green_kubo_units, unfinished, velocities_of

_ONSAGER = "mol²/(J m s)"


def add_quantities(add: Any) -> None:
    """Add the parser of the conductivity."""
    parser = add(
        "conductivity",
        _conductivity,
        selections="[SPECIES ...]",
        help="conductivity, S/m, and its parts: Haven ratio, transference numbers, "
        "Onsager coefficients; from velocities too where there is PREFIX.h5",
    )
    parser.add_argument(
        "--charges",
        required=True,
        metavar="Na=1,Cl=-1",
        help="charge numbers by element or by residue name (of a whole molecule), or a "
        "file of one number for each atom; SPECIES say what the ions are then",
    )
    parser.add_argument(
        "--reference",
        default="all",
        metavar="SELECTION",
        help="whose centre of mass is at rest: a selection, all (default), or cell",
    )
    add_temperature(parser)
    add_max_lag(parser)
    add_fit_start(parser)
    parser.add_argument(
        "--velocities",
        type=Path,
        metavar="FILE",
        help="HDF5 trajectory with velocities, where there is no PREFIX.h5",
    )
    add_cutoff(parser)
    parser.add_argument(
        "--plot-green-kubo", type=Path, metavar="FILE", help="draw the integral"
    )
    add_frames(parser, join=True)
    add_blocks(parser)


def _conductivity(request: Request) -> Outcome:
    from ..analysis import conductivity, plot_conductivity, plot_green_kubo

    options = request.options
    check_free(options.plot_green_kubo, options.force, image=True)
    if options.velocities is not None and len(request.runs) > 1:
        raise ValueError("expected --velocities with one run, found several")
    runs = [run for run in request.runs if _velocities(request, run)]
    if options.plot_green_kubo and not runs:
        raise ValueError(
            "expected velocities with --plot-green-kubo, found none; give --velocities"
        )
    reference = _reference(options.reference)
    results, integrals, rows, notes = {}, {}, [], []
    for series in request.series():
        label = "all" + series.suffix
        charges, species = read_charges(options.charges, series.frames.topology)
        found = results[label] = conductivity(
            series.frames,
            charges,
            request.temperature(series.run),
            species=selections(request.selections) or species or None,
            reference=reference,
            max_lag=options.max_lag,
            fit_start=options.fit_start,
            n_blocks=options.blocks,
        )
        rows += _rows(found, series.suffix)
        integral = _green_kubo(request, series, charges, reference)
        if integral is not None:
            integrals[label] = integral
            rows += [
                Row(label, "conductivity, Green-Kubo", *integral.coefficient, "S/m"),
                Row(label, "integrated to", integral.cutoff, None, "ps"),
            ]
        notes += _notes(label, found, integral, options.cutoff)
    if options.plot_green_kubo:
        options.plot_green_kubo.parent.mkdir(parents=True, exist_ok=True)
        name = r"$\sigma(t)$ (S/m)"
        plot_green_kubo(integrals, options.plot_green_kubo, ylabel=name)
    if options.plot and len(results) > 1:
        notes.append("The figure is of the first run.")
    first = next(iter(results.values()))
    return Outcome(
        over_runs(rows, request),
        {
            label: found._asdict() | {"green_kubo": integrals.get(label)}
            for label, found in results.items()
        },
        green_kubo_units("S/m")
        | {
            "einstein": "S/m",
            "nernst_einstein": "S/m",
            "haven_ratio": "1",
            "transference": "1",
            "matrix": "S/m",
            "onsager": _ONSAGER,
            "self_part": "S/m",
            "displacement": "e² nm²",
            "fit_start": "ps",
            "net_charge": "e",
        },
        {
            label: {
                "lag time (ps)": found.lag_times,
                "displacement (e² nm²)": found.displacement,
            }
            for label, found in results.items()
        },
        lambda path: plot_conductivity(first, path),
        tuple(notes),
    )


def _rows(found, suffix):
    """The table of a Conductivity."""
    label = "all" + suffix
    rows = [
        Row(label, "conductivity", *found.einstein, "S/m"),
        Row(label, "conductivity, Nernst-Einstein", *found.nernst_einstein, "S/m"),
        Row(label, "Haven ratio", *found.haven_ratio, ""),
        Row(label, "fitted from", found.fit_start, None, "ps"),
        Row(label, "to", float(found.lag_times[-1]), None, "ps"),
    ]
    for i, name in enumerate(found.species):
        number = (float(x[i]) for x in found.transference)
        own = (float(x[i]) for x in found.self_part)
        rows.append(Row(name + suffix, "transference number", *number, ""))
        rows.append(Row(name + suffix, "self part", *own, "S/m"))
    for i, first in enumerate(found.species):
        for j in range(i, len(found.species)):
            value = (float(x[i, j]) for x in found.onsager)
            pair = f"{first}-{found.species[j]}{suffix}"
            rows.append(Row(pair, "Onsager coefficient", *value, _ONSAGER))
    return rows


def _notes(label, found, integral, cutoff):
    """What the numbers depend on, and what they lack."""
    notes = [f"{label}: frame of reference: {found.reference}."]
    if abs(found.net_charge) > 1e-3:
        notes.append(
            f"{label}: the ions have a charge of {found.net_charge:.4g} e, so that the "
            "conductivity too depends on the frame of reference."
        )
    return notes if integral is None else notes + unfinished(label, integral, cutoff)


def _velocities(request: Request, run: Run) -> Path | None:
    """The file with the velocities of a run, where there is one.

    An HDF5 trajectory that was given for its frames may hold none.
    """
    from mdtraj.formats import HDF5TrajectoryFile

    path = request.options.velocities or run.velocities
    if path is None:
        return None
    if not path.is_file():
        raise FileNotFoundError(f"expected velocities, found nothing at {path}")
    try:
        with HDF5TrajectoryFile(str(path)) as file:
            return path if "velocities" in file.root else None
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"expected an HDF5 trajectory at {path}, found {type(error).__name__}"
        ) from error


def _green_kubo(request: Request, series: Series, charges, reference):
    """GreenKubo of the current of a run whose velocities there are, else None."""
    from ..analysis import green_kubo_conductivity

    options, run = request.options, series.run
    run = run._replace(velocities=_velocities(request, run))
    if run.velocities is None:
        return None
    charged = np.flatnonzero(charges)
    found = velocities_of(request, run, charged, reference)
    return green_kubo_conductivity(
        found.values,
        charges[charged],
        request.temperature(run),
        series.frames.volume,
        found.time_step,
        max_lag=options.max_lag,
        cutoff=options.cutoff,
        n_blocks=options.blocks,
    )


def _reference(text: str) -> str | None:
    if text == "cell":
        return None
    return next(iter(selections([text]).values()))
