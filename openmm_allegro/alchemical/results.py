# SPDX-License-Identifier: MIT
"""Free energies of switches, and results of both methods as numbers for a file."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..analysis.states import (
    WorkFreeEnergy,
    independent,
    work_free_energy,
    work_warnings,
)
from ..analysis.statistics import Estimate
from ..runs.names import switching_paths_of
from ..units import GAS_CONSTANT
from ..utils.files import read_record
from .exchange import LambdaFreeEnergies
from .works import read_works

KJ_PER_KCAL = 4.184
# Difference of two methods, in its errors, that is reported.
_DEVIATION = 3.0
# Independent works below which a direction is called too short, as an exchange is.
_LEAST = 10


class SwitchingFreeEnergy(NamedTuple):
    """Free energy of the model relative to the force field, from switches.

    Attributes
    ----------
    value, error : float, kJ/mol
        From both directions, or from the only one.
    forward, reverse : Estimate or None, kJ/mol
        From one direction alone, which is biased.
    works : dict of str to [n] array, kJ/mol
        All works of each direction.
    counts : dict of str to int
        Independent ones among them.
    reduced : WorkFreeEnergy
        In RT: overlap, slope of Crooks's theorem, and how many works decide an average.
    temperature : float, K
    warnings : list of str
    """

    value: float
    error: float
    forward: Estimate | None
    reverse: Estimate | None
    works: dict[str, np.ndarray]
    counts: dict[str, int]
    reduced: WorkFreeEnergy
    temperature: float
    warnings: list[str]


def switching_free_energy(output: str | Path) -> SwitchingFreeEnergy:
    """Compute the free energy of the switches that were done so far.

    Works that are correlated, because their starts are, are thinned out.

    Parameters
    ----------
    output : path
        Prefix, as of ``switch_states``.

    Raises
    ------
    FileNotFoundError
        If there are none.
    ValueError
        If a direction has less than 2 independent ones.
    """
    paths = switching_paths_of(output)
    temperature = float(read_record(paths["record"])["temperature_k"])
    thermal = GAS_CONSTANT * temperature
    works = read_works(paths["works"])
    chosen = {name: independent(work) for name, work in works.items()}
    reduced = work_free_energy(
        *(
            chosen[name] / thermal if name in chosen else None
            for name in ("forward", "reverse")
        )
    )

    words = work_warnings(reduced)
    for name, work in chosen.items():
        if len(work) < _LEAST:
            words.append(
                f"expected at least {_LEAST} independent {name} works, found "
                f"{len(work)} of {len(works[name])}: the error is uncertain itself; "
                "make more switches, or a longer interval between them"
            )

    def scaled(estimate: Estimate | None) -> Estimate | None:
        return estimate and Estimate(thermal * estimate.value, thermal * estimate.error)

    return SwitchingFreeEnergy(
        thermal * reduced.best.value,
        thermal * reduced.best.error,
        scaled(reduced.forward),
        scaled(reduced.reverse),
        works,
        {name: len(work) for name, work in chosen.items()},
        reduced,
        temperature,
        words,
    )


def describe_exchange(result: LambdaFreeEnergies) -> dict[str, Any]:
    """Collect the numbers of an exchange of λ, as a file has them."""
    return _total(result.f[-1], result.error[-1]) | {
        "lambdas": result.lambdas.tolist(),
        "free_energies_kj_mol": _finite(result.f),
        "errors_kj_mol": _finite(result.error),
        "overlap": [_finite(row) for row in result.overlap],
        "acceptance": _finite(result.acceptance),
        "round_trips": result.round_trips,
        "temperature_k": result.temperature,
        "independent_samples": result.samples,
        "discarded_iterations": result.discarded,
        "iterations_per_sample": round(result.inefficiency, 2),
        "warnings": result.warnings,
    }


def describe_switching(result: SwitchingFreeEnergy) -> dict[str, Any]:
    """Collect the numbers of switches, as a file has them."""
    thermal = GAS_CONSTANT * result.temperature
    reduced, directions = result.reduced, {}
    for name, work in result.works.items():
        sign = 1.0 if name == "forward" else -1.0
        estimate = getattr(result, name)
        directions[name] = {
            "switches": len(work),
            "independent": result.counts[name],
            "mean_work_kj_mol": round(float(work.mean()), 4),
            "deviation_of_work_kj_mol": round(float(work.std(ddof=1)), 4),
            "dissipated_kj_mol": round(float(work.mean() - sign * result.value), 4),
            "jarzynski_kj_mol": _finite(estimate.value),
            "jarzynski_error_kj_mol": _finite(estimate.error),
            # of a forward one, to first order: Gore et al.
            "jarzynski_bias_kj_mol": _finite(
                sign * estimate.error**2 / (2.0 * thermal)
            ),
            "effective_switches": round(reduced.effective[name], 2),
        }
    overlap = reduced.overlap
    slope = reduced.slope
    return _total(result.value, result.error) | {
        "estimator": "bar" if reduced.both else "jarzynski",
        "directions": directions,
        "overlap": None if overlap is None else [_finite(row) for row in overlap],
        "crooks_slope": slope and _finite(slope.value),
        "crooks_slope_error": slope and _finite(slope.error),
        "temperature_k": result.temperature,
        "warnings": result.warnings,
    }


def compare(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Say if two methods differ by more than their errors allow."""
    values = [x["free_energy_kj_mol"] for x in (first, second)]
    errors = [x["error_kj_mol"] for x in (first, second)]
    if None in (*values, *errors):
        return []
    difference, error = values[1] - values[0], math.hypot(*errors)
    if abs(difference) <= _DEVIATION * error:
        return []
    return [
        "expected the same free energy by exchange and by switching, found a "
        f"difference of {difference:.2f} ± {error:.2f} kJ/mol: one of them has not "
        "reached equilibrium"
    ]


def _total(value: float, error: float) -> dict[str, Any]:
    return {
        "free_energy_kj_mol": _finite(value),
        "error_kj_mol": _finite(error),
        "free_energy_kcal_mol": _finite(value / KJ_PER_KCAL),
        "error_kcal_mol": _finite(error / KJ_PER_KCAL),
    }


def _finite(values: Any) -> Any:
    """Numbers as JSON has them, None for what is not finite."""
    if np.ndim(values):
        return [_finite(value) for value in values]
    return round(float(values), 5) if math.isfinite(values) else None
