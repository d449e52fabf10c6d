# SPDX-License-Identifier: MIT
"""Free energy surfaces of the runs of a source, by each method that they allow."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..runs.bias import (
    VariableSeries,
    described_variables,
    read_hills,
    restraints_on,
    variables_between,
)
from ..runs.energies import equilibrated
from ..runs.names import EQUILIBRATION, UMBRELLA
from ..runs.run import Run
from ..runs.source import Source
from ..runs.window import Window
from ..units import GAS_CONSTANT
from .free_energy_axes import axes_of, grid_ends
from .free_energy_remarks import remarks
from .judgement import judge_independent

METHODS = ("auto", "hills", "reweighting", "windows")
_METADYNAMICS = "metadynamics"
# Part of a run with a bias that fills: weights of the time before hold little.
_FILLING = 0.5
_FEW = 20  # independent values
# Bins of an axis of the grid that the offset of the bias is computed on.
_GRID = {1: 200, 2: 60, 3: 25}


@dataclass(frozen=True)
class Estimated:
    """A free energy surface by one method.

    Attributes
    ----------
    method : str
    surface : analysis.Surface
    basins : list of analysis.Basin
    radial : bool
    windows : analysis.Windows or None
    window_names : list of str
    notes, warnings : list of str
    """

    method: str
    surface: Any
    basins: list
    radial: bool = False
    windows: Any = None
    window_names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def names_of(runs: Sequence[Run]) -> tuple[str, ...]:
    """Variables that runs are biased along, or restrained, or all that they have."""
    record = next((run for run in runs if run.record.get("bias")), runs[0]).record
    restrained = (
        r["variable"] for run in runs for r in run.record.get("restraints", ())
    )
    names = record.get("bias", {}).get("variables") or record.get(UMBRELLA)
    names = names or list(dict.fromkeys(restrained))
    names = names or [variable.name for variable in described_variables(runs[0])]
    if not names:
        raise ValueError(
            f"expected variables in the record of {runs[0].name}, as simulate writes "
            "for [[variables]], found none"
        )
    return tuple(map(str, names))


def windows_of(runs: Sequence[Run]) -> list[Run]:
    """Leave out stages of a protocol with umbrella windows that are none of them."""
    return [
        run
        for run in runs
        if {r["variable"] for r in run.record.get("restraints", ())}
        >= set(run.record.get(UMBRELLA, ()))
    ]


def window_groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs that have the same restraints, without stages before windows."""
    groups: dict[str, list[Run]] = {}
    for run in windows_of(runs):
        key = json.dumps(run.record.get("restraints", []), sort_keys=True)
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def estimate(
    source: Source, names: tuple[str, ...], settings: Any
) -> dict[str, Estimated]:
    """Estimate the free energy over one or two variables, by label.

    Raises
    ------
    ValueError
        If a variable is unknown, or the method does not fit the runs.
    """
    _check_names(source.runs, names)
    if settings.radial:
        _check_radial(source.runs, names)
    method, runs = settings.method, source.runs
    biased = [run.name for run in runs if run.record.get("bias")]
    if method == "auto" and len(window_groups(runs)) > 1 and not biased:
        method = "windows"
    if method == "windows" and biased:
        raise ValueError(
            "expected umbrella windows, whose restraints alone act, found a bias in "
            f"{biased[0]}"
        )
    if method == "windows":
        return {",".join(names): _by_windows(source, names, settings)}
    source, left = _with_bias(source)
    runs, found = source.runs, {}
    by_hills = [run.record.get("bias", {}).get("kind") == _METADYNAMICS for run in runs]
    if method in ("auto", "hills") and all(by_hills):
        for run in runs:
            biased = tuple(run.record["bias"]["variables"])
            if set(names) <= set(biased) and len(biased) <= 2:
                label = f"{','.join(names)} (hills)"
                label += f" ({run.name})" if len(runs) > 1 else ""
                found[label] = _by_hills(source, run, names, settings)
    if method == "hills" and not found:
        raise ValueError(
            "expected hills of metadynamics in one or two variables with "
            f"{','.join(names)} among them, found none in {runs[0].name}"
        )
    if method != "hills":
        label = ",".join(names) + (" (reweighting)" if found else "")
        found[label] = _by_reweighting(source, names, settings)
    return {k: replace(one, notes=[*one.notes, *left]) for k, one in found.items()}


def _with_bias(source: Source) -> tuple[Source, list[str]]:
    """Runs with a bias, where some have one, and a note of those that are left out.

    What is rare is not seen without a bias, so that a mean with such a run would have
    too little of it, and no error would tell.
    """
    runs = [run for run in source.runs if run.record.get("bias")]
    left = [run.name for run in source.runs if not run.record.get("bias")]
    if not runs or not left:
        return source, []
    note = f"Left out as runs without a bias beside others: {', '.join(left)}."
    return source.of(runs), [note]


def _check_names(runs: Sequence[Run], names: tuple[str, ...]) -> None:
    for run in runs:
        known = [variable.name for variable in described_variables(run)]
        missing = [name for name in names if name not in known]
        if missing:
            raise ValueError(
                f"expected a variable of {run.name}, {', '.join(known) or 'none'}, "
                f"found {missing[0]!r}"
            )


def _check_radial(runs: Sequence[Run], names: tuple[str, ...]) -> None:
    for run in runs:
        kinds = {each.name: each.kind for each in described_variables(run)}
        found = [kinds[name] for name in names]
        if found != ["distance"]:
            raise ValueError(
                "expected one variable of kind 'distance' to divide by the volume of "
                f"shells (--radial), found {','.join(names)} of {', '.join(found)}"
            )


def _by_windows(source: Source, names: tuple[str, ...], settings: Any) -> Estimated:
    from ..analysis import combine_windows

    groups = window_groups(source.runs)
    runs = [run for group in groups for run in group]
    states = [k for k, group in enumerate(groups) for _ in group]
    kelvin = _one_temperature(source, runs)
    starts = [_equilibrated(source, run) for run in runs]
    windows = [_window(source, start) for start in starts]
    series = [variables_between(*x) for x in zip(runs, windows, strict=True)]
    energies = [
        np.stack([restraints_on(group[0], x) for group in groups], axis=1)
        for x in series
    ]
    axes = axes_of(names, series, settings)
    found = combine_windows(
        [x.columns(names) for x in series],
        energies,
        axes,
        kelvin,
        states=states,
        n_blocks=settings.blocks or 5,
    )
    kept = sum(len(x.times) and float(np.ptp(x.times)) for x in series)
    notes = [
        f"{len(groups)} windows, {len(runs)} runs, {kept:.4g} ps after equilibration "
        f"of {min(starts):.3g} to {max(starts):.3g} ps each."
    ]
    kept_names = {run.name for run in runs}
    left = [run.name for run in source.runs if run.name not in kept_names]
    if left:
        notes.append(f"Left out as stages before the windows: {', '.join(left)}.")
    names_of_windows = [_name_window(group[0]) for group in groups]
    few = [
        name
        for name, number in zip(names_of_windows, found.independent, strict=True)
        if number < _FEW
    ]
    warnings = []
    if few:
        warnings.append(
            f"{','.join(names)}: fewer than {_FEW} independent values in "
            f"{len(few)} of {len(groups)} windows ({', '.join(few[:4])}"
            f"{', ...' if len(few) > 4 else ''}); errors are wide for that."
        )
    unfinished = [run for run in runs if run.record.get("finished") is False]
    if unfinished:
        ends = ", ".join(f"{run.name}: {run.progress} steps" for run in unfinished)
        warnings.append(
            f"{','.join(names)}: {len(unfinished)} of {len(runs)} runs in windows have "
            f"not ended ({ends}), and windows after them may be missing."
        )
    one = _finish("windows", found.surface, settings, notes, warnings)
    return replace(one, windows=found, window_names=names_of_windows)


def _by_hills(
    source: Source, run: Run, names: tuple[str, ...], settings: Any
) -> Estimated:
    from ..analysis import hills_surface

    series = variables_between(run, Window(start=0.0, stop=source.window.stop))
    hills, kept = _hills(run, source.window.stop)
    label = f"{','.join(names)} (hills)"
    every = tuple(hills.names)
    axes = axes_of(every, [series], settings, asked=names, ends=grid_ends(run))
    surface = hills_surface(
        kept,
        axes,
        source.temperature(run),
        n_blocks=_ten(settings),
        samples=series.columns(every),
    )
    if len(every) > len(names):
        surface = surface.marginal(every.index(names[0]))
    elif every != names:  # the other way round
        raise ValueError(
            f"expected variables in the order of the bias, {','.join(every)}"
        )
    notes = [f"{len(kept.heights)} hills."]
    warnings = judge_independent(
        label, "free energy", surface.independent, surface.independent < _FEW
    )
    return _finish("hills", surface, settings, notes, warnings)


def _by_reweighting(source: Source, names: tuple[str, ...], settings: Any) -> Estimated:
    from ..analysis import reweighted_surface
    from ..analysis.free_energy.surface import balance

    kelvin = _one_temperature(source, source.runs)
    series, logs, starts = [], [], []
    for run in source.runs:
        start = _filled(source, run)
        one = variables_between(run, _window(source, start))
        energy = one.bias + one.restraints
        if run.record.get("bias", {}).get("kind") == _METADYNAMICS:
            energy = energy - _offsets(run, one, kelvin)
        series.append(one)
        logs.append(energy / (GAS_CONSTANT * kelvin))
        starts.append(start)
    axes = axes_of(names, series, settings)
    surface = reweighted_surface(
        [x.columns(names) for x in series],
        axes,
        kelvin,
        log_weights=balance(logs, [_name_bias(run) for run in source.runs]),
        n_blocks=_ten(settings),
    )
    number = sum(len(x.times) for x in series)
    notes = [
        f"{number} samples from {min(starts):.4g} ps on, worth {surface.effective:.3g} "
        "without bias."
    ]
    label = ",".join(names)
    warnings = judge_independent(
        label, "free energy", surface.independent, surface.independent < _FEW
    )
    return _finish("reweighting", surface, settings, notes, warnings)


def _finish(
    method: str, surface: Any, settings: Any, notes: list[str], warnings: list[str]
) -> Estimated:
    from ..analysis import supported_basins

    if settings.radial:
        surface = surface.radial()
    found, left_out = supported_basins(surface)
    notes = [*notes, *remarks(surface, left_out)]
    return Estimated(
        method,
        surface,
        found,
        radial=settings.radial,
        notes=notes,
        warnings=warnings,
    )


def _hills(run: Run, stop: float | None) -> tuple[Any, Any]:
    """Hills as they were read, and as the analysis takes them."""
    from ..analysis import Hills

    hills = read_hills(run)
    step = run.record.get("timestep_fs", np.nan) * 1e-3
    kept = slice(None) if stop is None else hills.steps * step <= stop
    return hills, Hills(
        hills.centers[kept], hills.widths[kept], hills.heights[kept], hills.bias_factor
    )


def _offsets(run: Run, series: VariableSeries, kelvin: float) -> np.ndarray:
    """Offset of the bias of metadynamics at each line, kJ/mol."""
    from ..analysis import bias_offsets, make_axis

    read, hills = _hills(run, None)
    described = {variable.name: variable for variable in series.variables}
    axes = []
    for k, name in enumerate(read.names):
        places, width = hills.centers[:, k], hills.widths[:, k].max()
        period = described[name].period
        limits = None
        if period is None:
            limits = places.min() - 3 * width, places.max() + 3 * width
        bins = _GRID[len(read.names)]
        axes.append(
            make_axis(name, "", places, period=period, limits=limits, bins=bins)
        )
    offsets = bias_offsets(hills, axes, kelvin)
    return offsets[np.searchsorted(read.steps, series.steps, side="left")]


def _one_temperature(source: Source, runs: Sequence[Run]) -> float:
    kelvin = [source.temperature(run) for run in runs]
    if max(kelvin) - min(kelvin) > 1e-6:
        raise ValueError(
            f"expected runs at one temperature, found {min(kelvin):g} to "
            f"{max(kelvin):g} K"
        )
    return kelvin[0]


def _equilibrated(source: Source, run: Run) -> float:
    """Time from which a window counts, in ps: as asked, as recorded, or as it looks."""
    if source.window.start is None and EQUILIBRATION in run.record:
        return run.record[EQUILIBRATION] * run.record["timestep_fs"] * 1e-3
    return source.start(run).time


def _filled(source: Source, run: Run) -> float:
    """Time from which samples of a run count: as asked, or when basins are filled."""
    if source.window.start is None and run.record.get("bias"):
        # not a start of the source, whose notes would tell it of all that is measured
        return max(equilibrated(run).time, _FILLING * run.simulated)
    return source.start(run).time


def _window(source: Source, start: float) -> Window:
    return replace(source.window, start=start)


def _ten(settings: Any) -> int:
    return settings.blocks or 10


def _name_bias(run: Run) -> str:
    """Bias and restraints of a run as text, to tell which runs have the same."""
    found = [run.record.get(name) for name in ("bias", "restraints")]
    return json.dumps(found, sort_keys=True)


def _name_window(run: Run) -> str:
    """Centres of a window's restraints: ``r 2.6``."""
    restraints = run.record.get("restraints", [])
    text = ", ".join(f"{r['variable']} {r['center']:g}" for r in restraints)
    return text or "none"
