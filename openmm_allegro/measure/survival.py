# SPDX-License-Identifier: MIT
"""Lifetimes, residence times and survival functions of contacts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..analysis.defaults import LONG_BLOCKS
from ..runs.selections import pairs
from ..runs.source import Source
from ..utils.settings import setting
from .judgement import judge_contacts
from .measurement import Measurement, Part, Row, measure_items
from .quantity import (
    MOTION,
    Quantity,
    Settings,
    blocks_setting,
    intermolecular_setting,
    max_lag_setting,
)
from .shells import (
    POSITIONS,
    first_shells,
    judge_molecules,
    judge_shells,
    one_each,
)
from .subjects import in_each_series, unlike_pairs

# A contact breaks beyond so many times the first minimum of g(r).
BEYOND = 1.1
_UNITS = {
    "lifetime": "ps",
    "residence_time": "ps",
    "lag_times": "ps",
    "continuous": "1",
    "continuous_error": "1",
    "intermittent": "1",
    "intermittent_error": "1",
    "random": "1",
    "n_breaks": "1",
    "remaining": "1",
    "radii": "nm",
}


@dataclass(frozen=True)
class SurvivalSettings(Settings):
    """Settings of survival functions."""

    shell: tuple[float, ...] | None = setting(
        None,
        about="Radius below which a contact forms, nm, or one for each pair: 0.36,0.32 "
        "(default: first maximum of g(r))",
        above=0,
        unit="nm",
        metavar="NM",
        example="0.36,0.32",
    )
    outer: tuple[float, ...] | None = setting(
        None,
        about="Radius beyond which a contact breaks, nm, or one for each pair "
        f"(default: --shell, or {BEYOND} times the first minimum of g(r))",
        above=0,
        unit="nm",
        metavar="NM",
        example="0.36,0.32",
    )
    tolerance: float = setting(
        0.0, about="Absences that do not break a contact", unit="ps", minimum=0
    )
    max_lag: float | None = max_lag_setting("nearly a block")
    intermolecular: bool = intermolecular_setting()
    blocks: int = blocks_setting(LONG_BLOCKS)


def measure_survival(
    source: Source, subjects: Mapping[str, Sequence[Any]], settings: SurvivalSettings
) -> Measurement:
    """Measure lifetimes, residence times and survival functions of contacts.

    Results by pair: fields of a Survival; ``radii`` (inner, outer) in nm;
    ``lower_bound``, whether contacts outlast the integral of the residence time.
    """
    from ..analysis import contacts, plot_survival, survival
    from ..analysis.dynamics.kinetics import REMAINING

    radii, without_shell, unknown = _radii(source, subjects, settings)

    def measure(label, item):
        series, name = item
        inner, outer = radii[name]
        touching = contacts(
            series.frames,
            *subjects[name][:2],
            inner,
            r_out=outer,
            tolerance=settings.tolerance,
            molecules=source.molecules if settings.intermolecular else None,
        )
        longest = settings.max_lag
        if longest is None:
            frames = touching.n_frames // settings.blocks - 1
            longest = frames * touching.time_step
        curve = survival(touching, max_lag=longest, n_blocks=settings.blocks)
        known = [
            ("lifetime", curve.lifetime, curve.n_breaks > 0),
            ("residence time", curve.residence_time, np.isfinite(curve[1].error)),
        ]
        rows = [Row(label, name, *x, "ps") for name, x, is_known in known if is_known]
        rows += [
            Row(label, "breaks", curve.n_breaks, None, ""),
            Row(label, "formed within", inner, None, "nm"),
            Row(label, "broken beyond", outer, None, "nm"),
        ]
        lower_bound = bool(curve.remaining > REMAINING)
        more = {"radii": radii[name], "lower_bound": lower_bound}
        return Part(curve, rows, more, warnings=judge_contacts(label, curve))

    measurement = measure_items(
        in_each_series(source, {name: name for name in radii}, POSITIONS),
        measure,
        plot_survival,
        settings,
        units=_UNITS,
        columns={
            "lag time (ps)": "lag_times",
            "continuous": "continuous",
            "continuous_error": "continuous_error",
            "intermittent": "intermittent",
            "intermittent_error": "intermittent_error",
        },
    )
    judged = judge_molecules(source, subjects, settings.intermolecular)
    return replace(
        measurement,
        failed=without_shell | measurement.failed,
        warnings=judged + unknown + measurement.warnings,
    )


QUANTITY = Quantity(
    "survival",
    measure_survival,
    SurvivalSettings,
    "how long pairs stay together: lifetimes, residence times, continuous and "
    "intermittent survival functions",
    subjects="[A-B ...]",
    read_subjects=pairs,
    default=unlike_pairs,
    aliases=("residence",),
    window=MOTION,
    centers=True,
)


def _radii(
    source: Source, subjects: Mapping[str, Sequence[Any]], settings: SurvivalSettings
) -> tuple[dict[str, tuple[float, float]], dict[str, str], list[str]]:
    """Choose the radii in nm at which contacts of each pair form and break.

    Returns
    -------
    radii : dict of str to (float, float)
    failed : dict of str to str
        Reasons of pairs without a shell.
    warnings : list of str
    """
    warnings = []
    if not subjects:
        raise ValueError(
            "expected atoms of different elements, whose pairs are taken by default, "
            "found one element; name pairs, such as O-O"
        )
    if settings.shell is not None:
        inner = one_each(settings.shell, subjects, "--shell")
        outer, failed = inner, {}
    else:
        shells, failed = first_shells(source, subjects, apart=settings.intermolecular)
        if not shells:
            label, reason = next(iter(failed.items()))
            raise ValueError(f"{label}: {reason}")
        widest = source.frames(positions=POSITIONS).largest_radius()
        inner = {label: shell.r_peak for label, shell in shells.items()}
        outer = {k: min(BEYOND * shell.r_max, widest) for k, shell in shells.items()}
        warnings = [] if settings.outer else judge_shells(shells)
    if settings.outer is not None:
        outer = one_each(settings.outer, subjects, "--outer")
    return {label: (inner[label], outer[label]) for label in inner}, failed, warnings
