# SPDX-License-Identifier: MIT
"""Lifetimes, residence times and survival functions of contacts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..runs.selections import pairs
from ..runs.source import Source
from ..utils.settings import setting
from .measurement import Measurement, Row, each
from .quantity import Quantity, Settings, blocks_setting, max_lag_setting
from .shells import POSITIONS, first_shells, one_each
from .subjects import default_pairs

# A contact breaks beyond so many times the first minimum of g(r).
_BEYOND = 1.1
# Part of the contacts that may outlast the integral of a residence time.
_REMAINING = 0.05
_UNITS = {
    "lifetime": "ps",
    "residence_time": "ps",
    "lag_times": "ps",
    "continuous": "1",
    "continuous_error": "1",
    "intermittent": "1",
    "intermittent_error": "1",
    "random": "1",
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
        metavar="NM",
    )
    outer: tuple[float, ...] | None = setting(
        None,
        about="Radius beyond which a contact breaks, nm, or one for each pair "
        "(default: --shell, or 1.1 times the first minimum of g(r))",
        above=0,
        metavar="NM",
    )
    tolerance: float = setting(
        0.0, about="Absences that do not break a contact", unit="ps", minimum=0
    )
    max_lag: float | None = max_lag_setting("nearly a block")
    blocks: int = blocks_setting(5)


def measure_survival(
    source: Source,
    subjects: Mapping[str, Sequence[Any]] | None = None,
    settings: SurvivalSettings | None = None,
) -> Measurement:
    """Measure lifetimes, residence times and survival functions of contacts.

    Parameters
    ----------
    source : Source
    subjects : mapping of str to (selection, selection), optional
        Default: the pairs that matter, without those of like centres.
    settings : SurvivalSettings, optional

    Returns
    -------
    Measurement
        Results by pair: fields of a Survival; ``radii`` (inner, outer) in nm;
        ``lower_bound``, whether contacts outlast the integral of the residence time.
    """
    from ..analysis import contacts, plot_survival, survival

    settings = settings or SurvivalSettings()
    if not subjects:
        subjects = {k: p for k, p in default_pairs(source).items() if not p.like}
    radii, failed = _radii(source, subjects, settings)
    items = {
        name + series.suffix: (series, subjects[name], radii[name])
        for series in source.series(POSITIONS)
        for name in radii
    }

    def measure(_, item):
        series, pair, (inner, outer) = item
        touching = contacts(
            series.frames, *pair[:2], inner, r_out=outer, tolerance=settings.tolerance
        )
        longest = settings.max_lag
        if longest is None:
            frames = touching.n_frames // settings.blocks - 1
            longest = frames * touching.time_step
        return survival(touching, max_lag=longest, n_blocks=settings.blocks)

    curves, not_measured = each(items, measure)
    failed |= not_measured
    notes = []
    rows = []
    for label, curve in curves.items():
        rows += _rows(label, curve, items[label][2])
        notes += _lower_bound(label, curve)
    return Measurement(
        rows,
        {
            label: curve._asdict()
            | {"radii": items[label][2], "lower_bound": _is_lower_bound(curve)}
            for label, curve in curves.items()
        },
        _UNITS,
        {
            label: {
                "lag time (ps)": curve.lag_times,
                "continuous": curve.continuous,
                "continuous_error": curve.continuous_error,
                "intermittent": curve.intermittent,
                "intermittent_error": curve.intermittent_error,
            }
            for label, curve in curves.items()
        },
        lambda path: plot_survival(curves, path),
        notes=notes,
        failed=failed,
    )


QUANTITY = Quantity(
    "survival",
    measure_survival,
    SurvivalSettings,
    "how long pairs stay together: lifetimes, residence times, continuous and "
    "intermittent survival functions",
    subjects="[A-B ...]",
    read_subjects=pairs,
    aliases=("residence",),
    window=("start", "stop", "stride", "time_step", "join"),
)


def _radii(
    source: Source, subjects: Mapping[str, Sequence[Any]], settings: SurvivalSettings
) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
    """Choose the radii in nm at which contacts of each pair form and break."""
    if settings.shell is not None:
        inner = one_each(settings.shell, subjects, "--shell")
        outer, failed = inner, {}
    else:
        shells, failed = first_shells(source, subjects)
        if not shells:
            label, reason = next(iter(failed.items()))
            raise ValueError(f"{label}: {reason}")
        widest = source.frames(positions=POSITIONS).largest_radius()
        inner = {label: shell.r_peak for label, shell in shells.items()}
        outer = {k: min(_BEYOND * shell.r_max, widest) for k, shell in shells.items()}
    if settings.outer is not None:
        outer = one_each(settings.outer, subjects, "--outer")
    return {label: (inner[label], outer[label]) for label in inner}, failed


def _rows(label: str, curve: Any, radii: tuple[float, float]) -> list[Row]:
    """Make the table of a Survival."""
    return [
        Row(label, "lifetime", *curve.lifetime, "ps"),
        Row(label, "residence time", *curve.residence_time, "ps"),
        Row(label, "breaks", curve.n_breaks, None, ""),
        Row(label, "formed within", radii[0], None, "nm"),
        Row(label, "broken beyond", radii[1], None, "nm"),
    ]


def _is_lower_bound(curve: Any) -> bool:
    return bool(curve.remaining > _REMAINING)


def _lower_bound(label: str, curve: Any) -> list[str]:
    """Note if contacts outlast the integral of the residence time."""
    if not _is_lower_bound(curve):
        return []
    return [
        f"{label}: the residence time is a lower bound; {curve.remaining:.0%} of the "
        "contacts outlast its integral. Give a longer --max-lag."
    ]
