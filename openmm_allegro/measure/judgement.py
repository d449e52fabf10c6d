# SPDX-License-Identifier: MIT
"""Judgement of numbers: what of a run is too short, or too little, for a quantity.

One function for each kind of criterion. Each gives the sentences that a reader has to
know of a result; ``analyze`` prints them and writes them to its JSON, ``report`` shows
them, and errors have been widened for the same reasons where they are made, in
`analysis`. What no error could hold is withheld by the functions named ``check_…``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..units import EV_TO_KJ_PER_MOL
from ..utils.words import counted
from .measurement import amount

# Fewer breaks than this tell little of a lifetime.
BREAKS = 20
# Errors from a target, or from no drift, at which one is warned.
_FAR = 2.0
# Probability below which residuals are not those of the errors given.
_UNLIKELY = 0.05
# Width of a line in THz to which a short run may widen it unsaid.
_WIDE = 2.0
# Part of the width of a cell that atoms may move between frames: of a Gaussian the
# tails then reach half the cell, where the image cannot be told, in 1 of 250 steps.
_STEP = 0.3

_MOTION = {
    "caged": "{label} moved by no more than {moved:.2f} nm within {longest:.3g} ps, so "
    "that {name} is about the cage that neighbours make; its error holds 0 too",
    "faster": "displacements of {label} still grow as t^{exponent:.2g} at the longest "
    "lag, {longest:.3g} ps, faster than in diffusion; the error of {name} is wide for "
    "that",
    "slower": "displacements of {label} grow as t^{exponent:.2g} at the longest lag, "
    "{longest:.3g} ps, slower than in diffusion; the error of {name} is wide for that",
    "unsettled": "motion of {label} slows down or quickens after the longest lag, "
    "{longest:.3g} ps; the error of {name} is wide for that",
}


def judge_motion(
    label: str, name: str, regime: str, moved: float, exponent: float, longest: float
) -> list[str]:
    """Judge whether particles moved far and long enough to diffuse.

    Parameters
    ----------
    label, name : str
        What moves, and the number that is measured of it.
    regime : str
        As of a `Diffusion`.
    moved : float
        Root mean square displacement in nm.
    exponent : float
        Of the mean square displacement over time.
    longest : float
        Longest lag in ps.
    """
    if regime not in _MOTION:
        return []
    sentence = _MOTION[regime].format(
        label=label, name=name, moved=moved, exponent=exponent, longest=longest
    )
    return [f"Too short for diffusion: {sentence}."]


def check_flight(regime: str, exponent: float, longest: float, what: str) -> None:
    """Refuse motion that is still ballistic at the longest lag in ps.

    Raises
    ------
    ValueError
        It tells no coefficient, and no bound of one; `what` is what cannot be told.
    """
    if regime == "ballistic":
        raise ValueError(
            f"expected displacements that become diffusive, found that they grow as "
            f"t^{exponent:.2g} up to the longest lag, {longest:.3g} ps, as in free "
            f"flight or by a drift: no {what} can be told; give a longer run or a "
            "longer --max-lag"
        )


def check_steps(moved: float, radius: float, time_step: float) -> None:
    """Refuse frames so far apart that paths through the boundaries cannot be told.

    Parameters
    ----------
    moved : float
        Root mean square displacement in nm from one frame to the next.
    radius : float
        Half the smallest width of the cell in nm.
    time_step : float
        Time between frames in ps.
    """
    if moved > _STEP * 2 * radius:
        raise ValueError(
            f"expected atoms that move little of the cell between two frames, found "
            f"{moved:.2g} nm in {time_step:.3g} ps and a cell {2 * radius:.3g} nm "
            "wide: their way through its boundaries cannot be told; give frames at "
            "shorter intervals"
        )


def judge_few(numbers: Mapping[str, int]) -> list[str]:
    """Judge whether items are of enough particles to see where motion is diffusive."""
    from ..analysis.dynamics.linear import FEW_PARTICLES

    few = [label for label, number in numbers.items() if number < FEW_PARTICLES]
    if not few:
        return []
    return [
        f"D of {', '.join(few)} is of fewer than {FEW_PARTICLES} particles, whose "
        "paths hardly show where motion becomes diffusive; its error is wide for that."
    ]


def judge_size(name: str, value: float, error: float, reason: str = "") -> list[str]:
    """Judge whether a number is known to better than half its value."""
    if is_known(value, error):
        return []
    return [f"{name} is known to half its value at best{reason}."]


def is_known(value: float, error: float) -> bool:
    """Tell whether a number is known to better than half its value."""
    return not error > 0.5 * abs(value)


def judge_independent(
    label: str, name: str, independent: float, few: bool, of: str = ""
) -> list[str]:
    """Judge whether a mean over time is of enough independent values.

    Parameters
    ----------
    label, name : str
        Item, and the number that is measured of it.
    independent : float
        Number of independent values.
    few : bool
        Whether they are too few.
    of : str, optional
        Series that they are values of, where it is not the number itself.
    """
    if not few:
        return []
    of = f" of the {of}" if of else ""
    return [
        f"{label}: too short for the {name}: {independent:.2g} independent values{of} "
        "are few, and may be none where it changes more slowly than the run is long; "
        "its error is a lower bound."
    ]


def judge_range(name: str, series: np.ndarray) -> list[str]:
    """Judge whether the error of a mean over time is the range of so few values."""
    from ..analysis.statistics import FEW, independent_values

    independent = independent_values(series)
    if independent >= FEW:
        return []
    return [
        f"Too short for the {name}: its error is the range of the series, of "
        f"{independent:.2g} independent values."
    ]


def check_fluctuation(name: str, series: np.ndarray, of: str) -> None:
    """Refuse a series that does not fluctuate, or holds few independent values.

    Raises
    ------
    ValueError
        A series shorter than its own correlation time shows any part of its variance.
    """
    from ..analysis.statistics import FEW, independent_values

    if np.ptp(series) == 0:
        raise ValueError(
            f"expected a {of} that fluctuates, found {series[0]:.6g} all the time: no "
            f"{name}"
        )
    independent = independent_values(series)
    if independent < FEW:
        raise ValueError(
            f"expected at least {FEW} independent values of the {of}, found "
            f"{independent:.2g}: the run is too short for the {name}"
        )


def judge_change(label: str, name: str, error: float) -> list[str]:
    """Judge whether a number over time changed at all, by its error."""
    if error > 0:
        return []
    return [f"{label}: the {name} never changed, so that its error is not known."]


def judge_blocks(label: str, name: str, lag: float, length: float, blocks: int):
    """Judge whether a lag fits into the blocks that an error comes from.

    Parameters
    ----------
    lag, length : float
        Of the displacement, and of the run, in ps.
    blocks : int
    """
    if lag * blocks <= length * (1 + 1e-6):
        return []
    return [
        f"{label}: too short for the {name} after {lag:.4g} ps: the run is "
        f"{length / lag:.2g} times as long, so that its {blocks} blocks overlap; the "
        "error is wide for that."
    ]


def judge_integral(label: str, name: str, integral: Any) -> list[str]:
    """Judge whether a GreenKubo ends where its function has decayed."""
    if integral.finished:
        return []
    return [
        f"{label}: too short for the {name}: the integral has not ended at "
        f"{integral.cutoff:.4g} ps, and its error holds what may be missing; give a "
        "longer --max-lag, which takes fewer --blocks or a longer run where it is "
        "already nearly a block."
    ]


def judge_decay(label: str, function: Any) -> list[str]:
    """Judge whether a Correlation has fallen by its last lag, within a block."""
    start, end = abs(function.values[0]), abs(function.values[-1])
    if end < 0.37 * start:
        return []
    return [
        f"{label}: too short for its error: the function has not decayed by "
        f"{function.lag_times[-1]:.3g} ps, so that blocks depend on each other."
    ]


def judge_target(stage: str, check: dict[str, Any]) -> list[str]:
    """Judge whether a mean temperature is that of the thermostat."""
    deviation = check["deviation"]
    if abs(deviation) <= _FAR:
        return []
    text = (
        f"The mean temperature of {stage}, {amount(*check['mean'])} K, is "
        f"{abs(deviation):.1f} errors from the {check['target']:g} K of the thermostat"
    )
    slope, error = check["drift"]
    if abs(slope) <= _FAR * error:
        return [f"{text}."]
    return [
        f"{text}, and changes by {amount(slope, error)} K/ps: it is not yet "
        "equilibrated. Leave out more of its start (--start), or make the run longer."
    ]


def judge_drift(stage: str, value: float, error: float) -> list[str]:
    """Judge whether an energy in kJ/mol per atom and ps, of NVE, is conserved."""
    if abs(value) <= _FAR * error:
        return []
    in_mev = [1e3 * x / EV_TO_KJ_PER_MOL for x in (value, error)]
    return [f"The total energy of {stage} drifts by {amount(*in_mev)} meV/atom/ps."]


def judge_resolution(width: float, asked: float | None) -> list[str]:
    """Judge whether a short run smears lines of a spectrum, in THz."""
    if asked is not None or width <= _WIDE:
        return []
    return [
        f"Too short for lines finer than {width:.2g} THz: their heights, and the "
        "density at zero frequency, are means over that width."
    ]


def judge_contacts(label: str, curve: Any) -> list[str]:
    """Judge whether a Survival saw contacts break, and its integral end."""
    from ..analysis.dynamics.kinetics import REMAINING

    warnings = []
    if curve.n_breaks == 0:
        warnings.append(f"{label}: no break was seen, and so no lifetime is known.")
    elif curve.n_breaks < BREAKS:
        seen = (
            "1 break tells" if curve.n_breaks == 1 else f"{curve.n_breaks} breaks tell"
        )
        warnings.append(f"{label}: {seen} little.")
    if not np.isfinite(curve.residence_time[1]):
        warnings.append(f"{label}: no residence time, too few contacts end.")
    elif curve.remaining > REMAINING:
        warnings.append(
            f"{label}: the residence time is a lower bound; {curve.remaining:.0%} of "
            "the contacts outlast its integral. Give a longer --max-lag, which takes "
            "fewer --blocks or a longer run where it is already nearly a block."
        )
    return warnings


def judge_line(label: str, line: Any) -> list[str]:
    """Judge whether a line of `arrhenius` is known, and goes through its points."""
    warnings = judge_size(f"{label}: the activation energy", *line.activation_energy)
    if line.degrees_of_freedom == 0:
        warnings.append(
            f"{label}: two temperatures do not show whether ln x is a line over 1 / T."
        )
    elif line.p_value < _UNLIKELY:
        warnings.append(
            f"{label}: the line misses its points: χ² {line.chi_squared:.3g} for "
            f"{counted(line.degrees_of_freedom, 'degree')} of freedom, probability "
            f"{line.p_value:.1g}. All errors are multiplied by {line.scale:.2g}; the "
            "errors given are too small, or the values are of no one line."
        )
    return warnings


def judge_windows(groups: Sequence[Sequence[int]], names: Sequence[str]) -> list[str]:
    """Judge whether umbrella windows hold together.

    Parameters
    ----------
    groups : sequence of sequences of int
        Windows that overlap with each other, or through others.
    names : sequence of str
        Of all windows.
    """
    from ..analysis.states import LEAST_OVERLAP

    if len(groups) < 2:
        return []
    parts = "; ".join(
        names[group[0]]
        if len(group) == 1
        else f"{names[group[0]]} to {names[group[-1]]}"
        for group in groups
    )
    return [
        f"Umbrella windows fall into {len(groups)} parts that overlap by less than "
        f"{LEAST_OVERLAP:g} ({parts}): the free energy of one relative to another is "
        "not known. Add windows between them, or make their restraints softer."
    ]
