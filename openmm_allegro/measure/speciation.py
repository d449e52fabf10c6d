# SPDX-License-Identifier: MIT
"""Environments of ions, and clusters of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..runs.selections import pairs
from ..runs.source import Source
from .judgement import judge_change, judge_independent
from .measurement import Measurement, Row, each
from .quantity import (
    Quantity,
    Settings,
    blocks_setting,
    intermolecular_setting,
    shell_setting,
)
from .shells import (
    POSITIONS,
    first_shells,
    judge_molecules,
    judge_shells,
    shell_radii,
)
from .subjects import default_pairs, names_of


@dataclass(frozen=True)
class SpeciationSettings(Settings):
    """Settings of environments."""

    shell: tuple[float, ...] | None = shell_setting()
    intermolecular: bool = intermolecular_setting()
    blocks: int = blocks_setting()


@dataclass(frozen=True)
class ClusterSettings(SpeciationSettings):
    """Settings of clusters."""


class Environment(NamedTuple):
    """Neighbours of a kind of centre.

    Attributes
    ----------
    centers : str or (n,) array of int
    ligands : dict of str to (selection, float)
        Atoms and radius in nm of each kind of neighbour.
    """

    centers: Any
    ligands: dict[str, tuple[Any, float]]


def measure_speciation(
    source: Source,
    subjects: Mapping[str, Sequence[Any]] | None,
    settings: SpeciationSettings,
) -> Measurement:
    """Measure how often a centre has how many neighbours of each kind.

    Pairs are of one centre. Where none is named, it is each ion with its shells of
    solvent and of other ions. Results by centre: ``kinds``, ``shells`` (nm) and
    ``environments``.
    """
    from ..analysis import plot_speciation
    from ..analysis.statistics import holds_few, independent_values
    from ..analysis.structure.speciation import environments_by_frame, fractions

    chosen, unknown = (
        _of_pairs(source, subjects, settings) if subjects else _default(source)
    )
    frames = source.frames(positions=POSITIONS)
    molecules = source.molecules if settings.intermolecular else None

    parts, failed = each(
        chosen,
        lambda _, environment: environments_by_frame(frames, *environment, molecules),
        settings,
    )
    rows, results, figures = [], {}, {}
    warnings = judge_molecules(source, subjects or {}, settings.intermolecular)
    warnings += unknown
    for name, by_frame in parts.items():
        of_center = fractions(by_frame, settings.blocks)
        # Of the most frequent environment, the first.
        series = by_frame.parts[:, by_frame.kinds.index(next(iter(of_center)))]
        independent = independent_values(series)
        warnings += judge_independent(
            name,
            "environments",
            independent,
            holds_few(series),
            "part of the most frequent",
        ) or judge_change(
            name, "most frequent environment", next(iter(of_center.values())).error
        )
        ligands = chosen[name].ligands
        first = f"{name}: " if len(parts) > 1 else ""
        for numbers, part in of_center.items():
            words = " ".join(f"{n} {k}" for n, k in zip(numbers, ligands, strict=True))
            rows.append(Row(first + words, "part of the centres", *part, ""))
        rows += [
            Row(f"{name}-{kind}", "within", radius, None, "nm")
            for kind, (_, radius) in ligands.items()
        ]
        results[name] = {
            "kinds": list(ligands),
            "shells": [radius for _, radius in ligands.values()],
            "environments": [
                {"numbers": numbers, "value": value, "error": error}
                for numbers, (value, error) in of_center.items()
            ],
            "independent": independent,
        }
        figures[name] = partial(plot_speciation, of_center, list(ligands))
    first, *others = figures
    return Measurement(
        rows,
        results,
        {
            "shells": "nm",
            "numbers": "1",
            "value": "1",
            "error": "1",
            "independent": "1",
            "few": "1",
        },
        plot=figures[first],
        figures=figures,
        notes=[f"The figure is of {first}."] if others else [],
        failed=failed,
        warnings=warnings,
    )


def measure_clusters(
    source: Source,
    subjects: Mapping[str, Sequence[Any]] | None,
    settings: ClusterSettings,
) -> Measurement:
    """Measure sizes of the clusters that contacts of one pair hold together.

    Results by pair: fields of Clusters, and ``r_max``.
    """
    from ..analysis import clusters, plot_clusters

    if not subjects or len(subjects) != 1:
        present = " ".join(subjects or ()) or "none"
        raise ValueError(f"expected one pair such as Na-Cl, found {present}")
    ((label, pair),) = subjects.items()
    apart = settings.intermolecular
    radii, unknown = shell_radii(source, subjects, settings.shell, apart=apart)
    radius = radii[label]
    sizes = clusters(
        source.frames(positions=POSITIONS),
        *pair[:2],
        radius,
        n_blocks=settings.blocks,
        molecules=source.molecules if apart else None,
    )
    rows = [Row(label, "mean size", *map(float, sizes.mean_size), "")]
    for size, value, error in zip(sizes.sizes, *sizes.fraction, strict=True):
        name = "part of the ions alone" if size == 1 else f"in clusters of {size}"
        rows.append(Row(label, name, float(value), float(error), ""))
    rows.append(Row(label, "within", radius, None, "nm"))
    return Measurement(
        rows,
        {label: sizes._asdict() | {"r_max": radius}},
        {"r_max": "nm"}
        | dict.fromkeys(("sizes", "fraction", "mean_size", "independent", "few"), "1"),
        {
            label: {
                "size": sizes.sizes,
                "part of the ions": sizes.fraction.value,
                "error": np.asarray(sizes.fraction.error),
            }
        },
        lambda path: plot_clusters(sizes, path),
        warnings=judge_molecules(source, subjects, apart)
        + unknown
        + (
            judge_independent(
                label, "clusters", sizes.independent, sizes.few, "mean size"
            )
            or judge_change(label, "mean size", float(sizes.mean_size.error))
        ),
    )


SPECIATION = Quantity(
    "speciation",
    measure_speciation,
    SpeciationSettings,
    "how often a centre A has how many neighbours of each kind; where no pair is "
    "named, each ion and its shells of solvent and of other ions",
    subjects="[A-B A-C ...]",
    read_subjects=pairs,
    curves=False,
    centers=True,
)
CLUSTERS = Quantity(
    "clusters",
    measure_clusters,
    ClusterSettings,
    "sizes of clusters that contacts of a and b, as Na-Cl, hold together",
    subjects="A-B",
    read_subjects=pairs,
    centers=True,
)


def _of_pairs(
    source: Source, subjects: Mapping[str, Sequence[Any]], settings: SpeciationSettings
) -> tuple[dict[str, Environment], list[str]]:
    """Take the environment of the one centre of some pairs, with warnings of radii."""
    names = {label: names_of(pair) for label, pair in subjects.items()}
    centers = {center for center, _ in names.values()}
    if len(centers) > 1:
        raise ValueError(
            "expected pairs of one centre, such as Na-O Na-Cl, found "
            + " ".join(subjects)
        )
    apart = settings.intermolecular
    radii, warnings = shell_radii(source, subjects, settings.shell, apart=apart)
    ligands = {
        names[label][1]: (pair[1], radii[label]) for label, pair in subjects.items()
    }
    if len(ligands) < len(subjects):
        raise ValueError(
            f"expected each kind of neighbour once, found {' '.join(subjects)}"
        )
    first = next(iter(subjects.values()))
    return {centers.pop(): Environment(first[0], ligands)}, warnings


def _default(source: Source) -> tuple[dict[str, Environment], list[str]]:
    """Choose each ion that has a shell of solvent, and what has shells around it."""
    around = default_pairs(source)
    shells, _ = first_shells(source, around)
    chosen: dict[str, Environment] = {}
    used = {}
    solvated = {p.names[0] for k, p in around.items() if p.solvation and k in shells}
    for label, pair in around.items():
        if pair.like or label not in shells:
            continue
        ends = [(*pair.names, pair.a, pair.b), (*pair.names[::-1], pair.b, pair.a)]
        for center, ligand, a, b in ends:
            if center in solvated and (pair.solvation or ligand in solvated):
                environment = chosen.setdefault(center, Environment(a, {}))
                environment.ligands[ligand] = (b, shells[label].r_max)
                used[label] = shells[label]
    if not chosen:
        raise ValueError("expected ions with a first shell, found none")
    return chosen, judge_shells(used)
