# SPDX-License-Identifier: MIT
"""Deviation of the forces of a committee along a simulation."""

from typing import ClassVar

import numpy as np
import openmm
import torch
from openmm import app

from ..forces import force_modules, own_copy
from .table import TableReporter


class UncertaintyReporter(TableReporter):
    """Write the deviation of the forces of a committee as CSV.

    The deviation of an atom is the standard deviation over the members of the force
    vector on it, see ``committee``. A line has the largest and the mean over the atoms
    of the models, and the index of the particle with the largest. A report costs an
    evaluation of each member.

    Parameters
    ----------
    file, interval, append
        As ``TableReporter``.

    Raises
    ------
    ValueError
        If the interval is below 1, or, at the first report, the System's force is not
        that of one committee.

    Examples
    --------
    >>> simulation.reporters.append(UncertaintyReporter("uncertainty.csv", 100))
    """

    include: ClassVar[list[str]] = ["positions"]
    _module: torch.jit.ScriptModule | None = None

    def values(
        self, simulation: app.Simulation, state: openmm.State
    ) -> dict[str, float | int]:
        """Compute the numbers of a line, by the names of their columns."""
        if self._module is None:
            self._module = committee_of(simulation.context)
        deviations = force_deviations(
            self._module,
            state.getPositions(asNumpy=True)._value,
            state.getPeriodicBoxVectors(asNumpy=True)._value,
        )
        worst = int(np.argmax(deviations))
        return {
            "Largest Force Deviation (eV/A)": deviations[worst],
            "Mean Force Deviation (eV/A)": deviations.mean(),
            "Atom of the Largest": int(self._module.atoms[worst]),
        }


def committee_of(context: openmm.Context) -> torch.jit.ScriptModule:
    """Copy the module of a Context's committee to the device of the Context.

    Raises
    ------
    ValueError
        If the System has no force of a committee, or several.
    """
    modules = [m for m in force_modules(context.getSystem()) if hasattr(m, "deviation")]
    if len(modules) != 1:
        raise ValueError(
            "expected a System with a force of a committee, AllegroPotential([a, b, "
            f"...]), found {len(modules)} such forces"
        )
    return own_copy(modules[0], context)


def force_deviations(
    module: torch.jit.ScriptModule, positions: np.ndarray, box: np.ndarray
) -> np.ndarray:
    """Compute deviations of the forces on ``module.atoms``, eV/Å.

    Parameters
    ----------
    module : ScriptModule
        From ``committee_of``.
    positions : ndarray [N, 3], nm
    box : ndarray [3, 3], nm
    """
    device = module.atoms.device
    arguments = [torch.tensor(x, device=device) for x in (positions, box)]
    with torch.enable_grad():
        return module.deviation(*arguments).cpu().numpy()
