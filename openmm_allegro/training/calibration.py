# SPDX-License-Identifier: MIT
"""Compare the deviation of a committee's members with the errors of their mean.

An error e of d components and its predicted deviation s belong to each sample: to an
atom's force (d = 3), or to a frame's energy (d = 1). Of M members s² is the sum over
the components of the variance with the denominator M − 1. The deviation is calibrated
where the mean of |e|² is s²: D. Levi et al., doi:10.3390/s22155540.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .charge_report import CHARGE_PREDICTIONS
from .metrics import error_metrics, metrics_by_file, root_mean_square

BINS = 10


class Bin(NamedTuple):
    """Samples of about the same predicted deviation."""

    deviation: float  # root mean square
    error: float  # root mean square
    samples: int


class Calibration(NamedTuple):
    """Predicted deviations beside actual errors, in the unit of the errors."""

    samples: int
    error: float  # root mean square
    deviation: float  # root mean square
    # error/deviation: what deviations are to be multiplied by
    scale: float
    # the most likely one for Gaussian errors; NaN of too few members
    likely_scale: float
    miscalibration: float  # mean over bins of |deviation − error|/deviation
    miscalibration_scaled: float  # the same with deviations times scale
    rank_correlation: float  # Spearman's, of deviations and lengths of errors
    bins: tuple[Bin, ...]  # in ascending order of the deviation


def committee_result(
    results: Sequence[dict[str, Any]], elements: Sequence[str]
) -> dict[str, Any]:
    """Errors of the mean of several models, and the calibration of their deviations.

    Parameters
    ----------
    results : sequence of dict
        Of ``evaluate`` with each model, on the same structures.
    elements : sequence of str
        Of the first model's config.

    Returns
    -------
    dict
        As ``evaluate``, of the mean (``committee_arrays``), ``members`` (the metrics of
        each model) and ``calibration`` (``calibrations``).
    """
    arrays = committee_arrays([result["arrays"] for result in results])
    return {
        "metrics": error_metrics(arrays, elements),
        "files": metrics_by_file(arrays, elements),
        "arrays": arrays,
        "members": [result["metrics"] for result in results],
        "calibration": calibrations(arrays, len(results)),
    }


def committee_arrays(members: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Mean predictions of several models and their deviations.

    Parameters
    ----------
    members : sequence of dict
        Arrays of ``evaluate`` of each model, of the same structures.

    Returns
    -------
    dict
        The arrays of the first, with the mean predictions, and ``energy_deviation``
        (eV per atom) of each frame and ``forces_deviation`` (eV/Å) of each atom.

    Raises
    ------
    ValueError
        If the models were not evaluated on the same frames.
    """
    first = members[0]
    for number, other in enumerate(members[1:], 1):
        same = all(
            np.array_equal(first[name], other[name])
            for name in ("sizes", "files", "frames")
        )
        if not same:
            raise ValueError(
                "committee: expected the same frames for all members, found others for "
                f"member {number}, of which an atom has no neighbours within the cutoff"
            )
    arrays = dict(first)
    names = ("energy_prediction", "forces_prediction", "stress_prediction")
    stacks = {name: np.stack([member[name] for member in members]) for name in names}
    arrays |= {name: stack.mean(axis=0) for name, stack in stacks.items()}
    for name in CHARGE_PREDICTIONS:
        arrays.pop(name, None)
        if all(name in member for member in members):
            arrays[name] = np.mean([member[name] for member in members], axis=0)
    arrays["energy_shift"] = np.mean([m["energy_shift"] for m in members], axis=0)
    arrays["energy_deviation"] = stacks["energy_prediction"].std(axis=0, ddof=1)
    variances = stacks["forces_prediction"].var(axis=0, ddof=1)
    arrays["forces_deviation"] = np.sqrt(variances.sum(axis=-1))
    return arrays


def calibrations(
    arrays: dict[str, np.ndarray], members: int
) -> dict[str, Calibration | None]:
    """Calibration of the energies of frames and of the forces on atoms.

    Parameters
    ----------
    arrays : dict
        Of ``committee_arrays``.
    members : int
        Number of models.

    Returns
    -------
    dict
        ``energy`` in meV/atom and ``forces`` in meV/Å; None without such labels.
    """
    result: dict[str, Calibration | None] = {}
    for name in ("energy", "forces"):
        error, deviation = errors_and_deviations(arrays, name)
        components = 1 if name == "energy" else 3
        result[name] = (
            calibrate(error, deviation, members, components) if error.size else None
        )
    return result


def errors_and_deviations(
    arrays: dict[str, np.ndarray], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of errors and predicted deviations of what has a label, in meV."""
    error = 1000 * (arrays[f"{name}_prediction"] - arrays[f"{name}_reference"])
    length = np.abs(error) if error.ndim == 1 else np.linalg.norm(error, axis=-1)
    known = np.isfinite(length)
    return length[known], 1000 * arrays[f"{name}_deviation"][known]


def calibrate(
    error: np.ndarray, deviation: np.ndarray, members: int, components: int = 1
) -> Calibration:
    """Compare lengths of errors with predicted deviations.

    Parameters
    ----------
    error, deviation : ndarray [n]
        In one unit, not negative.
    members : int
        M, of which the deviations are; at least 2.
    components : int
        d of each error.

    Notes
    -----
    The scale is the ratio of the root mean squares, which holds for few members too.
    The likeliest for Gaussian errors, the square root of the mean of |e|²/s² (Levi et
    al.), is too large, since the s² of few members scatter about their mean and the
    mean of 1/s² is (Md − d)/(Md − d − 2) of 1/mean(s²); divided by that factor it is
    that of G. Imbalzano et al., doi:10.1063/5.0036522, but for their −1/M, which
    turns the deviation of the mean's error to that of a member.
    """
    scale = (
        root_mean_square(error) / root_mean_square(deviation)
        if deviation.any()
        else np.nan
    )
    freedom = components * (members - 1)
    likely = np.nan
    if freedom > 2 and (deviation > 0).all():
        mean = float(np.mean((error / deviation) ** 2))
        likely = float(np.sqrt(mean * (freedom - 2) / freedom))
    order = np.argsort(deviation, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    bins = tuple(
        Bin(root_mean_square(deviation[p]), root_mean_square(error[p]), len(p))
        for p in parts
    )
    return Calibration(
        len(error),
        root_mean_square(error),
        root_mean_square(deviation),
        scale,
        likely,
        _miscalibration(bins, 1.0),
        _miscalibration(bins, scale),
        _rank_correlation(deviation, error),
        bins,
    )


def _miscalibration(bins: Sequence[Bin], scale: float) -> float:
    """Expected normalized calibration error of Levi et al."""
    parts: list[Any] = [
        abs(scale * b.deviation - b.error) / (scale * b.deviation)
        for b in bins
        if b.deviation > 0
    ]
    return float(np.mean(parts)) if parts else np.nan


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])
