# SPDX-License-Identifier: MIT
"""What acts on a run beside its System: forces, files and state of a sampling."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from .metadynamics import MetadynamicsBias
from .opes import OpesBias
from .plumed import PlumedBias
from .restraints import check_restraints, make_restraints
from .sampling import Sampling, bias_record, restraint_records
from .settings import Metadynamics, Opes, Plumed
from .table import GrowingTable
from .values import VariableValues
from .variables import Resolved, resolve

_GROUPS = 32  # of forces, in OpenMM


class ActingBias:
    """Variables, restraints and bias of one run.

    Parameters
    ----------
    sampling : Sampling
    topology : openmm.app.Topology
    system : openmm.System
        Without restraints and bias.
    references : mapping of str to ndarray [N, 3], nm
        Positions that each rmsd is taken from.
    paths : mapping of str to Path
        Of the run's files.
    kelvin : float
        Temperature.

    Raises
    ------
    ValueError
        As ``variables.resolve``, ``restraints.check_restraints`` and
        ``grid.make_axes``, or if the bias is of a variable that is not there.
    """

    def __init__(
        self,
        sampling: Sampling,
        topology: app.Topology,
        system: openmm.System,
        references: Mapping[str, np.ndarray],
        paths: Mapping[str, Path],
        kelvin: float,
    ) -> None:
        self.sampling, self.paths = sampling, paths
        self.resolved = resolve(sampling.variables, topology, system, references)
        check_restraints(sampling.restraints, sampling.variables)
        self.interval: int | None = None  # steps between changes of the bias
        self._kelvin = kelvin
        self._restraints: openmm.Force | None = None
        self._bias: Any = None
        self._group: int | None = None
        if sampling.bias is not None:
            self._bias = self._make_bias()
            self.interval = self._bias.interval

    @property
    def writes(self) -> list[str]:
        """Names of the files that are written."""
        names = {Metadynamics: ["hills"], Opes: ["kernels"]}
        further = names.get(type(self.sampling.bias), [])
        return ["variables", *further] if self.resolved else further

    def check_start(
        self, positions: np.ndarray, system: openmm.System, box: Any = None
    ) -> None:
        """Refuse a start beyond the grid of a bias, where it would not act.

        Parameters
        ----------
        positions : ndarray [N, 3], nm
            Molecules whole.
        system : openmm.System
        box : three vectors, Quantity or nm, optional
            By default that of the System.

        Raises
        ------
        ValueError
        """
        ends = self._bias.ends() if self._bias else []
        if not ends:
            return
        values = VariableValues(self.resolved, system)(positions, box)
        names = [each.variable.name for each in self.resolved]
        by_name = dict(zip(names, values, strict=True))
        for name, low, high in ends:
            if not low <= by_name[name] <= high:
                raise ValueError(
                    f"bias: variable {name}: expected a start within the grid from "
                    f"{low:g} to {high:g}, found {by_name[name]:.6g}"
                )

    def record(self) -> dict[str, Any]:
        """Collect the settings for the record of the run."""
        sampling = self.sampling
        values = {
            "variables": [each.record() for each in self.resolved],
            "restraints": restraint_records(sampling.restraints),
            "bias": bias_record(sampling.bias),
        }
        if self._bias is not None:
            values["bias"] |= self._bias.record()
        return {name: value for name, value in values.items() if value}

    def add_to(self, system: openmm.System) -> None:
        """Add the forces to a System, in groups of their own.

        Raises
        ------
        ValueError
            If all groups of forces are in use.
        """
        if self.sampling.restraints:
            force = make_restraints(self.sampling.restraints, self.resolved, system)
            force.setForceGroup(_free_group(system))
            self._restraints = system.getForce(system.addForce(force))
        if self._bias is not None:
            self._group = _free_group(system)
            self._bias.add_to(system, self._group)

    def begin(self, simulation: app.Simulation, state: dict[str, Any] | None) -> None:
        """Bring the bias to the state of a checkpoint, if there is one."""
        if self._bias is not None:
            self._bias.begin(simulation.context, state)

    def step(self, simulation: app.Simulation, steps: int) -> None:
        """Take steps up to the next change of the bias at most."""
        if self._bias is None:
            simulation.step(steps)
        else:
            self._bias.step(simulation, steps)

    def state_dict(self) -> dict[str, Any] | None:
        """Return the state of the bias, if it has one."""
        return self._bias.state_dict() if self._bias is not None else None

    def bias_energy(self, context: openmm.Context) -> float:
        """Compute the energy of the bias, kJ/mol."""
        return _group_energy(context, self._group)

    def restraint_energy(self, context: openmm.Context) -> float:
        """Compute the energy of the restraints, kJ/mol."""
        force = self._restraints
        return _group_energy(context, None if force is None else force.getForceGroup())

    def _make_bias(self) -> Any:
        bias = self.sampling.bias
        if isinstance(bias, Plumed):
            return PlumedBias(bias, self._kelvin)
        by_name = {each.variable.name: each for each in self.resolved}
        missing = [name for name in bias.variables if name not in by_name]
        if missing:
            raise ValueError(
                f"bias: expected variables of {list(by_name)}, found {missing[0]!r}"
            )
        biased: list[Resolved] = [by_name[name] for name in bias.variables]
        if isinstance(bias, Metadynamics):
            return MetadynamicsBias(bias, biased, self._kelvin, self.paths["hills"])
        return OpesBias(bias, biased, self._kelvin, self.paths["kernels"])


class VariablesReporter:
    """Write the variables, the bias' energy and that of restraints, as CSV.

    Columns: step, time_ps, each variable with its unit, bias_kj_mol (of the bias that
    acted up to this step) and restraints_kj_mol.

    Parameters
    ----------
    acting : ActingBias
    interval : int
        Steps between lines.
    """

    def __init__(self, acting: ActingBias, interval: int) -> None:
        self._acting, self._interval = acting, interval
        self._values: VariableValues | None = None
        columns = [each.variable.column for each in acting.resolved]
        columns = ["step", "time_ps", *columns, "bias_kj_mol", "restraints_kj_mol"]
        self._table = GrowingTable(acting.paths["variables"], columns)

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:
        """Tell OpenMM when the next report is due and what it needs."""
        steps = self._interval - simulation.currentStep % self._interval
        return {"steps": steps, "periodic": False, "include": ["positions"]}

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        """Write a line; OpenMM calls this."""
        if self._values is None:
            self._values = VariableValues(self._acting.resolved, simulation.system)
        values = self._values(
            state.getPositions(asNumpy=True), state.getPeriodicBoxVectors()
        )
        context = simulation.context
        self._table.append(
            [
                simulation.currentStep,
                state.getTime().value_in_unit(unit.picosecond),
                *values,
                self._acting.bias_energy(context),
                self._acting.restraint_energy(context),
            ]
        )


def _free_group(system: openmm.System) -> int:
    """The highest group of forces that is not in use."""
    free = set(range(_GROUPS)) - {f.getForceGroup() for f in system.getForces()}
    if not free:
        raise ValueError(
            f"expected a free group of forces for restraints or a bias, found all "
            f"{_GROUPS} in use"
        )
    return max(free)


def _group_energy(context: openmm.Context, group: int | None) -> float:
    if group is None:
        return 0.0
    energy = context.getState(energy=True, groups={group}).getPotentialEnergy()
    return energy.value_in_unit(unit.kilojoule_per_mole)
