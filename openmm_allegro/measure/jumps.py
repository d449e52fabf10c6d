# SPDX-License-Identifier: MIT
"""Jumps of mobile ions between the sites of a solid, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.defaults import LONG_BLOCKS
from ..runs.selections import selections
from ..runs.source import Source
from ..utils.settings import setting
from .diffusion import fit_start_setting
from .jump_judgement import judge_jumps
from .jump_motion import Motion, measure_motion, ratio
from .lattice import LATTICE, MOBILE, has_lattice, mobile_ions
from .measurement import Measurement, Row, each
from .quantity import MOTION, Quantity, Settings, blocks_setting, max_lag_setting
from .subjects import in_each_series

UNITS = {
    "rates": "1/ps",
    "lengths": "nm",
    "parts": "cm²/s",
    "jump_diffusion": "cm²/s",
    "tracer_diffusion": "cm²/s",
    "charge_diffusion": "cm²/s",
    "correlation_factor": "1",
    "haven_ratio": "1",
    "cores": "nm",
    "cell": "nm",
    "host_spread": "nm",
    "host_distance": "nm",
    "drift": "nm",
    "time": "ps",
    "lag_times": "ps",
} | dict.fromkeys(
    (
        *("survival", "survival_error", "censored", "fractional", "inside", "n_stays"),
        *(
            "numbers",
            "occupation",
            "occupations",
            "cages",
            "cosine",
            "returns",
            "shared",
            "site",
        ),
    ),
    "1",
)


@dataclass(frozen=True)
class JumpsSettings(Settings):
    """Settings of jumps between sites."""

    sites: str | None = setting(
        None,
        about="Crystal whose sites they are: CIF, POSCAR or PDB, of a cell of which "
        "the run's is a supercell, up to strain and rotation (default: the maxima of "
        "the ions' density)",
        metavar="FILE",
    )
    labels: str | None = setting(
        None,
        about="Labels of the sites in that file (default: all of the ions' element)",
        metavar="Li1,Li2",
    )
    cages: str | None = setting(
        None,
        about="Label of the file's atoms around which sites form cages: jumps within "
        "a cage and between two are told apart",
        metavar="LABEL",
    )
    host: str | None = setting(
        None,
        about="Atoms of the lattice, whose centre of mass is at rest (default: all but "
        "the ions)",
        metavar="SELECTION",
    )
    core: float | None = setting(
        None,
        about="Radius within which an ion is at a site, nm (default: 0.6 of half the "
        "distance to the nearest other site)",
        above=0,
        unit="nm",
        metavar="NM",
    )
    lengths: tuple[float, ...] | None = setting(
        None,
        about="Lengths that divide jumps into kinds, nm (default: gaps in the lengths "
        "that occur; none where there is no file of sites)",
        above=0,
        unit="nm",
        metavar="NM",
        example="0.2,0.4",
    )
    spread: float = setting(
        0.03,
        about="Width of the Gaussian that smooths the density of ions",
        above=0,
        unit="nm",
    )
    separation: float = setting(
        0.1,
        about="Smallest distance of two sites that are found in the density",
        above=0,
        unit="nm",
    )
    max_lag: float | None = max_lag_setting(
        "of one ion's motion a fifth, of all charge a twentieth"
    )
    fit_start: float | None = fit_start_setting()
    blocks: int = blocks_setting(LONG_BLOCKS, "; D of the charge has twice as many")


def measure_jumps(
    source: Source, subjects: Mapping[str, Any], settings: JumpsSettings
) -> Measurement:
    """Measure jumps between sites, their rates, and D by them and without them.

    Results by item: fields of a Jumps, with ``jump_diffusion`` for its diffusion;
    ``tracer_diffusion``, ``charge_diffusion``, ``correlation_factor`` and
    ``haven_ratio``; ``sites`` (fractional, kinds, cages, occupation) with ``cores`` and
    ``cell``; ``inside`` and ``shared`` parts of the positions; ``host_spread``,
    ``host_distance`` and ``drift``.
    """
    parts, failed = each(
        in_each_series(source, subjects), partial(_measure, source, settings), settings
    )
    figures = {
        "residence": lambda path: _draw_residence(parts, path),
        "sites": lambda path: _draw_sites(parts, path),
    }
    notes = [note for part in parts.values() for note in part["notes"]]
    if len(parts) > 1:
        notes.append("Figures of rates and of sites are of the first item.")
    return Measurement(
        [row for part in parts.values() for row in part["rows"]],
        {label: part["results"] for label, part in parts.items()},
        UNITS,
        {
            f"{label} {kind}": {
                "time (ps)": stay.lag_times,
                "stays that last": stay.survival,
                "error": stay.survival_error,
            }
            for label, part in parts.items()
            for kind, stay in part["jumps"].residences.items()
        },
        lambda path: _draw_rates(parts, path),
        figures=figures,
        notes=list(dict.fromkeys(notes)),
        failed=failed,
        warnings=[text for part in parts.values() for text in part["warnings"]],
    )


QUANTITY = Quantity(
    "jumps",
    measure_jumps,
    JumpsSettings,
    "jumps of ions between the sites of a solid; rates by kind of jump, residence "
    "times, D by jumps beside D of single ions, correlation factor and Haven ratio; "
    "where none is named, of the first of " + ", ".join(MOBILE),
    subjects="[ION ...]",
    default=mobile_ions,
    window=MOTION,
    figures={
        "residence": "draw how long stays at sites last",
        "sites": "draw where ions are, and the sites",
    },
    section="kinetics",
    applies=has_lattice,
)


def _measure(source: Source, settings: JumpsSettings, label: str, item: Any) -> dict:
    """Measure one item: rows, results, notes, warnings and what figures need."""
    from ..analysis import core_radii, find_stays, follow_in_host, jumps

    series, selection = item
    paths = follow_in_host(series.frames, selection, _host(settings))
    topology = series.frames.topology
    sites, distance = _sites(paths, topology, settings)
    stays = find_stays(paths, sites, core=settings.core)
    lengths = settings.lengths
    if lengths is None and settings.sites is None:
        lengths = ()
    result = jumps(stays, sites, edges=lengths, n_blocks=settings.blocks)
    motion = measure_motion(label, series, paths, settings)
    tracer = motion.tracer
    factor = None if tracer is None else ratio(tracer, result.diffusion)
    results = result._asdict() | {
        "residences": {k: x._asdict() for k, x in result.residences.items()},
        "jump_diffusion": result.diffusion,
        "tracer_diffusion": motion.tracer,
        "charge_diffusion": motion.charge,
        "correlation_factor": factor,
        "haven_ratio": motion.haven,
        "sites": sites._asdict() | {"occupation": stays.occupation},
        "cores": core_radii(sites, settings.core),
        "cell": sites.cell,
        "inside": stays.inside,
        "shared": stays.shared,
        "host_spread": paths.host_spread,
        "host_distance": distance,
        "drift": paths.drift,
    }
    del results["diffusion"]
    return {
        "rows": _rows(label, result, motion, factor, series.suffix),
        "results": results,
        "notes": _notes(label, sites, distance, paths, settings),
        "warnings": [
            *judge_jumps(label, result, stays, paths.host_spread, LATTICE),
            *motion.warnings,
        ],
        "jumps": result,
        "sites": sites,
        "paths": paths,
    }


def _host(settings: JumpsSettings) -> Any:
    if settings.host is None:
        return None
    return next(iter(selections([settings.host]).values()))


def _sites(paths: Any, topology: Any, settings: JumpsSettings) -> tuple[Any, float]:
    """Sites of a file, or of the density; and how far the file's host is, in nm."""
    from ..analysis import density_sites, place_sites
    from ..runs.crystal import read_crystal

    if settings.sites is None:
        for name in ("labels", "cages"):
            if getattr(settings, name) is not None:
                raise ValueError(f"expected --sites FILE with --{name}, found none")
        found = density_sites(
            paths.fractional,
            paths.cell,
            spread=settings.spread,
            separation=settings.separation,
        )
        return found, np.nan
    symbols = [topology.atom(i).element.symbol for i in paths.host]
    labels = settings.labels
    return place_sites(
        read_crystal(settings.sites),
        topology.atom(paths.ions[0]).element.symbol,
        paths,
        symbols,
        labels=None if labels is None else [x.strip() for x in labels.split(",")],
        cage=settings.cages,
    )


def _rows(
    label: str, result: Any, motion: Motion, factor: Any, suffix: str
) -> list[Row]:
    rows = []
    if motion.tracer is not None:
        rows.append(Row(label, "D", *motion.tracer, "cm²/s"))
    rows.append(Row(label, "D by jumps", *result.diffusion, "cm²/s"))
    if factor is not None:
        rows.append(Row(label, "correlation factor", *factor, ""))
    if motion.charge is not None:
        rows += [
            Row(label, "D of charge", *motion.charge, "cm²/s"),
            Row(label, "Haven ratio", *motion.haven, ""),
        ]
    rows += [
        Row(label, "cosine of successive jumps", *result.cosine, ""),
        Row(label, "jumps that go back", *result.returns, ""),
    ]
    for kind, stay in result.residences.items():
        if stay.n_stays:
            rows.append(Row(kind + suffix, "residence time", *stay.time, "ps"))
        held = result.occupations[kind]
        rows.append(Row(kind + suffix, "ions at a site", held, None, ""))
    for k, kind in enumerate(result.kinds):
        rate = (float(x[k]) for x in result.rates)
        rows += [
            Row(kind + suffix, "rate", *rate, "1/ps"),
            Row(kind + suffix, "length", float(result.lengths[k]), None, "nm"),
            Row(kind + suffix, "jumps", int(result.numbers[k]), None, ""),
        ]
    return rows


def _notes(
    label: str, sites: Any, distance: float, paths: Any, settings: JumpsSettings
) -> list[str]:
    if settings.sites is None:
        found = "maxima of the ions' density"
    elif np.isnan(distance):
        found = f"sites of {settings.sites}, which has no other atoms to place them by"
    else:
        found = (
            f"sites of {settings.sites}, whose other atoms are {distance:.2g} nm from "
            "the run's (root mean square)"
        )
    drift = ""
    if paths.drift > 1e-3:
        drift = f" The lattice drifted by {paths.drift:.2g} nm, which is removed."
    return [f"{label}: {len(sites.kinds)} {found}.{drift}"]


def _draw_rates(parts: Mapping[str, dict], path: Path) -> Path:
    from ..analysis import plot_jumps

    return plot_jumps(next(iter(parts.values()))["jumps"], path)


def _draw_residence(parts: Mapping[str, dict], path: Path) -> Path:
    from ..analysis import plot_residence

    stays = {
        kind if len(parts) == 1 else f"{label} {kind}": stay
        for label, part in parts.items()
        for kind, stay in part["jumps"].residences.items()
        if stay.n_stays
    }
    return plot_residence(stays, path)


def _draw_sites(parts: Mapping[str, dict], path: Path) -> Path:
    from ..analysis import plot_sites

    part = next(iter(parts.values()))
    return plot_sites(part["paths"].fractional, part["sites"], path)
