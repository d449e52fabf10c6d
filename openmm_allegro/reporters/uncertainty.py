# SPDX-License-Identifier: MIT
"""Deviation of the forces of a committee along a simulation."""

from typing import ClassVar

import numpy as np
import openmm
from openmm import app

from ..potential.computation import Computation, computations
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
    _committee: Computation | None = None

    def values(
        self, simulation: app.Simulation, state: openmm.State
    ) -> dict[str, float | int]:
        """Compute the numbers of a line, by the names of their columns."""
        if self._committee is None:
            self._committee = committee_of(simulation.context)
        deviations = self._committee.deviation(
            state.getPositions(asNumpy=True)._value,
            state.getPeriodicBoxVectors(asNumpy=True)._value,
        )
        worst = int(np.argmax(deviations))
        return {
            "Largest Force Deviation (eV/A)": deviations[worst],
            "Mean Force Deviation (eV/A)": deviations.mean(),
            "Atom of the Largest": int(self._committee.particles[worst]),
        }


def committee_of(context: openmm.Context) -> Computation:
    """Make a computation of a Context's committee, where the Context computes.

    Raises
    ------
    ValueError
        If the System has no force of a committee, or several.
    """
    system = context.getSystem()
    committees = [c for c in computations(system, context) if c.number_of_models > 1]
    if len(committees) != 1:
        raise ValueError(
            "expected a System with a force of a committee, AllegroPotential([a, b, "
            f"...]), found {len(committees)} such forces"
        )
    return committees[0]
