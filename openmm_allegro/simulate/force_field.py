# SPDX-License-Identifier: MIT
"""Say for a record how the force field of a System sums pairs, and what it holds rigid.

It is read off the System, so that defaults are told, too.
"""

from collections import defaultdict
from typing import Any

import openmm
from openmm import app, unit

from ..classical.parameters import EWALD, METHODS
from ..forces.systems import with_variables

FORCE_FIELD_NOTES = (
    *("force_field_nonbonded_method", "force_field_cutoff_nm"),
    *("force_field_switch_distance_nm", "force_field_tail_correction"),
    *("force_field_ewald_tolerance", "force_field_constraints", "rigid_waters"),
)


def about_force_field(system: openmm.System, topology: app.Topology) -> dict[str, Any]:
    """Say how a System sums pairs of its force field, and what has fixed lengths.

    Parameters
    ----------
    system : openmm.System
    topology : openmm.app.Topology

    Returns
    -------
    dict
        ``force_field_nonbonded_method`` by OpenMM's name, ``force_field_cutoff_nm`` and
        ``force_field_switch_distance_nm`` where it has them,
        ``force_field_tail_correction`` (whether Lennard-Jones energy beyond the cutoff
        is added), ``force_field_ewald_tolerance`` of Ewald sums,
        ``force_field_constraints`` but those of rigid waters (``none``, ``bonds to
        hydrogen``, ``bonds``, ``bonds and angles``) and ``rigid_waters``, their number.
        Empty without a NonbondedForce, which is none of a model's.
    """
    found = [f for f in with_variables(system) if isinstance(f, openmm.NonbondedForce)]
    if not found:
        return {}
    waters, others = _constraints(system, topology)
    return _sums(found[0]) | {
        "force_field_constraints": _name_constraints(others, topology),
        "rigid_waters": waters,
    }


def _sums(force: openmm.NonbondedForce) -> dict[str, Any]:
    """Say how pairs are summed."""
    method = METHODS[force.getNonbondedMethod()]
    notes: dict[str, Any] = {"force_field_nonbonded_method": method}
    if method == "NoCutoff":
        return notes
    nm = unit.nanometer
    notes["force_field_cutoff_nm"] = force.getCutoffDistance().value_in_unit(nm)
    if force.getUseSwitchingFunction():
        distance = force.getSwitchingDistance().value_in_unit(nm)
        notes["force_field_switch_distance_nm"] = distance
    if method in EWALD:
        notes["force_field_ewald_tolerance"] = force.getEwaldErrorTolerance()
    if method not in ("CutoffNonPeriodic", "LJPME"):
        notes["force_field_tail_correction"] = force.getUseDispersionCorrection()
    return notes


def _constraints(
    system: openmm.System, topology: app.Topology
) -> tuple[int, list[tuple[int, int]]]:
    """Count waters of three constraints, and list the pairs of all others."""
    numbers = [
        0 if atom.element is None else atom.element.atomic_number
        for atom in topology.atoms()
    ]
    near: dict[int, set[int]] = defaultdict(set)
    pairs = []
    for i in range(system.getNumConstraints()):
        first, second, _ = system.getConstraintParameters(i)
        near[first].add(second)
        near[second].add(first)
        pairs.append((first, second))
    rigid, waters = set(), 0
    for oxygen in [i for i in near if numbers[i] == 8 and len(near[i]) == 2]:
        first, second = near[oxygen]
        hydrogens = numbers[first] == numbers[second] == 1
        if hydrogens and near[first] == {oxygen, second} and second in near[first]:
            waters += 1
            rigid |= {oxygen, first, second}
    return waters, [pair for pair in pairs if not set(pair) <= rigid]


def _name_constraints(pairs: list[tuple[int, int]], topology: app.Topology) -> str:
    if not pairs:
        return "none"
    atoms = list(topology.atoms())
    bonds = {tuple(sorted((x.index, y.index))) for x, y in topology.bonds()}
    if any(tuple(sorted(pair)) not in bonds for pair in pairs):
        return "bonds and angles"
    hydrogen = app.element.hydrogen
    if all(any(atoms[i].element is hydrogen for i in pair) for pair in pairs):
        return "bonds to hydrogen"
    return "bonds"
