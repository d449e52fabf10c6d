# SPDX-License-Identifier: MIT
"""Section of the page: temperature, energies and volume over time."""

import numpy as np

from ..units import EV_TO_KJ_PER_MOL
from .downloads import rounded
from .html import (
    attempt,
    figure,
    join,
    measured,
    note,
    paragraph,
    section,
    side_by_side,
    table,
)
from .structure import failures, warnings

_MEV = 1e3 / EV_TO_KJ_PER_MOL
_RELATIVE = "{} energy − mean (meV/atom)"


def traces_section(runs, production, findings):
    """Show traces of all runs, and averages of the production."""
    parts = [
        attempt(title, _plot, runs, key, production.folder)
        for title, key in (
            ("Temperature", "temperature"),
            ("Potential energy", "potential"),
            ("Total energy", "total"),
            ("Volume", "volume"),
            ("Density", "density"),
        )
        if _wanted(runs, key)
    ]
    if not parts:
        parts = [note("No trace: there is no table of energies that can be read.")]
    averages = attempt(
        f"Averages of {production.run.stage} from {production.start:.4g} ps on",
        _averages,
        production,
        findings,
    )
    return section("Traces", side_by_side(*parts, averages))


def _wanted(runs, key):
    """Tell whether a column is worth a figure."""
    there = [run for run in runs if key in run.table]
    if key == "total":  # conserved without a thermostat only
        return any(run.ensemble == "nve" for run in there)
    if key in ("volume", "density"):
        return any(run.ensemble.startswith("npt") for run in there)
    return bool(there)


def _plot(runs, key, folder):
    from ..analysis import drift, plot_series, plot_temperature

    ylabel = {
        "temperature": "Temperature (K)",
        "potential": _RELATIVE.format("Potential"),
        "total": _RELATIVE.format("Total"),
        "volume": "Volume (nm³)",
        "density": "Density (g/cm³)",
    }[key]
    if key == "total":  # a thermostat's work would hide the others' drift
        runs = [run for run in runs if run.ensemble == "nve"]
    times, values, edges = _joined(runs, key)
    if len(times) < 2:
        raise ValueError(f"expected at least 2 finite values, found {len(times)}")
    alt = f"{ylabel} against time, from {values.min():.4g} to {values.max():.4g}"
    if len(runs) > 1:
        targets = _targets(runs, edges) if key == "temperature" else []

        def draw(path):
            return _plot_stages(times, values, runs, edges, path, ylabel, targets)

        return figure(draw, folder, alt, wide=True)
    (run,) = runs

    def draw(path):
        if key == "temperature":
            return plot_temperature(times, values, path, target=run.target)
        slope = drift(times, values) if key == "total" and len(times) >= 10 else None
        return plot_series(times, values, path, ylabel=ylabel, drift=slope)

    return figure(draw, folder, alt)


def _joined(runs, key):
    """Times and values of all runs, one after the other, and where each begins."""
    times, values, edges = [], [], [0.0]
    for run in runs:
        if key in run.table:
            known = np.isfinite(run.table[key])
            times.append(edges[-1] + run.table["time"][known])
            values.append(run.table[key][known] * _scale(run, key))
        ended = run.table["time"][-1] if run.table else 0.0
        edges.append(edges[-1] + np.nanmax([ended, run.simulated]))
    times, values = np.concatenate(times), np.concatenate(values)
    if key in ("potential", "total") and len(values):
        values = values - values.mean()
    return times, values, edges


def _scale(run, key):
    if key not in ("potential", "total"):
        return 1.0
    atoms = run.record.get("atoms")
    if not atoms:
        raise ValueError("expected the number of atoms in the record, found none")
    return _MEV / atoms


def _targets(runs, edges):
    """Times and temperatures of each run's thermostat, which may follow a ramp."""
    targets = []
    for run, begin, end in zip(runs, edges[:-1], edges[1:], strict=True):
        target = run.record.get("temperature_k")
        if run.ensemble != "nve" and target is not None and end > begin:
            levels = np.atleast_1d(np.asarray(target, dtype=float))
            levels = np.repeat(levels, 2) if len(levels) == 1 else levels
            targets.append((np.linspace(begin, end, len(levels)), levels))
    return targets


def _plot_stages(times, values, runs, edges, path, ylabel, targets):
    """Plot a trace over the stages of a protocol, each marked by its name.

    Stages begin and end at the `edges` (n_runs + 1,) in ps; the times and values of
    their thermostats, `targets`, are drawn dashed.
    """
    from ..analysis.figures.figure import COLORS, DASHED, new_figure

    with new_figure(path) as axes:
        axes.figure.set_size_inches(7.0, 2.7)
        axes.plot(
            times, values, color=COLORS[5], linewidth=0.4, rasterized=len(times) > 5000
        )
        for at, level in targets:
            axes.plot(at, level, color="black", **DASHED)
        for run, begin, end in zip(runs, edges[:-1], edges[1:], strict=True):
            if end <= begin:
                continue
            share = (end - begin) / edges[-1]
            inside = (times > begin) & (times <= end)
            means = (_means(x[inside], share) for x in (times, values))
            axes.plot(*means, color=COLORS[0])
            axes.axvline(begin, color="0.6", linewidth=0.6)
            axes.text(
                begin,
                1.02,
                f" {run.stage}",
                transform=axes.get_xaxis_transform(),
                fontsize=6.5,
                rotation=0 if share > 0.012 * len(run.stage) else 35,
                ha="left",
                va="bottom",
            )
        axes.set(xlabel="Time (ps)", ylabel=ylabel, xlim=(0, edges[-1] or None))
    return path


def _means(values, share, most=100):
    """Means over successive parts of a stage that is such a share of the figure."""
    n = max(1, min(len(values) // 5, round(most * share)))
    return [part.mean() for part in np.array_split(values, n) if len(part)]


def _averages(production, findings):
    """Table of the means of the equilibrated part, and whether they are sound."""
    run, remarks = production.run, []
    sound = production.soundness()
    rows = _temperature(run, sound, findings)
    if run.ensemble == "nve":
        rows += _drift(run, sound, findings)
    try:
        bulk = production.measure("thermodynamics")
    except ValueError as error:
        remarks.append(note(f"Not computed: {error}."))
    else:
        rows += [
            (row.quantity, measured(row.value, row.error), row.unit)
            for row in bulk.rows
        ]
        remarks += [*warnings(bulk), *failures(bulk)]
        density = bulk.results["all"].get("density")
        if density is not None and run.ensemble.startswith("npt"):
            value = measured(density["value"], density["error"], 1e-3)
            findings.tiles.append((value, "g/cm³", "density"))
    if isinstance(run.record.get("temperature_k"), list) and run.target is None:
        remarks.append(paragraph("The thermostat followed a ramp: a mean says little."))
    remarks += warnings(sound)
    return join(table(("quantity", "value", "unit"), rows), *remarks)


def _temperature(run, sound, findings):
    """Rows about the temperature, against that of the thermostat where there is one."""
    if "temperature" not in sound.results["all"]:
        raise ValueError("; ".join(sound.failed.values()) or "expected energies")
    check = sound.results["all"]["temperature"]
    mean = measured(*check["mean"])
    if "target" not in check:
        findings.tiles.append((mean, "K", "temperature"))
        return [("temperature", mean, "K")]
    target, deviation = check["target"], check["deviation"]
    findings.tiles.append((mean, "K", f"temperature, target {target:g} K"))
    return [
        ("temperature", mean, "K"),
        (
            "its distance from the thermostat",
            rounded(deviation, "+.1f"),
            "errors",
        ),
        (
            "its variance over that of the canonical ensemble (1 where the thermostat "
            "samples it, less where it exchanged too little energy)",
            measured(*check["variance_ratio"]),
            "",
        ),
        ("its drift", measured(*check["drift"]), "K/ps"),
    ]


def _drift(run, sound, findings):
    """Row about the total energy, which nothing but integration changes in NVE."""
    slope = sound.results["all"]["energy_drift"]
    shown = measured(slope["value"], slope["error"], _MEV)
    findings.tiles.append((shown, "meV/atom/ps", "drift of the energy"))
    return [("drift of the total energy", shown, "meV/atom/ps")]
