# SPDX-License-Identifier: MIT
"""Judgement of fluctuations: whether those of a run are the canonical ensemble's."""

from typing import Any

from .measurement import amount

# Errors from 1, or from a bound, at which a number is taken to be off.
_FAR = 2.0
# Distance of a ratio from 1 that a time step may make, and that changes little.
_ABOUT_ONE = 0.1


def judge_variance(stage: str, ratio: Any) -> list[str]:
    """Judge whether a temperature varies as in the canonical ensemble.

    Parameters
    ----------
    ratio : Estimate
        Variance over the canonical one.
    """
    if _is_canonical(ratio):
        return []
    reason = "the temperature drifted, or is not that of the thermostat"
    if ratio.value < 1:
        reason = (
            "the thermostat exchanged too little energy within the run (as Nosé–Hoover "
            "in a short one, which is then like NVE), or it only scales velocities"
        )
    return [
        f"The variance of the temperature of {stage} is {amount(*ratio)} times that of "
        f"the canonical ensemble: {reason}."
    ]


def check_canonical(name: str, ratio: Any) -> None:
    """Refuse fluctuations of a run that did not sample the canonical ensemble.

    Parameters
    ----------
    ratio : Estimate
        Variance of the temperature over the canonical one.

    Raises
    ------
    ValueError
        Fluctuations of energy and volume are then those of no known ensemble.
    """
    if not _is_canonical(ratio):
        raise ValueError(
            "expected a kinetic energy that varies as in the canonical ensemble, found "
            f"{amount(*ratio)} times that variance: no {name} can be told from "
            "fluctuations; give a longer run, or one of a Langevin thermostat"
        )


def check_least(name: str, value: Any, least: float, unit: str) -> None:
    """Refuse an Estimate that is below the least that it can be, error included.

    Raises
    ------
    ValueError
    """
    if value.value + _FAR * value.error < least:
        raise ValueError(
            f"expected a {name} of at least {least:.3g} {unit}, which the kinetic "
            f"energy alone gives, found {amount(*value)}: the run is too short for it"
        )


def _is_canonical(ratio: Any) -> bool:
    return abs(ratio.value - 1) <= max(_FAR * ratio.error, _ABOUT_ONE)
