# SPDX-License-Identifier: MIT
"""Say errors of a model beside what they are to be compared with."""

import math
from collections.abc import Mapping
from typing import Any

from ..units import BOLTZMANN_EV
from ..utils.words import digits

_KELVIN = 300
_HARDLY = 0.8  # of the forces' root mean square, from which errors are said to be large


def accuracy_words(metrics: Mapping[str, Any]) -> list[str]:
    """Write errors beside the size of forces, and beside the motion of heat.

    Forces are compared with the root mean square of the labels' components, energies
    of whole frames with kT and with the canonical deviation of the potential energy of
    N harmonic atoms, kT √(3N/2), by equipartition. The manual's page on evaluation has
    how these are read.

    Parameters
    ----------
    metrics : mapping
        Of ``training.metrics.error_metrics``; what earlier versions did not write is
        left out.

    Returns
    -------
    list of str
        As ``"forces 53.2 meV/Å, 8.1 % of their root mean square, 660 meV/Å"``.
    """
    words = []
    error, size = metrics.get("forces_rmse"), metrics.get("forces_rms")
    if error is not None:
        text = f"forces {digits(error)} meV/Å"
        if size:
            share = digits(100 * error / size)
            text += f", {share} % of their root mean square, {digits(size)} meV/Å"
        words.append(text)
    if metrics.get("energy_rmse") is not None:
        words.append(f"energies {digits(metrics['energy_rmse'])} meV/atom")
    total, frames = metrics.get("energy_total_rmse"), metrics.get("frames")
    if total is not None and frames:
        atoms, heat = metrics["atoms"] / frames, 1e3 * BOLTZMANN_EV * _KELVIN
        words.append(
            f"energies of whole frames, {atoms:.0f} atoms, {digits(total)} meV, "
            f"{digits(total / heat)} kT at {_KELVIN} K, where as many harmonic atoms "
            f"fluctuate by {digits(math.sqrt(1.5 * atoms))} kT"
        )
    return words


def poor_forces(metrics: Mapping[str, Any]) -> str:
    """Say that forces are no better than zeros, or hardly; empty where they are.

    Parameters
    ----------
    metrics : mapping
        As of `accuracy_words`.
    """
    error, size = metrics.get("forces_rmse"), metrics.get("forces_rms")
    if error is None or not size or error < _HARDLY * size:
        return ""
    how = "no better" if error >= size else "hardly better"
    return (
        f"the model's forces are {how} than zeros: their RMSE, {digits(error)} meV/Å, "
        f"is {digits(100 * error / size)} % of their root mean square; a simulation "
        "with it means nothing"
    )
