# SPDX-License-Identifier: MIT
"""Harmonic restraints of collective variables, as one OpenMM force."""

import math
from collections.abc import Sequence

import numpy as np
import openmm

from ..utils.restraints import restraint_energy
from .settings import Restraint, Variable
from .variables import Resolved, make_force

RESTRAINTS = "restraints"  # name of the force


def check_restraints(
    restraints: Sequence[Restraint], variables: Sequence[Variable]
) -> None:
    """Refuse restraints of unknown variables, and walls of periodic ones.

    Raises
    ------
    ValueError
    """
    known = {variable.name: variable for variable in variables}
    for restraint in restraints:
        where = f"restraint of {restraint.variable}"
        if restraint.variable not in known:
            raise ValueError(
                f"{where}: expected a variable of {list(known)}, found none of this "
                "name"
            )
        variable = known[restraint.variable]
        if variable.is_periodic and restraint.side != "both":
            raise ValueError(
                f"{where}: expected side 'both' for a dihedral, which is periodic, "
                f"found {restraint.side!r}"
            )
        if variable.is_periodic and restraint.flat >= 180.0:
            raise ValueError(
                f"{where}: expected flat below 180 degrees, found {restraint.flat:g}"
            )
        low = -180.0 if variable.is_periodic else 0.0
        high = 180.0 if variable.kind in ("angle", "dihedral") else math.inf
        if not low <= restraint.center <= high:
            raise ValueError(
                f"{where}: expected a center of {low:g} to {high:g}, found "
                f"{restraint.center:g}"
            )


def restraint_energies(
    restraints: Sequence[Restraint],
    variables: Sequence[Variable],
    values: np.ndarray,
) -> np.ndarray:
    """Compute the energy of each restraint, kJ/mol, from values of the variables.

    Parameters
    ----------
    restraints : sequence of Restraint
    variables : sequence of Variable
    values : ndarray [..., V]
        In the variables' units, in their order.

    Returns
    -------
    ndarray [..., R]
    """
    columns = {variable.name: index for index, variable in enumerate(variables)}
    values = np.asarray(values, dtype=float)
    energies = np.empty((*values.shape[:-1], len(restraints)))
    for index, restraint in enumerate(restraints):
        column = columns[restraint.variable]
        variable = variables[column]
        energies[..., index] = restraint_energy(
            values[..., column],
            restraint.center,
            restraint.force_constant,
            flat=restraint.flat,
            side=restraint.side,
            period=360.0 if variable.is_periodic else None,
            in_degrees=variable.kind in ("angle", "dihedral"),
        )
    return energies


def make_restraints(
    restraints: Sequence[Restraint],
    resolved: Sequence[Resolved],
    system: openmm.System,
) -> openmm.CustomCVForce:
    """Make the force whose energy is the sum of restraints.

    Parameters
    ----------
    restraints : sequence of Restraint
    resolved : sequence of Resolved
        All variables.
    system : openmm.System
    """
    by_name = {each.variable.name: each for each in resolved}
    names = list(dict.fromkeys(restraint.variable for restraint in restraints))
    terms, definitions = [], []
    for index, restraint in enumerate(restraints):
        variable = by_name[restraint.variable].variable
        factor = variable.unit.factor
        cv = f"cv{names.index(restraint.variable)}"
        away = f"({cv} - {restraint.center / factor!r})"
        if variable.is_periodic:
            away = f"(w{index} - {2 * math.pi!r}*floor(w{index}/{2 * math.pi!r} + 0.5))"
            definitions.append(f"w{index} = {cv} - {restraint.center / factor!r}")
        away = {"both": f"abs{away}", "above": away, "below": f"-{away}"}[
            restraint.side
        ]
        constant = (
            0.5 * restraint.force_constant * (_in_radians(variable) * factor) ** 2
        )
        beyond = f"max(0, {away} - {restraint.flat / factor!r})"
        terms.append(f"{constant!r}*{beyond}^2")
    force = openmm.CustomCVForce("; ".join([" + ".join(terms), *definitions]))
    for index, name in enumerate(names):
        force.addCollectiveVariable(f"cv{index}", make_force(by_name[name], system))
    force.setName(RESTRAINTS)
    return force


def _in_radians(variable: Variable) -> float:
    """Unit of a force constant's variable over the unit of its settings."""
    return math.pi / 180.0 if variable.kind in ("angle", "dihedral") else 1.0
