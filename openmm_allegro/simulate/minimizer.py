# SPDX-License-Identifier: MIT
"""Minimise the energy until forces are small, and tell what that did."""

from typing import Any

import numpy as np
import openmm

from ..forces.systems import holds_torch_force, masses_of
from ..runs.names import MINIMIZATION

# A little below what a liquid has at 300 K (1250 for salt water, the root mean square
# over atoms, which is what OpenMM compares): contacts go, and an equilibrated liquid
# warms again within a picosecond.
MINIMIZER_TOLERANCE = 1000.0  # kJ/mol/nm
# Most iterations down to that, and further down.
_ITERATIONS, _MORE_ITERATIONS = 200, 2000


def most_iterations(tolerance: float) -> int:
    """Choose the most iterations down to a force in kJ/mol/nm."""
    return _ITERATIONS if tolerance >= MINIMIZER_TOLERANCE else _MORE_ITERATIONS


class _Counter(openmm.MinimizationReporter):
    """Count iterations of all attempts."""

    iterations = 0

    def report(self, *_: Any) -> bool:
        self.iterations += 1
        return False


def minimize(context: openmm.Context, tolerance: float | None = None) -> dict[str, Any]:
    """Minimise the energy of a Context, for a record.

    Parameters
    ----------
    context : openmm.Context
    tolerance : float, optional
        Root mean square force on atoms, kJ/mol/nm, at which it ends; by default
        ``MINIMIZER_TOLERANCE``.

    Returns
    -------
    dict
        ``minimization``: ``iterations`` of L-BFGS, 0 where forces are small enough at
        first and None where there were some that could not be counted,
        ``most_iterations``, ``tolerance_kj_mol_nm``, and of before and after
        ``energy_kj_mol``, ``largest_force_kj_mol_nm`` (on an atom) and
        ``rms_force_kj_mol_nm`` (over atoms, which the tolerance is of).

    Raises
    ------
    RuntimeError
        If the energy or a force is not finite, before or after.
    """
    moving = masses_of(context.getSystem()) > 0
    before = _measure(context, moving)
    limit = MINIMIZER_TOLERANCE if tolerance is None else tolerance
    most = most_iterations(limit)
    # OpenMM keeps Python's lock where it reports, with which torch's derivatives crash.
    counter = None if holds_torch_force(context.getSystem()) else _Counter()
    openmm.LocalEnergyMinimizer.minimize(context, limit, most, counter)
    after = before
    if counter is None or counter.iterations:
        after = _measure(context, moving)
    counted = None
    is_small = before["rms_force_kj_mol_nm"] <= limit
    if is_small or after["energy_kj_mol"] >= before["energy_kj_mol"]:
        counted = 0
    return {
        MINIMIZATION: {
            "iterations": counted if counter is None else counter.iterations,
            "most_iterations": most,
            "tolerance_kj_mol_nm": limit,
            "before": before,
            "after": after,
        }
    }


def _measure(context: openmm.Context, moving: np.ndarray) -> dict[str, float]:
    """Energy and forces, those of particles that do not move [N] left out."""
    state = context.getState(energy=True, forces=True)
    sizes = np.linalg.norm(state.getForces(asNumpy=True)._value, axis=1)[moving]
    energy = state.getPotentialEnergy()._value
    if not np.isfinite([energy, *sizes]).all():
        raise RuntimeError(
            "positions: expected a finite energy and finite forces for a minimisation, "
            f"found an energy of {energy:g} kJ/mol and forces up to "
            f"{max(sizes, default=0.0):g} kJ/mol/nm"
        )
    return {
        "energy_kj_mol": energy,
        "largest_force_kj_mol_nm": float(max(sizes, default=0.0)),
        "rms_force_kj_mol_nm": float(np.sqrt(np.sum(sizes**2) / len(moving))),
    }
