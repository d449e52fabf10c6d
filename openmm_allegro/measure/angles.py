# SPDX-License-Identifier: MIT
"""Angles between the neighbours of an atom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..runs.selections import triplets
from ..runs.source import Source
from ..utils.settings import setting
from .judgement import judge_independent
from .measurement import Measurement, Part, Row, measure_items
from .quantity import Quantity, Settings, blocks_setting
from .shells import POSITIONS, first_shells, judge_shells, shell_radii
from .subjects import default_pairs

# Triplets where none is named: as many curves as a figure can show.
_MOST = 6


@dataclass(frozen=True)
class AngleSettings(Settings):
    """Settings of distributions of angles."""

    shell: tuple[float, ...] | None = setting(
        None,
        about="Radius that holds a around b, nm, or those of a and c: 0.2,0.3 "
        "(default: first minima of g(r))",
        above=0,
        unit="nm",
        metavar="NM",
        example="0.2,0.3",
    )
    bins: int = setting(90, about="Bins of 180°", minimum=1, metavar="N")
    blocks: int = blocks_setting()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shell and len(self.shell) > 2:
            raise ValueError(f"expected one --shell or two, found {len(self.shell)}")


class Triplet(NamedTuple):
    """Atoms of an angle a-b-c, and the radii around b in nm that hold a and c."""

    atoms: tuple[Any, Any, Any]
    radii: tuple[float, float]


def measure_angles(
    source: Source,
    subjects: Mapping[str, Sequence[Any]] | None,
    settings: AngleSettings,
) -> Measurement:
    """Measure distributions of the angle a-b-c of neighbours a and c of b.

    Where no triplet is named, it is of atoms of the solvent around each ion, or of the
    centres of molecules around each other where there are no ions. Results by triplet:
    fields of an AngleDistribution, and ``r_ab``, ``r_cb``.
    """
    from ..analysis import angle_distribution, plot_angles

    chosen, judged = (
        _with_radii(source, subjects, settings) if subjects else _default(source)
    )
    frames = source.frames(positions=POSITIONS)

    def measure(label, triplet):
        r_ab, r_cb = triplet.radii
        curve = angle_distribution(
            frames,
            *triplet.atoms,
            r_ab,
            r_cb,
            n_bins=settings.bins,
            n_blocks=settings.blocks,
        )
        mean = float(np.sum(curve.angle * curve.density) * 180.0 / settings.bins)
        top = float(curve.angle[np.argmax(curve.density)])
        radii = {"neighbours within": r_ab}
        if r_ab != r_cb:
            radii = {"first neighbour within": r_ab, "last neighbour within": r_cb}
        rows = [
            Row(label, "mean angle", mean, None, "°"),
            Row(label, "most frequent", top, None, "°"),
            *(Row(label, name, radius, None, "nm") for name, radius in radii.items()),
            Row(label, "angles", int(curve.n_angles), None, ""),
        ]
        warnings = judge_independent(
            label, "angles", curve.independent, curve.few, "number of the most frequent"
        )
        return Part(curve, rows, {"r_ab": r_ab, "r_cb": r_cb}, warnings=warnings)

    measurement = measure_items(
        chosen,
        measure,
        plot_angles,
        settings,
        units={
            "angle": "°",
            "density": "1/°",
            "error": "1/°",
            "r_ab": "nm",
            "r_cb": "nm",
            "n_angles": "1",
            "independent": "1",
            "few": "1",
        },
        columns={"angle (°)": "angle", "density (1/°)": "density", "error": "error"},
    )
    return replace(measurement, warnings=judged + measurement.warnings)


QUANTITY = Quantity(
    "angles",
    measure_angles,
    AngleSettings,
    "angles between neighbours, as a-b-c of neighbours a and c of b, degrees; where no "
    "triplet is named, of the solvent around each ion, or of molecules",
    subjects="[A-B-C ...]",
    read_subjects=triplets,
    section="structure",
    beads=True,
    centers=True,
)


def _with_radii(
    source: Source, subjects: Mapping[str, Sequence[Any]], settings: AngleSettings
) -> tuple[dict[str, Triplet], list[str]]:
    """Give triplets their radii, with warnings of those that are not well known."""
    chosen, warnings = {}, []
    for label, (a, b, c) in subjects.items():
        if settings.shell:
            radii = (*settings.shell, *settings.shell)[:2]
        else:
            ends = [f"{label}, first neighbours", f"{label}, last neighbours"]
            if isinstance(a, str) and a == c:
                ends = [label, label]
            around = dict(zip(ends, ((b, a), (b, c)), strict=True))
            found, judged = shell_radii(source, around)
            radii = [found[end] for end in ends]
            warnings += judged
        chosen[label] = Triplet((a, b, c), tuple(radii))
    return chosen, warnings


def _default(source: Source) -> tuple[dict[str, Triplet], list[str]]:
    """Choose triplets around ions, or around molecules where there are no ions."""
    pairs = default_pairs(source)
    shells, _ = first_shells(source, pairs)
    shown = {label: pair for label, pair in pairs.items() if label in shells}
    centered = [k for k, pair in shown.items() if pair.solvation and len(pair.b) > 1]
    centered = centered or [k for k, pair in shown.items() if pair.like]
    centered, chosen = centered[:_MOST], {}
    for label in centered:
        pair, radius = shown[label], shells[label].r_max
        a, b = pair.names
        chosen[f"{b}-{a}-{b}"] = Triplet((pair.b, pair.a, pair.b), (radius, radius))
    if not chosen:
        raise ValueError("expected at least one first shell, found none")
    return chosen, judge_shells({label: shells[label] for label in centered})
