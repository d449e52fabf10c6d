# SPDX-License-Identifier: MIT
"""Radial distributions, coordination numbers and potentials of mean force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..analysis.defaults import BIN_WIDTH
from ..runs.selections import pairs
from ..runs.source import Source
from ..utils.settings import setting
from .judgement import judge_independent
from .measurement import Measurement, Row
from .quantity import (
    Quantity,
    Settings,
    bin_width_setting,
    blocks_setting,
    intermolecular_setting,
    shell_setting,
)
from .shells import (
    R_MAX,
    count_distances,
    first_shell,
    judge_shells,
    one_each,
    whole_shell,
    within_molecules,
)
from .subjects import TOTAL, all_element_pairs, default_pairs

_ELEMENTS = "elements"
_UNITS = dict.fromkeys(
    ("r", "r_max", "r_peak", "r_range", "bond"), "nm"
) | dict.fromkeys(
    (
        "number_range",
        "g",
        "g_error",
        "g_peak",
        "number",
        "number_error",
        "independent",
        "few",
        "between_molecules",
    ),
    "1",
)
_UNITS["growth"] = "1/nm"


@dataclass(frozen=True)
class RdfSettings(Settings):
    """Settings of radial distributions."""

    r_max: float | None = setting(
        None,
        about=f"End of g(r), nm (default: half the cell, {R_MAX} at most)",
        unit="nm",
        metavar="NM",
    )
    bin_width: float = bin_width_setting(BIN_WIDTH)
    shell: tuple[float, ...] | None = shell_setting()
    intermolecular: bool = intermolecular_setting()
    potential: bool = setting(
        False,
        about="The potential of mean force too, kJ/mol; --plot and --csv are then of "
        "it",
    )
    blocks: int = blocks_setting()


def measure_rdf(
    source: Source,
    subjects: Mapping[str, Sequence[Any]] | str,
    settings: RdfSettings,
) -> Measurement:
    """Measure g(r) and coordination numbers, and the potential of mean force if asked.

    Results by pair: ``distribution`` (RadialDistribution), ``coordination``
    (Coordination, or None), ``between_molecules``, whether that leaves out pairs of
    atoms in one molecule, ``bond``, where these are most frequent, in nm or None,
    ``potential_of_mean_force``. `failed` has the pairs without a shell.
    """
    from ..analysis import plot_rdf

    temperature = source.temperature() if settings.potential else None
    if subjects == _ELEMENTS:
        subjects = all_element_pairs(source)
    counted = _count(source, subjects, settings)
    curves, shells, failed, bonds, apart, mixed = counted
    rows = []
    for label, shell in shells.items():
        between = " between molecules" if label in mixed else ""
        if label in bonds:
            name = "highest within molecules, at"
            rows.append(Row(label, name, bonds[label], None, "nm"))
        number = shell.number, shell.number_error
        rows += [
            Row(label, f"first peak{between}", shell.r_peak, None, "nm"),
            Row(label, "g at the peak", shell.g_peak, None, ""),
            Row(label, f"coordination number{between}", *number, ""),
            Row(label, "within", shell.r_max, _farthest(shell), "nm"),
            Row(label, "more neighbours", 0.01 * shell.growth, None, "per 0.01 nm"),
        ]
    measurement = Measurement(
        rows,
        {
            label: {
                "distribution": curve,
                "coordination": shells.get(label),
                "between_molecules": settings.intermolecular or label in mixed,
                "bond": bonds.get(label),
            }
            for label, curve in curves.items()
        },
        _UNITS,
        {
            label: {"r (nm)" if k == "r" else k: v for k, v in curve._asdict().items()}
            for label, curve in curves.items()
        },
        lambda path: plot_rdf(curves, path, coordination=shells),
        failed=failed,
        warnings=[
            text
            for label, shell in shells.items()
            for text in judge_independent(
                label, "coordination number", shell.independent, shell.few
            )
        ]
        + judge_shells(shells),
    )
    if settings.potential:
        return _with_potential(curves | apart, temperature, measurement)
    return measurement


def _count(
    source: Source,
    subjects: Mapping[str, Sequence[Any]],
    settings: RdfSettings,
) -> tuple[dict, dict, dict, dict, dict, list]:
    """Count pairs: curves, shells, reasons where there is none, and lengths of bonds.

    Shells are of pairs in different molecules, where there are others, too; the curves
    of these pairs, and the labels of those with others, come last.
    """
    within = {label: pair for label, pair in subjects.items() if label != TOTAL}
    asked = {}
    if settings.shell is not None:
        asked = one_each(settings.shell, within, "--shell")
    width = {"r_max": settings.r_max, "bin_width": settings.bin_width}
    counted, inside = count_distances(
        source, subjects, **width, shells=asked, apart=settings.intermolecular
    )
    curves = {
        label: _distribution(histogram, settings.blocks)
        for label, histogram in counted.items()
    }
    bonds, apart = {}, {}
    mixed = within_molecules(source, subjects)
    parted = [label for label in mixed if label in within]
    if parted and not settings.intermolecular:
        shells = {label: asked[label] for label in parted if asked}
        some = {label: subjects[label] for label in parted}
        between, inner = count_distances(
            source, some, **width, shells=shells, apart=True
        )
        bonds = {k: _highest_bond(counted[k], between[k]) for k in parted}
        apart = {k: _distribution(between[k], settings.blocks) for k in parted}
        counted, inside = counted | between, inside | inner
    shells, failed = {}, {}
    for label in within:
        try:
            if label in inside:
                shells[label] = whole_shell(inside[label], settings.blocks)
            else:
                shells[label] = first_shell(counted[label], settings.blocks)
        except ValueError as error:  # the curve is worth having without it
            failed[label] = f"no coordination number, {error}"
    return curves, shells, failed, bonds, apart, mixed


def _farthest(shell: Any) -> float | None:
    """How far the range of a radius reaches from it; None of one that was given."""
    if shell.r_range is None:
        return None
    return max(abs(end - shell.r_max) for end in shell.r_range)


def _highest_bond(counted: Any, between: Any) -> float:
    """Distance in nm at which g(r) of pairs in one molecule is highest."""
    inside = (counted.counts - between.counts).sum(axis=0)
    highest = int(np.argmax(inside / counted.ideal.sum(axis=0)))
    return float(0.5 * (counted.edges[highest] + counted.edges[highest + 1]))


def _distribution(histogram: Any, n_blocks: int) -> Any:
    """Make the curve of a histogram; that of a single frame has no errors."""
    from ..analysis.structure.rdf import RDF, distribution_of

    blocks = min(n_blocks, len(histogram.counts))
    if blocks > 1:
        return distribution_of(histogram, blocks)
    centers = 0.5 * (histogram.edges[1:] + histogram.edges[:-1])
    return RDF(centers, histogram.counts.sum(axis=0) / histogram.ideal.sum(axis=0))


def _with_potential(curves: dict, temperature: float, base: Measurement) -> Measurement:
    """Add the potentials of mean force, which the figure and the CSV are then of."""
    from ..analysis import plot_potential, potential_of_mean_force

    if any(len(curve) == 2 for curve in curves.values()):
        raise ValueError("expected at least 2 frames with --potential, found 1")
    work = {
        label: potential_of_mean_force(curve, temperature)
        for label, curve in curves.items()
    }
    rows = list(base.rows)
    for label, w in work.items():
        deepest = int(np.argmin(w.potential))
        depth = float(w.potential[deepest]), float(w.error[deepest])
        rows += [
            Row(label, "deepest potential of mean force", *depth, "kJ/mol"),
            Row(label, "at", float(w.r[deepest]), None, "nm"),
        ]
    return replace(
        base,
        rows=rows,
        results={
            label: result | {"potential_of_mean_force": work[label]}
            for label, result in base.results.items()
        },
        units=base.units | {"potential": "kJ/mol", "error": "kJ/mol"},
        curves={
            label: {
                "r (nm)": w.r,
                "potential (kJ/mol)": w.potential,
                "error (kJ/mol)": w.error,
            }
            for label, w in work.items()
        },
        plot=lambda path: plot_potential(work, path),
    )


QUANTITY = Quantity(
    "rdf",
    measure_rdf,
    RdfSettings,
    "g(r), coordination numbers, potentials of mean force; where no pair is named, "
    "ions and what surrounds them and the centres of molecules, or all pairs of "
    "elements and the total where there are no molecules or the word elements is given",
    subjects="[A-B ... | elements]",
    read_subjects=lambda items: _ELEMENTS if items == [_ELEMENTS] else pairs(items),
    default=default_pairs,
    temperature=True,
    beads=True,
    centers=True,
)
