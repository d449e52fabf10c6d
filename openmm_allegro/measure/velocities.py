# SPDX-License-Identifier: MIT
"""``analyze`` of velocities: autocorrelation, density of states, Green-Kubo."""

from typing import Any

import numpy as np

from ..runs.frames import Run, read_topology
from ..runs.selections import elements, selections
from .output import Outcome, Row
from .request import Request, add_blocks, add_frames, add_max_lag, over_runs


def add_quantities(add: Any) -> None:
    """Add the parsers of this module's quantities."""
    vacf = add(
        "vacf",
        _vacf,
        selections="[SELECTION ...]",
        help="velocity autocorrelation functions, from PREFIX.h5; of each element "
        "where none is named",
    )
    add_max_lag(vacf)
    spectrum = add(
        "density-of-states",
        _density_of_states,
        selections="[SELECTION ...]",
        help="vibrational density of states, from PREFIX.h5; of each element where "
        "none is named",
    )
    spectrum.add_argument(
        "--resolution",
        type=float,
        default=1.0,
        metavar="THZ",
        help="width of a line, THz; 1 THz is 33.4 1/cm (default 1)",
    )
    spectrum.add_argument(
        "--max-wavenumber", type=float, metavar="W", help="end of the figure, 1/cm"
    )
    diffusion = add(
        "green-kubo",
        _green_kubo,
        selections="[SELECTION ...]",
        help="self-diffusion coefficient from the velocities in PREFIX.h5, cm²/s; of "
        "each element but hydrogen where none is named",
    )
    add_max_lag(diffusion)
    add_cutoff(diffusion)
    for parser in (vacf, spectrum, diffusion):
        parser.add_argument(
            "--keep-drift",
            action="store_true",
            help="do not subtract the velocity of the centre of mass of all atoms",
        )
        add_frames(parser, stride=False)
        add_blocks(parser)


def add_cutoff(parser: Any) -> None:
    """Where a Green-Kubo integral is read."""
    parser.add_argument(
        "--cutoff",
        type=float,
        metavar="PS",
        help="end of the integral, ps (default: where the function is noise)",
    )


def velocities_of(
    request: Request, run: Run, selection: Any, reference: str | None = "all"
) -> Any:
    """`analysis.Velocities` of a run between the times of the options."""
    from mdtraj.formats import HDF5TrajectoryFile

    from ..analysis import read_velocities

    options, path = request.options, run.velocities
    if path is None:
        raise FileNotFoundError(
            f"expected velocities of {run.name}, a file .h5, found none"
        )
    try:
        with HDF5TrajectoryFile(str(path)) as file:
            times = np.asarray(file.root.time[:], dtype=float)
        found = read_velocities(
            path, selection, reference=reference, time_step=options.time_step
        )
    except (AttributeError, OSError, RuntimeError) as error:
        raise ValueError(
            f"expected an HDF5 trajectory with velocities at {path}, found "
            f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
        ) from error
    if options.time_step is not None:
        times = np.arange(len(times)) * options.time_step
    low = -np.inf if options.start is None else options.start
    high = np.inf if options.stop is None else options.stop
    inside = (times >= low - 1e-6 * abs(times)) & (times <= high + 1e-6 * abs(times))
    if not inside.any():
        raise ValueError(
            "expected frames between --start and --stop, found the last at "
            f"{times[-1]:.6g} ps"
        )
    return found._replace(values=found.values[inside])


def _each(request: Request, hydrogen: bool):
    """Label, velocities of each selection of each run."""
    reference = None if request.options.keep_drift else "all"
    several = len(request.runs) > 1
    for run in request.runs:
        # The topology that counts is that in the file of the velocities.
        own = run._replace(topology=None, trajectory=run.velocities)
        chosen = selections(request.selections)
        if not chosen and run.velocities:
            chosen = elements(read_topology(own), hydrogen=hydrogen)
        for name, selection in (chosen or {"all": "all"}).items():
            label = f"{name} ({run.name})" if several else name
            yield label, velocities_of(request, run, selection, reference)


def _vacf(request: Request) -> Outcome:
    from ..analysis import plot_vacf, velocity_autocorrelation

    options, results, rows = request.options, {}, []
    for label, found in _each(request, True):
        function = results[label] = velocity_autocorrelation(
            found.values,
            found.time_step,
            max_lag=options.max_lag,
            n_blocks=options.blocks,
        )
        start = float(function.values[0]), float(function.error[0])
        rows.append(Row(label, "C(0)", *start, "nm²/ps²"))
        crossed = np.flatnonzero(function.values < 0)
        if len(crossed):
            first = float(function.lag_times[crossed[0]])
            rows.append(Row(label, "first negative at", first, None, "ps"))
    return Outcome(
        over_runs(rows, request),
        results,
        {"lag_times": "ps", "values": "nm²/ps²", "error": "nm²/ps²"},
        {
            label: {"lag time (ps)": t, "C (nm²/ps²)": value, "error": error}
            for label, (t, value, error) in results.items()
        },
        lambda path: plot_vacf(results, path),
    )


def _density_of_states(request: Request) -> Outcome:
    from ..analysis import density_of_states, plot_density_of_states

    options, results, rows = request.options, {}, []
    for label, found in _each(request, True):
        spectrum = results[label] = density_of_states(
            found.values,
            found.masses,
            found.time_step,
            resolution=options.resolution,
            n_blocks=options.blocks,
        )
        top = int(np.argmax(spectrum.density))
        highest = float(spectrum.density[top]), float(spectrum.error[top])
        at_rest = float(spectrum.density[0]), float(spectrum.error[0])
        rows += [
            Row(label, "highest", *highest, "1/THz per atom"),
            Row(label, "at", float(spectrum.wavenumber[top]), None, "1/cm"),
            Row(label, "at zero frequency", *at_rest, "1/THz per atom"),
        ]
    return Outcome(
        over_runs(rows, request),
        results,
        {
            "frequency": "THz",
            "wavenumber": "1/cm",
            "density": "1/THz per atom",
            "error": "1/THz per atom",
        },
        {
            label: {
                "frequency (THz)": found.frequency,
                "wavenumber (1/cm)": found.wavenumber,
                "density (1/THz per atom)": found.density,
                "error": found.error,
            }
            for label, found in results.items()
        },
        lambda path: plot_density_of_states(
            results, path, max_wavenumber=options.max_wavenumber
        ),
    )


def _green_kubo(request: Request) -> Outcome:
    from ..analysis import green_kubo_diffusion, plot_green_kubo

    options, results, rows, notes = request.options, {}, [], []
    for label, found in _each(request, False):
        integral = results[label] = green_kubo_diffusion(
            found.values,
            found.time_step,
            max_lag=options.max_lag,
            cutoff=options.cutoff,
            n_blocks=options.blocks,
        )
        rows += [
            Row(label, "D", *integral.coefficient, "cm²/s"),
            Row(label, "integrated to", integral.cutoff, None, "ps"),
        ]
        notes += unfinished(label, integral, options.cutoff)
    return Outcome(
        over_runs(rows, request),
        results,
        green_kubo_units("cm²/s"),
        {label: green_kubo_columns(x, "cm²/s") for label, x in results.items()},
        lambda path: plot_green_kubo(
            results, path, ylabel="$D(t)$ (10$^{-5}$ cm²/s)", scale=1e5
        ),
        tuple(notes),
    )


def unfinished(label: str, found: Any, cutoff: float | None) -> list[str]:
    """A note if a GreenKubo ends at the longest lag because none was long enough."""
    if cutoff is not None or found.cutoff < found.lag_times[-1]:
        return []
    return [
        f"{label}: the integral may not have ended at the longest lag, "
        f"{found.cutoff:.4g} ps; give a longer --max-lag."
    ]


def green_kubo_units(unit: str) -> dict[str, str]:
    """Units of a GreenKubo."""
    return {
        "coefficient": unit,
        "lag_times": "ps",
        "running": unit,
        "running_error": unit,
        "cutoff": "ps",
    }


def green_kubo_columns(found: Any, unit: str) -> dict[str, Any]:
    """Columns of a GreenKubo for the CSV."""
    return {
        "upper limit (ps)": found.lag_times,
        f"integral ({unit})": found.running,
        f"error ({unit})": found.running_error,
    }
