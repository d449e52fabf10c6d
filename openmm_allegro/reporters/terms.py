# SPDX-License-Identifier: MIT
"""The potential energy, force by force."""

import openmm
from openmm import app, unit

from ..classical.parameters import WITHOUT_ENERGY
from .table import TableReporter


class EnergyTermsReporter(TableReporter):
    """Write the potential energy of each force group, kJ/mol, as CSV.

    The column of a group has the names of its forces. To separate forces, give them
    groups of their own (``force.setForceGroup``, or ``separate_groups``). The last
    column is the sum. A report costs an evaluation of each group.

    Parameters
    ----------
    file, interval, append
        As ``TableReporter``.

    Raises
    ------
    ValueError
        If the interval is below 1.

    Examples
    --------
    >>> separate_groups(system)
    >>> simulation.reporters.append(EnergyTermsReporter("terms.csv", 100))
    """

    _groups: dict[int, str] | None = None

    def values(
        self, simulation: app.Simulation, state: openmm.State
    ) -> dict[str, float | int]:
        """Compute the energies, by the names of the forces."""
        if self._groups is None:
            self._groups = _groups_of(simulation.system)
        energies = {}
        for group, names in self._groups.items():
            state = simulation.context.getState(energy=True, groups={group})
            energies[f"{names} (kJ/mole)"] = state.getPotentialEnergy().value_in_unit(
                unit.kilojoule_per_mole
            )
        return energies | {"Sum (kJ/mole)": sum(energies.values())}


def separate_groups(system: openmm.System) -> None:
    """Give every force of a System that has an energy a force group of its own.

    Integrators that evaluate all groups together, which those with multiple time steps
    do not, move atoms as before.

    Raises
    ------
    ValueError
        If there are more than 32, OpenMM's number of groups.
    """
    forces = [f for f in system.getForces() if _has_energy(f)]
    if len(forces) > 32:
        raise ValueError(
            f"expected at most 32 forces with energies, found {len(forces)}"
        )
    for group, force in enumerate(forces):
        force.setForceGroup(group)


def _groups_of(system: openmm.System) -> dict[int, str]:
    """Names of the forces of each group in use, made unique by the group's number."""
    groups: dict[int, list[str]] = {}
    for force in system.getForces():
        if _has_energy(force):
            groups.setdefault(force.getForceGroup(), []).append(force.getName())
    columns: dict[int, str] = {}
    for group, names in sorted(groups.items()):
        column = " + ".join(names)
        taken = column in columns.values()
        columns[group] = f"{column} [group {group}]" if taken else column
    return columns


def _has_energy(force: openmm.Force) -> bool:
    return type(force).__name__ not in WITHOUT_ENERGY
