# SPDX-License-Identifier: MIT
"""Well-tempered metadynamics, whose whole state can be saved and brought back.

``openmm.app.Metadynamics`` does the same, but keeps its grid and its hills to itself; a
test compares both.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app

from ..units import GAS_CONSTANT
from .grid import (
    axes_record,
    ends_of,
    gaussian,
    make_axes,
    make_table,
    table_parameters,
)
from .settings import Metadynamics
from .table import GrowingTable
from .variables import Resolved, make_force


class MetadynamicsBias:
    """A bias of Gaussian hills on a grid.

    Beyond the ends of a grid that is not periodic the bias is that at the end, so that
    no force acts there.

    Parameters
    ----------
    settings : Metadynamics
    resolved : sequence of Resolved
        The variables of the bias, in its order.
    kelvin : float
        Temperature.
    path : Path
        Of the table of hills.

    Raises
    ------
    ValueError
        As ``grid.make_axes``.
    """

    def __init__(
        self,
        settings: Metadynamics,
        resolved: Sequence[Resolved],
        kelvin: float,
        path: Path,
    ) -> None:
        self.interval = settings.pace
        self._variables = [each.variable for each in resolved]
        self._resolved = resolved
        self._factors = np.array([v.unit.factor for v in self._variables])
        self._axes = make_axes(settings, self._variables, settings.widths)
        self._widths = np.array(settings.widths) / self._factors
        self._height, self._bias_factor = settings.height_kj_mol, settings.bias_factor
        self._warming = GAS_CONSTANT * kelvin * (settings.bias_factor - 1.0)
        self._grid = np.zeros(tuple(axis.points for axis in reversed(self._axes)))
        columns = ["step", "time_ps", *(v.column for v in self._variables)]
        columns += [f"width_{v.column}" for v in self._variables]
        self._table = GrowingTable(path, [*columns, "height_kj_mol", "bias_factor"])

    def record(self) -> dict[str, Any]:
        """Collect the grid for the record of a run."""
        return axes_record(self._axes, self._variables)

    def ends(self) -> list[tuple[str, float, float]]:
        """Name the variables that are not periodic, and the ends of their grids."""
        return ends_of(self._axes, self._variables)

    def add_to(self, system: openmm.System, group: int) -> None:
        """Add the force of the bias to a System."""
        names = [f"cv{index}" for index in range(len(self._axes))]
        arguments = names
        if not self._axes[0].periodic:
            arguments = [
                f"min(max({name}, {axis.lower!r}), {axis.upper!r})"
                for name, axis in zip(names, self._axes, strict=True)
            ]
        force = openmm.CustomCVForce(f"table({', '.join(arguments)})")
        for name, each in zip(names, self._resolved, strict=True):
            force.addCollectiveVariable(name, make_force(each, system))
        force.addTabulatedFunction("table", make_table(self._axes, self._grid))
        force.setName("metadynamics")
        force.setForceGroup(group)
        self._force = system.getForce(system.addForce(force))

    def begin(self, context: openmm.Context, state: dict[str, Any] | None) -> None:
        """Bring the bias to a state that ``state_dict`` returned, or to none."""
        if state is not None:
            self._grid = np.array(state["grid"])
            self._update(context)

    def step(self, simulation: app.Simulation, steps: int) -> None:
        """Take steps, none of which but the last is one of a hill."""
        simulation.step(steps)
        if simulation.currentStep % self.interval == 0:
            self._add_hill(simulation)

    def state_dict(self) -> dict[str, Any]:
        """Return what ``begin`` needs: numbers and arrays."""
        return {"grid": self._grid}

    def _add_hill(self, simulation: app.Simulation) -> None:
        context = simulation.context
        center = self._force.getCollectiveVariableValues(context)
        groups = {self._force.getForceGroup()}
        state = context.getState(energy=True, groups=groups)
        energy = state.getPotentialEnergy()._value
        height = self._height * float(np.exp(-energy / self._warming))
        self._grid += height * gaussian(self._axes, center, self._widths)
        self._update(context)
        self._table.append(
            [
                simulation.currentStep,
                state.getTime()._value,
                *np.multiply(center, self._factors),
                *(self._widths * self._factors),
                height,
                self._bias_factor,
            ]
        )

    def _update(self, context: openmm.Context) -> None:
        function = self._force.getTabulatedFunction(0)
        function.setFunctionParameters(*table_parameters(self._axes, self._grid))
        self._force.updateParametersInContext(context)
