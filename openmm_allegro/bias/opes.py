# SPDX-License-Identifier: MIT
"""OPES by the package openmm-opes, whose whole state is saved and brought back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from ..units import GAS_CONSTANT
from ..utils.extras import naming_extras
from .grid import axes_record, ends_of, make_axes
from .settings import Opes
from .table import GrowingTable
from .variables import Resolved, make_force

_LOOKS = 20  # at the variables between two kernels, to measure their variance


class OpesBias:
    """A bias that follows an estimate of the probability.

    Its energy is V + ΔE, which is 0 where nothing has been sampled; OpenMM's table is 0
    beyond its ends, too.

    Parameters
    ----------
    settings : Opes
    resolved : sequence of Resolved
        The variables of the bias, in its order.
    kelvin : float
        Temperature.
    path : Path
        Of the table of kernels.

    Raises
    ------
    ImportError
        If openmm-opes is missing.
    ValueError
        As ``grid.make_axes``, or if the barrier is not above kT.
    """

    def __init__(
        self,
        settings: Opes,
        resolved: Sequence[Resolved],
        kelvin: float,
        path: Path,
    ) -> None:
        with naming_extras():
            import openmm_opes  # noqa: F401
        kt = GAS_CONSTANT * kelvin
        if settings.barrier_kj_mol <= kt:
            raise ValueError(
                f"bias: expected a barrier above kT = {kt:.4g} kJ/mol, found "
                f"{settings.barrier_kj_mol:g} kJ/mol"
            )
        self._settings, self._resolved, self._kelvin = settings, resolved, kelvin
        self._variables = [each.variable for each in resolved]
        self._factors = np.array([v.unit.factor for v in self._variables])
        self._axes = make_axes(settings, self._variables, settings.widths)
        self._looks = None
        if not settings.widths:
            self._looks = _largest_part(settings.pace, settings.pace // _LOOKS)
        self.interval = self._looks or settings.pace
        columns = ["step", "time_ps", *(v.column for v in self._variables)]
        columns += [f"width_{v.column}" for v in self._variables]
        columns += ["bias_kj_mol", "kernels", "rct_kj_mol"]
        self._table = GrowingTable(path, columns)

    def record(self) -> dict[str, Any]:
        """Collect the grid for the record of a run."""
        return axes_record(self._axes, self._variables)

    def ends(self) -> list[tuple[str, float, float]]:
        """Name the variables that are not periodic, and the ends of their grids."""
        return ends_of(self._axes, self._variables)

    def add_to(self, system: openmm.System, group: int) -> None:
        """Add the force of the bias to a System, in the highest group that is free."""
        settings, widths = self._settings, self._settings.widths
        variables = []
        for index, (each, axis) in enumerate(
            zip(self._resolved, self._axes, strict=True)
        ):
            width = axis.spacing  # not used where it is measured
            if widths:
                width = widths[index] / each.variable.unit.factor
            ends = axis.lower, axis.upper
            force = make_force(each, system)
            variables.append(
                app.BiasVariable(force, *ends, width, axis.periodic, axis.points)
            )
        self._sampler = _recording_sampler(
            system,
            variables,
            self._kelvin,
            settings.barrier_kj_mol,
            settings.pace,
            self._looks,
            biasFactor=settings.bias_factor,
            exploreMode=settings.explore,
        )
        force = system.getForce(system.getNumForces() - 1)
        force.setName("opes")
        force.setForceGroup(group)

    def begin(self, context: openmm.Context, state: dict[str, Any] | None) -> None:
        """Bring the bias to a state that ``state_dict`` returned, or to none."""
        if state is not None:
            self._sampler.setState(state)
        # of no kernels it is 0 but for rounding, which a resumed run is to share
        self._sampler.updateContext(context)

    def step(self, simulation: app.Simulation, steps: int) -> None:
        """Take steps, none of which but the last is one of a kernel."""
        self._sampler.step(simulation, steps)
        for kernel in self._sampler.take_kernels():
            time = simulation.context.getTime()
            self._table.append(
                [
                    simulation.currentStep,
                    time.value_in_unit(unit.picosecond),
                    *np.multiply(kernel["center"], self._factors),
                    *np.multiply(kernel["width"], self._factors),
                    kernel["energy"] + self._settings.barrier_kj_mol,
                    self._sampler.getNumKernels(),
                    self._sampler.getCt("running")._value,
                ]
            )

    def state_dict(self) -> dict[str, Any]:
        """Return what ``begin`` needs: numbers and arrays."""
        return self._sampler.getState()


def _recording_sampler(*arguments: Any, **options: Any) -> Any:
    """Make an OPES sampler that keeps its new kernels, and whose state is all it has.

    The package updates tables of densities as kernels come, with other last bits than
    when it makes them from the kernels. A state has the kernels alone, so that they are
    made anew each time; else a resumed run would depart from one that was not
    interrupted.
    """
    from openmm_opes import OPES

    class RecordingOpes(OPES):
        def addKernel(self, values: Any, biasEnergy: Any, variance: Any = None) -> bool:
            before = self.getState()
            variances = self.getVariance() if variance is None else variance
            added = super().addKernel(values, biasEnergy, variance)
            if added:
                energy = biasEnergy.value_in_unit(unit.kilojoule_per_mole)
                factor = _width_factor(self, before, energy)
                self._new.append(
                    {
                        "center": list(values),
                        "energy": energy,
                        "width": np.sqrt(variances) * factor,
                    }
                )
                self.setState(self.getState())
            return added

        def take_kernels(self) -> list[dict[str, Any]]:
            kernels, self._new = self._new, []
            return kernels

    sampler = RecordingOpes(*arguments, **options)
    sampler._new = []
    return sampler


def _width_factor(sampler: Any, before: dict[str, Any], energy: float) -> float:
    """Factor of a new kernel's width: Silverman's rule, by effective samples."""
    kt = GAS_CONSTANT * sampler.temperature.value_in_unit(unit.kelvin)
    prefix = "total" if sampler.exploreMode else "totalRW"
    weight = 0.0 if sampler.exploreMode else energy / kt
    sums = [
        np.logaddexp.reduce([0.0, float(before[f"{prefix}_{name}"]), power * weight])
        for name, power in (("logSumW", 1), ("logSumWSq", 2))
    ]
    count = len(sampler.variables)
    samples = np.exp(2 * sums[0] - sums[1])
    factor = (samples * (count + 2) / 4) ** (-1 / (count + 4))
    return factor if sampler.exploreMode else factor / np.sqrt(sampler.biasFactor)


def _largest_part(number: int, most: int) -> int:
    """The largest divisor of a number that is at most another, or 1."""
    return max(d for d in range(1, max(1, most) + 1) if number % d == 0)
