# SPDX-License-Identifier: MIT
"""``analyze stability``: drift of the energy, temperature, bonds, watchdogs."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from scipy.constants import gas_constant

from ..runs.frames import Run, read_topology
from ..runs.selections import energies_between
from .output import Outcome, Row
from .request import Request, add_frames, add_temperature, over_runs

_TIME, _TEMPERATURE = "Time (ps)", "Temperature (K)"
_TOTAL, _KINETIC = "Total Energy (kJ/mole)", "Kinetic Energy (kJ/mole)"
_DRIFT = "kJ/(mol ps) per atom"


def add_quantities(add: Any) -> None:
    """Add the parser of stability."""
    parser = add(
        "stability",
        _stability,
        selections="[ENERGIES.csv]",
        help="whether a run was sound: drift of the energy, temperature, bonds",
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=1.5,
        metavar="F",
        help="a bond longer than this many times its first length is broken "
        "(default 1.5)",
    )
    parser.add_argument(
        "--trace",
        default="temperature",
        choices=("temperature", "energy"),
        help="what --plot draws (default: temperature)",
    )
    add_temperature(parser)
    add_frames(parser)


def _stability(request: Request) -> Outcome:
    options = request.options
    results, rows, notes, traces = {}, [], [], {}
    for run in request.runs:
        label = f"all ({run.name})" if len(request.runs) > 1 else "all"
        results[label] = {}
        if run.energies is not None:
            table = energies_between(options, run, (_TEMPERATURE, _TOTAL, _KINETIC))
            traces[label] = run, table
            _of_energies(request, run, table, label, results[label], rows)
        if run.trajectory is not None:
            _of_bonds(request, run, label, results[label], rows, notes)
        notes += _events(run)
    if options.plot and not traces:
        raise ValueError("expected energies, a CSV file, with --plot, found none")
    return Outcome(
        over_runs(rows, request),
        results,
        {
            "energy_drift": _DRIFT,
            "mean": "K",
            "target": "K",
            "deviation": "1",
            "variance_ratio": "1",
            "drift": "K/ps",
            "longest": "nm",
            "longest_over_mean": "1",
            "first_break": "ps",
        },
        {
            label: {
                "time (ps)": table[_TIME],
                "temperature (K)": table[_TEMPERATURE],
                "total energy (kJ/mol)": table[_TOTAL],
            }
            for label, (_, table) in traces.items()
        },
        lambda path: _draw(request, path, *next(iter(traces.values()))),
        tuple(notes),
    )


def _of_energies(request, run, table, label, results, rows):
    """Drift of the total energy, and the temperature against its thermostat's."""
    from ..analysis import check_temperature, drift, series_mean

    atoms = _n_atoms(run)
    value, error = drift(table[_TIME], table[_TOTAL])
    unit = _DRIFT if atoms else _DRIFT.removesuffix(" per atom")
    per_atom = value / (atoms or 1), error / (atoms or 1)
    results["energy_drift"] = dict(zip(("value", "error"), per_atom, strict=True))
    rows.append(Row(label, "drift of the energy", *per_atom, unit))
    target = _target(request, run)
    if target is None:
        mean = series_mean(table[_TEMPERATURE])
        results["temperature"] = {"mean": mean}
        rows.append(Row(label, "temperature", *mean, "K"))
        return
    # What the integrator itself counts: 2 E_kin = N R T.
    ratio = 2e3 * table[_KINETIC] / (gas_constant * table[_TEMPERATURE])
    freedom = round(float(np.median(ratio)))
    found = check_temperature(table[_TIME], table[_TEMPERATURE], target, freedom)
    results["temperature"] = found._asdict() | {
        "target": target,
        "degrees_of_freedom": freedom,
    }
    rows += [
        Row(label, "temperature", *found.mean, "K"),
        Row(label, f"off {target:g} K by", found.deviation, None, "errors"),
        Row(label, "variance over canonical", *found.variance_ratio, ""),
        Row(label, "drift of the temperature", *found.drift, "K/ps"),
    ]


def _of_bonds(request, run, label, results, rows, notes):
    """How far the topology's bonds were stretched, and which broke."""
    from ..analysis import bond_lengths

    topology = read_topology(run)
    if topology.n_bonds == 0:
        notes.append(f"No bonds in the topology of {run.name}.")
        return
    frames = request.frames([run])
    found = bond_lengths(frames, limit=request.options.limit)
    interval = (frames.last_time - frames.first_time) / max(1, frames.n_frames - 1)
    first_break = None
    if found.first_break is not None:
        first_break = frames.first_time + found.first_break * interval
    worst = int(np.argmax(found.longest / found.mean))
    atoms = [str(topology.atom(i)) for i in found.pairs[worst]]
    stretch = float(found.longest[worst] / found.mean[worst])
    rows += [
        Row(label, "bonds", len(found.pairs), None, ""),
        Row(label, "broken", int(found.broken.sum()), None, ""),
        Row(label, "longest over mean", stretch, None, "–".join(atoms)),
    ]
    if first_break is not None:
        rows.append(Row(label, "first broken at", first_break, None, "ps"))
    results["bonds"] = {
        "bonds": len(found.pairs),
        "broken": found.pairs[found.broken],
        "longest": found.longest[found.broken],
        "longest_over_mean": stretch,
        "first_break": first_break,
    }


def _draw(request: Request, path: Path, run: Run, table: dict[str, Any]) -> None:
    from ..analysis import drift, plot_series, plot_temperature

    time = table[_TIME]
    if request.options.trace == "temperature":
        plot_temperature(time, table[_TEMPERATURE], path, target=_target(request, run))
        return
    energy = table[_TOTAL] - table[_TOTAL].mean()
    plot_series(
        time,
        energy,
        path,
        ylabel="Total energy less its mean (kJ/mol)",
        drift=drift(time, energy),
    )


def _target(request: Request, run: Run) -> float | None:
    """Temperature of the thermostat in K; None where it is not known or has none."""
    if request.options.temperature is None and run.record.get("ensemble") == "nve":
        return None
    try:
        return request.temperature(run)
    except ValueError:
        return None


def _n_atoms(run: Run) -> int | None:
    atoms = run.record.get("atoms")
    if atoms is None and (run.topology or run.trajectory):
        atoms = read_topology(run).n_atoms
    return atoms


def _events(run: Run) -> list[str]:
    """What watchdogs wrote beside the energies, counted."""
    if run.energies is None:
        return []
    path = run.energies.with_name(f"{run.energies.stem}.events.csv")
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        events = list(csv.DictReader(file))
    names = sorted({event.get("watchdog") or "unknown" for event in events})
    return [f"{len(events)} events of watchdogs in {path}: {', '.join(names)}."]
