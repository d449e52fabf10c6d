# SPDX-License-Identifier: MIT
"""Free energies over collective variables: hills, reweighting, umbrella windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..runs.source import Source
from ..utils.settings import setting
from .free_energy_runs import METHODS, Estimated, estimate, names_of
from .judgement import judge_windows
from .measurement import Measurement, Row
from .quantity import Quantity, Settings

_KCAL = 4.184  # kJ
_SCALES = {"kJ/mol": 1.0, "kcal/mol": 1.0 / _KCAL}


@dataclass(frozen=True)
class FreeEnergySettings(Settings):
    """Settings of free energies."""

    method: str = setting(
        "auto",
        about="From the hills of metadynamics, by reweighting of samples, or from "
        "umbrella windows by MBAR; auto takes windows where runs have different "
        "restraints, else all that the files allow",
        choices=METHODS,
    )
    bins: int | None = setting(
        None,
        about="Bins of each variable (default: 60 of one, 36 of each of two)",
        minimum=3,
        maximum=1000,
        metavar="N",
    )
    limits: tuple[float, ...] | None = setting(
        None,
        about="Lowest and highest value of each variable, in its unit: 2.4,6.0 "
        "(default: where the run was; of a dihedral, a turn)",
        metavar="LOW,HIGH",
        example="2.4,6.0",
    )
    radial: bool = setting(
        False,
        about="Add 2 R T ln r to that of a distance, so that the potential of mean "
        "force of free particles is constant",
    )
    unit: str = setting(
        "kJ/mol", about="Unit of the table", choices=tuple(_SCALES), metavar="UNIT"
    )
    blocks: int | None = setting(
        None,
        about="Blocks of each run that errors come from, each longer than the "
        "variables stay correlated (default: 10, or 5 of each window)",
        minimum=2,
        metavar="N",
    )


def measure_free_energy(
    source: Source, subjects: Sequence[str], settings: FreeEnergySettings
) -> Measurement:
    """Measure free energies over collective variables.

    Subjects are names of variables, ``phi``, or of two for a surface, ``phi,psi``.
    Results by item: ``centers`` of the bins of each variable, ``free_energy`` and
    ``error`` in kJ/mol, ``basins``, ``independent`` values; of windows ``overlap`` and
    their free energies, too.
    """
    results, rows, curves, warnings, notes = {}, [], {}, [], []
    drawn: dict[str, Estimated] = {}
    for names in _wanted(source, subjects):
        for label, found in estimate(source, names, settings).items():
            drawn[label] = found
            results[label] = _result(found)
            rows += _rows(label, found, settings.unit)
            curves[label] = _columns(found)
            warnings += found.warnings
            notes += found.notes
    for found in drawn.values():
        if found.windows is not None:
            warnings += judge_windows(found.windows.weak(), found.window_names)
            break
    return Measurement(
        rows,
        results,
        {
            "free_energy": "kJ/mol",
            "error": "kJ/mol",
            "free_energies": "kJ/mol",
            "free_energy_errors": "kJ/mol",
            "temperature": "K",
        }
        | dict.fromkeys(("minimum", "population", "barrier"), "kJ/mol")
        | dict.fromkeys(("centers", "place", "saddle"), _units_of_variables(drawn))
        | dict.fromkeys(
            ("independent", "independent_of_windows", "effective", "overlap"), "1"
        ),
        curves,
        lambda path: _plot(drawn, path),
        {"overlap": lambda path: _plot_overlap(drawn, path)},
        notes=list(dict.fromkeys(notes)),
        warnings=list(dict.fromkeys(warnings)),
    )


QUANTITY = Quantity(
    "free-energy",
    measure_free_energy,
    FreeEnergySettings,
    "free energy over collective variables of runs with a bias or restraints: from "
    "hills, by reweighting, or from umbrella windows (the folder of a protocol); "
    "minima, basins and barriers with errors, and the overlap of windows",
    subjects="[VARIABLE[,VARIABLE] ...]",
    read_subjects=list,
    window=("start", "stop"),
    temperature=True,
    figures={"overlap": "draw the overlap of windows"},
    folders=True,
)


def _wanted(source: Source, subjects: Sequence[str]) -> list[tuple[str, ...]]:
    """Tuples of one or two names of variables, as asked or as the bias has them."""
    if subjects:
        wanted = [tuple(filter(None, text.split(","))) for text in subjects]
    else:
        names = names_of(source.runs)
        wanted = [names] if len(names) == 2 else []
        wanted += [(name,) for name in names]
    for names in wanted:
        if not 1 <= len(names) <= 2 or len(set(names)) < len(names):
            raise ValueError(
                "expected names of variables, or two with a comma (phi,psi), found "
                f"{','.join(names)!r}"
            )
    return wanted


def _units_of_variables(drawn: dict[str, Estimated]) -> str:
    """Unit of the variables, or all of theirs: those of an item are beside it."""
    axes = (axis for found in drawn.values() for axis in found.surface.axes)
    return ", ".join(dict.fromkeys(axis.unit or "1" for axis in axes))


def _result(found: Estimated) -> dict[str, Any]:
    surface = found.surface
    result: dict[str, Any] = {
        "method": found.method,
        "variables": [axis.name for axis in surface.axes],
        "units": [axis.unit for axis in surface.axes],
        "centers": [axis.centers for axis in surface.axes],
        "free_energy": surface.values,
        "error": surface.errors,
        "temperature": surface.temperature,
        "radial": found.radial,
        "independent": surface.independent,
        "effective": surface.effective,
        "basins": [
            {k: v for k, v in basin._asdict().items() if k != "members"}
            for basin in found.basins
        ],
    }
    if found.windows is not None:
        windows = found.windows
        result |= {
            "windows": found.window_names,
            "overlap": windows.overlap,
            "free_energies": windows.free_energies,
            "free_energy_errors": windows.errors,
            "independent_of_windows": windows.independent,
        }
    return result


def _rows(label: str, found: Estimated, unit: str) -> list[Row]:
    """Rows of basins, the lowest first, and of the poorest overlap."""
    surface, scale, rows = found.surface, _SCALES[unit], []

    def row(name, value):
        rows.append(Row(label, name, *(scale * x for x in value), unit))

    for number, basin in enumerate(found.basins, start=1):
        units = surface.axes[0].unit
        for axis, place in zip(surface.axes, basin.place, strict=True):
            name = f"minimum {number}"
            if len(surface.axes) > 1:
                name += f", {axis.name}"
            error = _place_error(surface, basin, axis)
            rows.append(Row(label, name, place, error, axis.unit))
        rows.append(Row(label, f"population of {number}", *_share(surface, basin), "%"))
        if number == 1:
            continue
        row(f"minimum {number} above 1", basin.minimum)
        row(f"basin {number} relative to 1", basin.population)
        if basin.barrier is not None:
            at = ", ".join(f"{x:.4g}" for x in basin.saddle)
            row(f"barrier out of {number}, at {at} {units}".rstrip(), basin.barrier)
    if found.windows is not None:
        overlap = found.windows.overlap
        least = min(max(np.delete(line, i)) for i, line in enumerate(overlap))
        rows.append(Row(label, "least overlap with a neighbour", least, None, ""))
    return rows


def _place_error(surface: Any, basin: Any, axis: Any) -> float:
    """Error of where a minimum is: by the replicates, and by the width of a bin."""
    k = surface.axes.index(axis)
    moved = []
    for values in surface.replicates.values:
        inside = np.where(basin.members & np.isfinite(values), values, np.inf)
        lowest = np.unravel_index(np.argmin(inside), inside.shape)
        away = axis.distances(axis.centers[lowest[k]] - basin.place[k])
        moved.append(away if np.isfinite(inside).any() else np.nan)
    return float(np.hypot(surface.replicates.error(moved), axis.width / np.sqrt(12)))


def _share(surface: Any, basin: Any) -> tuple[float, float]:
    """Part of the population that is in a basin, in %, and its error."""

    def share(values):
        weights = np.exp(-(values - np.nanmin(values)) / surface.thermal)
        return 100 * np.nansum(weights[basin.members]) / np.nansum(weights)

    return surface.difference(share)


def _columns(found: Estimated) -> dict[str, Any]:
    """Columns of the CSV: a line for each bin."""
    surface = found.surface
    places = np.meshgrid(*(axis.centers for axis in surface.axes), indexing="ij")
    columns = {
        axis.label: place.ravel()
        for axis, place in zip(surface.axes, places, strict=True)
    }
    return columns | {
        "free energy (kJ/mol)": surface.values.ravel(),
        "error": surface.errors.ravel(),
    }


def _plot(drawn: dict[str, Estimated], path: Any) -> Any:
    """Draw the first surface of two variables, or the profiles of the first one."""
    from ..analysis import plot_profiles, plot_surface

    label, first = next(iter(drawn.items()))
    if len(first.surface.axes) == 2:
        marks = [basin.place for basin in first.basins]
        return plot_surface(first.surface, path, marks=marks, title=label)
    names = [axis.name for axis in first.surface.axes]
    same = {
        label: found.surface
        for label, found in drawn.items()
        if [axis.name for axis in found.surface.axes] == names
    }
    return plot_profiles(same, path)


def _plot_overlap(drawn: dict[str, Estimated], path: Any) -> Any:
    from ..analysis import plot_overlap

    for found in drawn.values():
        if found.windows is not None:
            return plot_overlap(found.windows.overlap, path, names=found.window_names)
    raise ValueError(
        "expected umbrella windows, runs with different restraints, to draw their "
        "overlap (--plot-overlap), found none"
    )
