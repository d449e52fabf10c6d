# SPDX-License-Identifier: MIT
"""Collective variables of a System: their atoms, checked, and their forces."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app

from ..inputs.regions import select_atoms
from ..units import NM_TO_ANGSTROM
from .settings import Variable, check_groups

# Further columns of the files that variables are in.
_TAKEN = ("step", "time_ps", "bias_kj_mol", "restraints_kj_mol")
_TAKEN += ("height_kj_mol", "bias_factor", "kernels", "rct_kj_mol")
# Pairs of a coordination number; each is computed at every step.
MOST_PAIRS = 200_000


class Resolved(NamedTuple):
    """A variable with the atoms of a System.

    Attributes
    ----------
    variable : Variable
    groups : tuple of tuple of int
        Atoms of each point.
    reference : ndarray [N, 3] or None
        Positions of an rmsd, nm.
    """

    variable: Variable
    groups: tuple[tuple[int, ...], ...]
    reference: np.ndarray | None = None

    def record(self) -> dict[str, Any]:
        """Collect what the record of a run has, for what reads it back."""
        variable = self.variable
        values: dict[str, Any] = {
            "name": variable.name,
            "kind": variable.kind,
            "unit": variable.unit.name,
            "column": variable.column,
            "groups": [list(group) for group in self.groups],
        }
        if variable.kind == "coordination":
            values |= {
                "r0_angstrom": variable.r0_angstrom,
                "exponent": variable.exponent,
            }
        if self.reference is not None:
            atoms = list(self.groups[0])
            values["reference_nm"] = self.reference[atoms].round(6).tolist()
        return values


def resolve(
    variables: Sequence[Variable],
    topology: app.Topology,
    system: openmm.System,
    references: Mapping[str, np.ndarray],
) -> list[Resolved]:
    """Find the atoms of variables in a System.

    Parameters
    ----------
    variables : sequence of Variable
    topology : openmm.app.Topology
    system : openmm.System
    references : mapping of str to ndarray [N, 3], nm
        Positions that each rmsd is taken from, by its name.

    Raises
    ------
    ValueError
        If two variables have one name or column, or one that the files have already, a
        selection is empty or cannot be read, an atom does not exist, is there twice or
        has no mass where a centre of mass is asked for, or a coordination number has
        too many pairs.
    """
    for attribute in ("name", "column"):
        names = [getattr(variable, attribute) for variable in variables]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"variables: expected each {attribute} once, found {twice[0]} twice"
            )
    _check_columns([variable.column for variable in variables])
    resolved = []
    for variable in variables:
        try:
            groups = variable.points or select_atoms(topology, variable.selections)
            check_groups(groups)
            _check(variable, groups, system)
        except ValueError as error:
            raise ValueError(f"variable {variable.name}: {error}") from error
        reference = None
        if variable.kind == "rmsd":
            reference = _checked_reference(variable, references, system)
        resolved.append(Resolved(variable, groups, reference))
    return resolved


def make_force(resolved: Resolved, system: openmm.System) -> openmm.Force:
    """Make a force whose energy is a variable, in nm or radians.

    Distances are those of nearest images where the System is periodic. An rmsd and
    centres of mass take positions as they are, so molecules must be whole. Forces of
    single atoms are compound ones, which OpenMM does not take for bonds: it would move
    the atoms as one molecule when the volume changes.

    Parameters
    ----------
    resolved : Resolved
    system : openmm.System
        Its masses and periodicity are used.
    """
    variable, groups = resolved.variable, resolved.groups
    if variable.kind == "rmsd":
        return openmm.RMSDForce(resolved.reference, list(groups[0]))
    if variable.kind == "coordination":
        half = variable.r0_angstrom / NM_TO_ANGSTROM
        pair = f"1/(1 + (distance(p1, p2)/{half!r})^{variable.exponent})"
        force = openmm.CustomCompoundBondForce(2, pair)
        for first in groups[0]:
            for second in groups[1]:
                force.addBond([first, second])
    elif all(len(group) == 1 for group in groups):
        points = ", ".join(f"p{number}" for number in range(1, len(groups) + 1))
        expression = f"{variable.kind}({points})"
        force = openmm.CustomCompoundBondForce(len(groups), expression)
        force.addBond([group[0] for group in groups])
    else:
        points = ", ".join(f"g{number}" for number in range(1, len(groups) + 1))
        expression = f"{variable.kind}({points})"
        force = openmm.CustomCentroidBondForce(len(groups), expression)
        for group in groups:
            force.addGroup(group, [system.getParticleMass(i)._value for i in group])
        force.addBond(range(len(groups)))
    force.setUsesPeriodicBoundaryConditions(system.usesPeriodicBoundaryConditions())
    return force


def _check_columns(columns: Sequence[str]) -> None:
    """Refuse columns that tables have for something else."""
    taken = {*_TAKEN, *(f"width_{column}" for column in columns)}
    for column in columns:
        if column in taken:
            raise ValueError(
                f"variables: expected another name of the column {column}, found one "
                "that tables of variables, hills or kernels have already"
            )


def _check(
    variable: Variable, groups: tuple[tuple[int, ...], ...], system: openmm.System
) -> None:
    """Refuse atoms that a System lacks, or that a kind of variable cannot have."""
    count = system.getNumParticles()
    beyond = [atom for group in groups for atom in group if atom >= count]
    if beyond:
        raise ValueError(
            f"expected atoms below {count}, the number of particles, found {beyond[0]}"
        )
    if variable.kind == "coordination":
        pairs = len(groups[0]) * len(groups[1])
        if pairs > MOST_PAIRS:
            raise ValueError(
                f"expected at most {MOST_PAIRS} pairs of a coordination number, found "
                f"{len(groups[0])} times {len(groups[1])}"
            )
        return
    if variable.kind == "rmsd":
        if len(groups[0]) < 3:
            raise ValueError(
                f"expected at least 3 atoms of an rmsd, found {len(groups[0])}"
            )
        return
    for group in groups:
        mass = sum(system.getParticleMass(atom)._value for atom in group)
        if len(group) > 1 and not mass > 0:
            raise ValueError(
                "expected atoms with mass in each group, whose centre of mass is "
                f"taken, found none in that of atom {group[0]}"
            )


def _checked_reference(
    variable: Variable, references: Mapping[str, np.ndarray], system: openmm.System
) -> np.ndarray:
    reference, count = references[variable.name], system.getNumParticles()
    if reference.shape != (count, 3):
        raise ValueError(
            f"variable {variable.name}: expected a reference of the System's {count} "
            f"particles, found one of {len(reference)}"
        )
    return reference
