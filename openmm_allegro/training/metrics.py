# SPDX-License-Identifier: MIT
"""Errors of predictions as a few numbers, for all frames and for those of each file."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..units import STRESS_UNITS_IN_EV_PER_ANGSTROM3

_MEV_PER_ANGSTROM3 = 1e-3 / STRESS_UNITS_IN_EV_PER_ANGSTROM3["GPa"]  # in GPa
# Arrays of ``evaluate`` that have an entry for each atom, not for each frame.
_OF_ATOMS = ("types", "forces_", "atom_")


def error_metrics(
    arrays: dict[str, np.ndarray], elements: Sequence[str]
) -> dict[str, Any]:
    """Compute mean absolute and root-mean-square errors, in meV.

    Parameters
    ----------
    arrays : dict
        See ``gather_arrays``. Labels that are NaN are left out, and so are the metrics
        of a label that no frame has.
    elements : sequence of str

    Returns
    -------
    dict
        ``frames`` and ``atoms``, their numbers. ``energy_mae``, ``energy_rmse`` and
        ``energy_offset``, the mean error with its sign (meV/atom);
        ``energy_mae_without_offset`` and ``energy_rmse_without_offset``, what is left
        when that mean is subtracted from each error; ``energy_total_mae`` and
        ``energy_total_rmse`` (meV). ``forces_mae``, ``forces_rmse`` (meV/Å, over
        components), ``forces_rms`` (of the labels' components, which says how large
        these errors are), ``forces_mae_by_element``, ``forces_rmse_by_element``.
        ``stress_mae``, ``stress_rmse`` (meV/Å³), ``stress_mae_gpa``,
        ``stress_rmse_gpa``.

    Raises
    ------
    ValueError
        If a prediction is not finite where there is a label.
    """
    sizes = arrays["sizes"]
    metrics: dict[str, Any] = {"frames": len(sizes), "atoms": int(sizes.sum())}
    energy = _known_errors(arrays, "energy")
    if energy.size:
        metrics |= _errors("energy", energy)
        metrics["energy_offset"] = float(energy.mean() * 1000)
        rest = _errors("energy", energy - energy.mean()).items()
        metrics |= {f"{name}_without_offset": value for name, value in rest}
        known = np.isfinite(arrays["energy_reference"])
        metrics |= _errors("energy_total", energy * sizes[known])
    forces = _known_errors(arrays, "forces")
    if forces.size:
        metrics |= _errors("forces", forces)
        size = root_mean_square(arrays["forces_reference"])
        metrics["forces_rms"] = float(1000 * size)
    metrics |= _by_element(arrays, elements)
    stress = _known_errors(arrays, "stress")
    if stress.size:
        metrics |= _errors("stress", stress)
        for kind in ("mae", "rmse"):
            value = metrics[f"stress_{kind}"] * _MEV_PER_ANGSTROM3
            metrics[f"stress_{kind}_gpa"] = value
    return metrics | charge_metrics(arrays, elements)


def charge_metrics(
    arrays: dict[str, np.ndarray], elements: Sequence[str]
) -> dict[str, Any]:
    """Means and deviations of charges by element, and errors of labels, in e and e Å.

    Returns
    -------
    dict
        ``charges`` by element, each with ``mean`` and ``deviation``; where there are
        labels, ``charge_mae``, ``charge_rmse``, ``dipole_mae`` and ``dipole_rmse``.
        Empty for a model without charges.
    """
    if "atom_charge_prediction" not in arrays:
        return {}
    charges = arrays["atom_charge_prediction"]
    table = {}
    for index, element in enumerate(elements):
        chosen = charges[arrays["types"] == index]
        if chosen.size:
            table[element] = {
                "mean": float(chosen.mean()),
                "deviation": float(chosen.std()),
            }
    metrics: dict[str, Any] = {"charges": table}
    for name, key in (("charge", "atom_charge"), ("dipole", "dipole")):
        error = arrays[f"{key}_prediction"] - arrays[f"{key}_reference"]
        error = error[np.isfinite(error)]
        if error.size:
            metrics[f"{name}_mae"] = float(np.abs(error).mean())
            metrics[f"{name}_rmse"] = float(np.sqrt((error**2).mean()))
    return metrics


def metrics_by_file(
    arrays: dict[str, np.ndarray], elements: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Compute the errors on the frames of each file.

    Parameters
    ----------
    arrays : dict
        Of ``evaluate``.
    elements : sequence of str

    Returns
    -------
    dict
        ``error_metrics`` by file, in the order of the frames.
    """
    files = arrays["files"]
    return {
        name: error_metrics(choose_frames(arrays, files == name), elements)
        for name in dict.fromkeys(files.tolist())
    }


def choose_frames(
    arrays: dict[str, np.ndarray], chosen: np.ndarray
) -> dict[str, np.ndarray]:
    """Keep some of the frames of arrays that ``evaluate`` gives.

    Parameters
    ----------
    arrays : dict
    chosen : ndarray [B], bool
    """
    atoms = np.repeat(chosen, arrays["sizes"])
    return {
        name: values[atoms if name.startswith(_OF_ATOMS) else chosen]
        for name, values in arrays.items()
    }


def root_mean_square(errors: np.ndarray) -> float:
    """Root mean square of what is known, not NaN; NaN if nothing is."""
    known = errors[np.isfinite(errors)]
    return float(np.sqrt((known**2).mean())) if known.size else np.nan


def _known_errors(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Errors in eV and Å of what has a label."""
    known = np.isfinite(arrays[f"{name}_reference"])
    error = (arrays[f"{name}_prediction"] - arrays[f"{name}_reference"])[known]
    if not np.isfinite(error).all():
        raise ValueError(
            f"expected finite predictions of {name}, found "
            f"{(~np.isfinite(error)).sum()} of {error.size} NaN or infinite"
        )
    return error


def _by_element(
    arrays: dict[str, np.ndarray], elements: Sequence[str]
) -> dict[str, Any]:
    errors = arrays["forces_prediction"] - arrays["forces_reference"]
    metrics: dict[str, Any] = {
        "forces_mae_by_element": {},
        "forces_rmse_by_element": {},
    }
    for index, element in enumerate(elements):
        chosen = errors[arrays["types"] == index]
        chosen = chosen[np.isfinite(chosen)]
        if chosen.size:
            for name, value in _errors("forces", chosen).items():
                metrics[f"{name}_by_element"][element] = value
    return metrics


def _errors(name: str, error: np.ndarray) -> dict[str, float]:
    return {
        f"{name}_mae": float(np.abs(error).mean() * 1000),
        f"{name}_rmse": float(np.sqrt((error**2).mean()) * 1000),
    }
