# SPDX-License-Identifier: MIT
"""Values of collective variables at positions, outside of any simulation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import openmm

from .variables import Resolved, make_force


class VariableValues:
    """Compute variables at positions, in the unit of each: Å, degrees or none.

    They are computed on OpenMM's Reference platform, so that they do not depend on
    where a simulation runs.

    Parameters
    ----------
    resolved : sequence of Resolved
        From ``variables.resolve``.
    system : openmm.System
        Its masses, periodicity and box are used.
    """

    def __init__(self, resolved: Sequence[Resolved], system: openmm.System) -> None:
        self.variables = [each.variable for each in resolved]
        self._factors = np.array([v.unit.factor for v in self.variables])
        inner = openmm.System()
        for index in range(system.getNumParticles()):
            inner.addParticle(system.getParticleMass(index))
        inner.setDefaultPeriodicBoxVectors(*system.getDefaultPeriodicBoxVectors())
        self._force = openmm.CustomCVForce("0")
        for index, each in enumerate(resolved):
            self._force.addCollectiveVariable(f"cv{index}", make_force(each, system))
        inner.addForce(self._force)
        self._context = openmm.Context(
            inner,
            openmm.VerletIntegrator(0.001),
            openmm.Platform.getPlatformByName("Reference"),
        )

    def __call__(self, positions: Any, box: Any = None) -> np.ndarray:
        """Compute the variables.

        Parameters
        ----------
        positions : [N, 3] Quantity, or array in nm
            Molecules whole.
        box : three vectors, Quantity or nm, optional
            By default that of the System.

        Returns
        -------
        ndarray [V]
        """
        if box is not None:
            self._context.setPeriodicBoxVectors(*box)
        self._context.setPositions(positions)
        values = self._force.getCollectiveVariableValues(self._context)
        return np.array(values) * self._factors
