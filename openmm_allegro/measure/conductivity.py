# SPDX-License-Identifier: MIT
"""Conductivity by Einstein, by Nernst and Einstein, by Green and Kubo."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..runs.charges import Charges, read_charges
from ..runs.frames import system_of
from ..runs.run import Run
from ..runs.selections import selections
from ..runs.source import Series, Source
from ..runs.velocities import has_velocities
from ..utils.settings import setting
from .diffusion import fit_start_setting
from .judgement import (
    check_flight,
    judge_integral,
    judge_motion,
    judge_size,
)
from .measurement import Measurement, Part, Row, measure_items
from .quantity import MOTION, Quantity, Settings, blocks_setting, max_lag_setting
from .velocities import cutoff_setting, green_kubo_units, longest_lag

_ONSAGER = "mol²/(J m s)"
# Charge in e of all ions that charges given with few digits may have by rounding.
_ROUNDING = 1e-3
_UNITS = green_kubo_units("S/m") | {
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
    "charges": "e",
    "ion_displacements": "nm",
    "exponent": "1",
}


@dataclass(frozen=True)
class ConductivitySettings(Settings):
    """Settings of the conductivity."""

    charges: str | None = setting(
        None,
        about="Charge numbers by element or by residue name (of a whole molecule), or "
        "a file of one number for each atom; SPECIES say what the ions are then "
        "(default: those of the run's System, or formal ones of ions of one atom, "
        "never those that a model gives the atoms)",
        metavar="Na=1,Cl=-1",
    )
    reference: str = setting(
        "all",
        about="Atoms whose centre of mass is at rest: a selection, all, or cell",
        metavar="SELECTION",
    )
    max_lag: float | None = max_lag_setting(
        "of velocities 2 ps, or nearly a block; of paths a twentieth"
    )
    fit_start: float | None = fit_start_setting()
    velocities: str | None = setting(
        None,
        about="HDF5 trajectory with velocities, where there is no PREFIX.h5",
        metavar="FILE",
    )
    cutoff: float | None = cutoff_setting()
    blocks: int = blocks_setting()


def measure_conductivity(
    source: Source, subjects: Mapping[str, Any] | None, settings: ConductivitySettings
) -> Measurement:
    """Measure the conductivity and its parts, from velocities too where there are any.

    Subjects are species, by default those that carry the charges. Results by run:
    fields of a Conductivity, ``green_kubo`` (GreenKubo or None), ``charges`` (by
    species) and ``neutral``, whether the ions have no charge together.
    """
    from ..analysis import conductivity, plot_conductivity

    if settings.velocities is not None and len(source.runs) > 1:
        raise ValueError("expected --velocities with one run, found several")
    reference = _reference(settings.reference)

    def measure(label, series):
        topology = series.frames.topology
        system = system_of(series.run, topology.n_atoms)
        of_system = None if system is None else system.charges
        charges = read_charges(settings.charges, topology, of_system)
        result = conductivity(
            series.frames,
            charges.of_atoms,
            source.temperature(series.run),
            species=subjects or charges.species or None,
            reference=reference,
            max_lag=settings.max_lag,
            fit_start=settings.fit_start,
            n_blocks=settings.blocks,
        )
        longest = float(result.lag_times[-1])
        flies = "ballistic" if "ballistic" in result.regimes else ""
        check_flight(flies, result.exponent, longest, "conductivity")
        integral, missing = _integral(source, series, charges, reference, settings)
        notes = [f"{label}: {note}" for note in missing]
        notes += _notes(label, result)
        more = {
            "green_kubo": integral,
            "charges": charges.numbers,
            "origin_of_charges": charges.origin,
            "neutral": _neutral(result),
        }
        rows = _rows(result, integral, series.suffix)
        return Part(result, rows, more, notes, _judge(label, result, integral))

    measurement = measure_items(
        {"all" + series.suffix: series for series in source.series()},
        measure,
        lambda results, path: plot_conductivity(next(iter(results.values())), path),
        settings,
        units=_UNITS,
        columns={
            "lag time (ps)": "lag_times",
            "displacement (e² nm²)": "displacement",
        },
    )
    results, notes = measurement.results, measurement.notes
    if len(results) > 1:
        notes = [*notes, "A figure is of the first run."]
    figures = {"green_kubo": lambda path: _draw_integrals(results, path)}
    return replace(measurement, notes=notes, figures=figures)


QUANTITY = Quantity(
    "conductivity",
    measure_conductivity,
    ConductivitySettings,
    "conductivity, S/m, and its parts: Haven ratio, transference numbers, Onsager "
    "coefficients; from velocities too where there is PREFIX.h5",
    subjects="[SPECIES ...]",
    window=MOTION,
    temperature=True,
    figures={"green_kubo": "draw the Green-Kubo integrals"},
    charges_of_ions=True,
)


def _rows(result: Any, integral: Any, suffix: str) -> list[Row]:
    """Make the table of a Conductivity, and of a GreenKubo where there is one."""
    label = "all" + suffix
    rows = [
        Row(label, "conductivity", *result.einstein, "S/m"),
        Row(label, "conductivity, Nernst-Einstein", *result.nernst_einstein, "S/m"),
        Row(label, "Haven ratio", *result.haven_ratio, ""),
        Row(label, "fitted from", result.fit_start, None, "ps"),
        Row(label, "to", float(result.lag_times[-1]), None, "ps"),
    ]
    for i, name in enumerate(result.species):
        number = (float(x[i]) for x in result.transference)
        own = (float(x[i]) for x in result.self_part)
        rows.append(Row(name + suffix, "transference number", *number, ""))
        rows.append(Row(name + suffix, "self part", *own, "S/m"))
    for i, first in enumerate(result.species):
        for j in range(i, len(result.species)):
            value = (float(x[i, j]) for x in result.onsager)
            pair = f"{first}-{result.species[j]}{suffix}"
            rows.append(Row(pair, "Onsager coefficient", *value, _ONSAGER))
    if integral is not None:
        rows += [
            Row(label, "conductivity, Green-Kubo", *integral.coefficient, "S/m"),
            Row(label, "integrated to", integral.cutoff, None, "ps"),
        ]
    return rows


def _judge(label: str, result: Any, integral: Any) -> list[str]:
    """Judge the motion of the ions, and the end of the integral."""
    longest = float(result.lag_times[-1])
    warnings = [
        text
        for name, regime, moved in zip(
            result.species, result.regimes, result.ion_displacements, strict=True
        )
        for text in judge_motion(
            name, "its conductivity", regime, moved, result.exponent, longest
        )
    ]
    if not warnings:
        warnings = judge_size(
            "The Einstein conductivity",
            *result.einstein,
            ": all ions together give one displacement at a time, and this takes long "
            "runs",
        )
    if integral is not None:
        warnings += judge_integral(label, "Green-Kubo conductivity", integral)
    return warnings


def _notes(label: str, result: Any) -> list[str]:
    """Name the frame of reference, and a net charge."""
    notes = [f"{label}: frame of reference: {result.reference}."]
    if not _neutral(result):
        notes.append(
            f"{label}: the ions have a charge of {result.net_charge:.4g} e, so that "
            "the conductivity too depends on the frame of reference."
        )
    return notes


def _neutral(result: Any) -> bool:
    """Whether the charges of the ions add up to nothing but rounding."""
    return bool(abs(result.net_charge) <= _ROUNDING)


def _integral(
    source: Source,
    series: Series,
    charges: Charges,
    reference: str | None,
    settings: ConductivitySettings,
) -> tuple[Any, list[str]]:
    """GreenKubo of a run or None, and the reason if its velocities do not allow it."""
    try:
        return _green_kubo(source, series, charges, reference, settings), []
    except ValueError as error:  # Einstein's is worth having without it
        if settings.velocities is not None:
            raise
        return None, [f"no conductivity of Green and Kubo, {error}."]


def _green_kubo(
    source: Source,
    series: Series,
    charges: Charges,
    reference: str | None,
    settings: ConductivitySettings,
) -> Any:
    """Integrate the correlation of the current; None without velocities."""
    from ..analysis import green_kubo_conductivity

    run = _with_velocities(series.run, settings.velocities)
    if run is None:
        return None
    charged = np.flatnonzero(charges.of_atoms)
    velocities = source.velocities(run, charged, reference)
    return green_kubo_conductivity(
        velocities.values,
        charges.of_atoms[charged],
        source.temperature(run),
        series.frames.volume,
        velocities.time_step,
        max_lag=longest_lag(velocities, settings),
        cutoff=settings.cutoff,
        n_blocks=settings.blocks,
    )


def _draw_integrals(results: dict[str, Any], path: Path) -> None:
    """Draw the integrals of the runs that have velocities."""
    from ..analysis import plot_green_kubo

    integrals = {k: x["green_kubo"] for k, x in results.items() if x["green_kubo"]}
    if not integrals:
        raise ValueError(
            "expected velocities with --plot-green-kubo, found none; give --velocities"
        )
    plot_green_kubo(integrals, path, ylabel=r"$\sigma(t)$ (S/m)")


def _with_velocities(run: Run, given: str | None) -> Run | None:
    """Give a run the file of its velocities; None where there is none.

    An HDF5 trajectory that was given for its frames may hold none.
    """
    path = Path(given) if given else run.velocities
    if path is None:
        return None
    if not path.is_file():
        raise FileNotFoundError(f"expected velocities, found nothing at {path}")
    return replace(run, velocities=path) if has_velocities(path) else None


def _reference(text: str) -> str | None:
    """Selection of the atoms of reference; None for the frame of the cell."""
    return None if text == "cell" else next(iter(selections([text]).values()))
