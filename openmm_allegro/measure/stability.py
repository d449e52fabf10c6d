# SPDX-License-Identifier: MIT
"""Soundness of a run: drift of the energy, temperature, bonds, watchdogs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..runs.energies import Table, degrees_of_freedom
from ..runs.events import read_events
from ..runs.frames import read_topology
from ..runs.names import QTB
from ..runs.run import Run
from ..runs.selections import no_words
from ..runs.source import Source
from ..utils.settings import setting
from .canonical import judge_variance
from .judgement import judge_drift, judge_independent, judge_range, judge_target
from .measurement import Measurement, Row, each
from .quantity import Quantity, Settings

_DRIFT = "kJ/(mol ps) per atom"


@dataclass(frozen=True)
class StabilitySettings(Settings):
    """Settings of the check of a run."""

    limit: float = setting(
        1.5,
        about="A bond longer than this many times its first length is broken",
        above=1,
        metavar="F",
    )
    trace: str = setting(
        "temperature",
        about="Series that --plot draws",
        choices=("temperature", "energy"),
    )


def measure_stability(
    source: Source, subjects: None, settings: StabilitySettings
) -> Measurement:
    """Measure drift and temperature of the equilibrated part, and bonds of all frames.

    A bond may break at any time, so bonds are looked at from the first frame on unless
    a start was asked for. Results by run: ``energy_drift``, ``temperature``, ``bonds``,
    as far as the files allow.
    """
    results, rows, notes, traces, failed = {}, [], [], {}, {}
    warnings: list[str] = []
    for run in source.runs:
        label = source.label(run)
        results[label] = {}
        parts = {"energies": _of_energies, "trajectory": _of_bonds}
        asked = {k: part for k, part in parts.items() if getattr(run, k) is not None}
        measured, reasons = each(
            asked, lambda _, part, run=run: part(source, run, settings), settings
        )
        for values, of_run, table in measured.values():
            results[label] |= values
            rows += [Row(label, *row) for row in of_run]
            if table is not None:
                traces[label] = run, table
                warnings += _judge(label, run, table, results[label])
        if "trajectory" in measured and "bonds" not in results[label]:
            notes.append(f"No bonds in the topology of {run.name}.")
        failed |= {f"{k} of {label}": reason for k, reason in reasons.items()}
        notes += _of_events(run)

    def draw(path: Path) -> None:
        if not traces:
            raise ValueError("expected energies, a CSV file, with --plot, found none")
        _draw(source, settings, path, *next(iter(traces.values())))

    return Measurement(
        rows,
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
        }
        | dict.fromkeys(
            ("bonds", "number", "broken", "limit", "degrees_of_freedom"), "1"
        ),
        {
            label: {
                "time (ps)": table["time"],
                "temperature (K)": table["temperature"],
                "total energy (kJ/mol)": table["total"],
            }
            for label, (_, table) in traces.items()
        },
        draw,
        notes=notes,
        failed=failed,
        warnings=warnings,
    )


QUANTITY = Quantity(
    "stability",
    measure_stability,
    StabilitySettings,
    "whether a run was sound: drift of the energy, temperature, bonds",
    subjects="[ENERGIES.csv]",
    read_subjects=no_words,
    temperature=True,
)


def temperature_of(
    source: Source, run: Run
) -> tuple[tuple[float, float] | None, list[str]]:
    """Measure the mean temperature of a run, and judge it by its thermostat.

    Returns
    -------
    mean : (float, float) or None
        In K, with its error; None of a run without temperatures to measure.
    warnings : list of str
    """
    if run.energies is None:
        return None, []
    try:
        results, _, table = _of_energies(source, run, StabilitySettings())
    except ValueError:
        return None, []
    check = results["temperature"]
    warnings = judge_range("temperature", table["temperature"])
    if "target" in check:
        warnings += judge_target(run.stage, check)
    return check["mean"], warnings


def _of_energies(source: Source, run: Run, settings: StabilitySettings):
    """Measure the drift of the total energy, and the temperature against its target.

    Returns
    -------
    results : dict
    rows : list of tuple
        Quantity, value, error and unit.
    table : dict
        The energies that were used.
    """
    from ..analysis import check_temperature, drift, series_mean

    if run.record.get("integrator") == QTB:
        raise ValueError(
            f"expected a temperature in {run.energies}, found integrator {QTB!r}, "
            "whose velocities are not distributed as at one"
        )
    table = source.energies(run, ("temperature", "total", "kinetic"))
    if not all(np.isfinite(column).all() for column in table.values()):
        raise ValueError(
            f"expected finite energies and temperatures in {run.energies}, found others"
        )
    atoms = _n_atoms(run)
    value, error = drift(table["time"], table["total"])
    unit = _DRIFT if atoms else _DRIFT.removesuffix(" per atom")
    per_atom = value / (atoms or 1), error / (atoms or 1)
    results: dict[str, Any] = {
        "energy_drift": dict(zip(("value", "error"), per_atom, strict=True))
    }
    rows = [("drift of the energy", *per_atom, unit)]
    target = source.target(run)
    if target is None:
        mean = series_mean(table["temperature"])
        results["temperature"] = {"mean": mean}
        return results, [*rows, ("temperature", *mean, "K")], table
    freedom = run.record.get("degrees_of_freedom") or degrees_of_freedom(table)
    check = check_temperature(table["time"], table["temperature"], target, freedom)
    results["temperature"] = check._asdict() | {
        "target": target,
        "degrees_of_freedom": freedom,
    }
    rows += [
        ("temperature", *check.mean, "K"),
        (f"off {target:g} K by", check.deviation, None, "errors"),
        ("variance over canonical", *check.variance_ratio, ""),
        ("drift of the temperature", *check.drift, "K/ps"),
    ]
    return results, rows, table


def _of_bonds(source: Source, run: Run, settings: StabilitySettings):
    """Measure how far the topology's bonds were stretched, and which broke.

    Returns
    -------
    results : dict
        Empty without bonds.
    rows : list of tuple
        Quantity, value, error and unit.
    table : None
    """
    from ..analysis import bond_lengths

    topology = read_topology(run)
    if topology.n_bonds == 0:
        return {}, [], None
    frames = source.frames([run], whole=True)
    bonds = bond_lengths(frames, limit=settings.limit)
    first_break = None
    if bonds.first_break is not None:
        frames.check_times()
        interval = (frames.last_time - frames.first_time) / max(1, frames.n_frames - 1)
        first_break = frames.first_time + bonds.first_break * interval
    worst = int(np.argmax(bonds.longest / bonds.mean))
    atoms = [str(topology.atom(i)) for i in bonds.pairs[worst]]
    stretch = float(bonds.longest[worst] / bonds.mean[worst])
    rows = [
        ("bonds", len(bonds.pairs), None, ""),
        ("broken", int(bonds.broken.sum()), None, ""),
        ("longest over mean", stretch, None, "–".join(atoms)),
    ]
    if first_break is not None:
        rows.append(("first broken at", first_break, None, "ps"))
    results = {
        "bonds": len(bonds.pairs),
        "broken": bonds.pairs[bonds.broken],
        "longest": bonds.longest[bonds.broken],
        "longest_over_mean": stretch,
        "first_break": first_break,
        "limit": settings.limit,
        "kinds": _kinds_of_bonds(bonds, topology),
    }
    return {"bonds": results}, rows, None


def _kinds_of_bonds(bonds: Any, topology: Any) -> dict[str, dict[str, float]]:
    """Number, mean and longest length in nm, and broken ones, by pair of elements."""
    names = np.array(
        [
            "-".join(sorted(topology.atom(i).element.symbol for i in pair))
            for pair in bonds.pairs.tolist()
        ]
    )
    return {
        str(name): {
            "number": int((names == name).sum()),
            "mean": float(bonds.mean[names == name].mean()),
            "longest": float(bonds.longest[names == name].max()),
            "broken": int(bonds.broken[names == name].sum()),
        }
        for name in np.unique(names)
    }


def _draw(
    source: Source, settings: StabilitySettings, path: Path, run: Run, table: Table
) -> None:
    from ..analysis import drift, plot_series, plot_temperature

    time = table["time"]
    if settings.trace == "temperature":
        target = source.target(run)
        plot_temperature(time, table["temperature"], path, target=target)
        return
    energy = table["total"] - table["total"].mean()
    plot_series(
        time,
        energy,
        path,
        ylabel="Total energy less its mean (kJ/mol)",
        drift=drift(time, energy),
    )


def _judge(label: str, run: Run, table: Table, results: dict[str, Any]) -> list[str]:
    """Judge a temperature off its target, an energy that drifts, and their lengths."""
    from ..analysis.stability import residuals
    from ..analysis.statistics import ENOUGH, independent_values

    check, slope = results["temperature"], results["energy_drift"]
    warnings = []
    if "target" in check:
        warnings += judge_target(run.stage, check)
        warnings += judge_variance(run.stage, check["variance_ratio"])
    if run.ensemble == "nve" and _n_atoms(run):
        warnings += judge_drift(run.stage, slope["value"], slope["error"])
    for name, of, series in (
        ("temperature", "", table["temperature"]),
        (
            "drift of the energy",
            "distance from a line",
            residuals(table["time"], table["total"]),
        ),
    ):
        independent = independent_values(series)
        warnings += judge_independent(
            label, name, independent, independent < ENOUGH, of
        )
    return warnings


def _n_atoms(run: Run) -> int | None:
    atoms = run.record.get("atoms")
    if atoms is None and (run.topology or run.trajectory):
        atoms = read_topology(run).n_atoms
    return atoms


def _of_events(run: Run) -> list[str]:
    """Count what watchdogs wrote beside the energies."""
    events = read_events(run)
    if not events:
        return []
    names = sorted({event.get("watchdog") or "unknown" for event in events})
    where = run.events or f"files beside {run.name}"
    return [f"{len(events)} events of watchdogs in {where}: {', '.join(names)}."]
