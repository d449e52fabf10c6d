# SPDX-License-Identifier: MIT
"""Systems whose energy depends on λ, the global parameter ``lambda_interpolate``."""

from collections.abc import Iterator

import openmm

from ..forces import copy_system
from ..mixing import classical_end
from ..replica_exchange.states import LAMBDA

_GROUPS = range(32)


def check_lambda(system: openmm.System) -> None:
    """Refuse a System whose energy does not depend on λ.

    Raises
    ------
    ValueError
    """
    if not any(_parameters(system)):
        others = sorted({name for f in system.getForces() for _, name in _names(f)})
        raise ValueError(
            f"expected a System with the global parameter {LAMBDA}, as "
            "create_mixed_system(interpolate=True) makes it, found one "
            f"{'with ' + ', '.join(others) if others else 'without parameters'}"
        )


def at_lambda(system: openmm.System, value: float) -> openmm.System:
    """Copy a System with λ at a value, and what depends on λ in a force group alone.

    So energies at several λ of one structure need those forces only.
    """
    changed = copy_system(system)
    forces = {force for force, _ in _parameters(changed)}
    used = {
        f.getForceGroup() for i, f in enumerate(changed.getForces()) if i not in forces
    }
    free = [group for group in _GROUPS if group not in used]
    for number, index in _parameters(changed):
        force = changed.getForce(number)
        force.setGlobalParameterDefaultValue(index, value)
        if free:
            force.setForceGroup(free[0])
    return changed


def end_system(system: openmm.System, value: float) -> openmm.System:
    """Copy a System at λ = 0 or 1; at 0 without the model, where that can be.

    It is what equilibrium is sampled with: a force field costs less alone.
    """
    changed = at_lambda(system, value)
    ends = {
        number: classical_end(changed.getForce(number))
        for number in {number for number, _ in _parameters(changed)}
    }
    if value == 0.0 and None not in ends.values():
        for number in sorted(ends, reverse=True):
            changed.removeForce(number)
            for force in ends[number]:
                changed.addForce(force)
    return changed


def lambda_groups(system: openmm.System) -> set[int]:
    """Force groups of what depends on λ."""
    return {system.getForce(i).getForceGroup() for i, _ in _parameters(system)}


def _parameters(system: openmm.System) -> Iterator[tuple[int, int]]:
    """Forces that have the parameter, and its index in each."""
    for number, force in enumerate(system.getForces()):
        yield from ((number, i) for i, name in _names(force) if name == LAMBDA)


def _names(force: openmm.Force) -> Iterator[tuple[int, str]]:
    """Indices and names of the global parameters of a force."""
    for index in range(getattr(force, "getNumGlobalParameters", int)()):
        yield index, force.getGlobalParameterName(index)
