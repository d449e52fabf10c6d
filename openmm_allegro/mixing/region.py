# SPDX-License-Identifier: MIT
"""System surgery for ML/MM: a classical System without the inner energy of a region.

``outside_region`` and ``inside_region`` divide the energy of a System between them;
both make copies. The inner energy is that of the region in vacuum, by the force field:
mechanical embedding, H. M. Senn and W. Thiel, doi:10.1002/anie.200802019.
"""

import copy
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import openmm

from .checks import (
    BONDED,
    bond_terms,
    constraints,
    warn_of_loose_atoms,
    warn_of_partial_charge,
)
from .dropped import warn_of_dropped_terms
from .pairs import check_constant, exception_offsets, pair_forces
from .surroundings import charge_forces, take_charges
from .terms import select_terms


def mixed_system(
    mm_system: openmm.System,
    atoms: Sequence[int],
    ml_force: openmm.Force,
    bonds: openmm.HarmonicBondForce,
    *,
    interpolate: bool,
    remove_constraints: bool,
    force_group: int,
    embedding: str = "mechanical",
) -> openmm.System:
    """Put a model in the place of a region's inner energy.

    Parameters
    ----------
    mm_system : openmm.System
    atoms : sequence of int
        The region; both have passed ``checks.check_region``.
    ml_force : openmm.Force
        The region's energy by the model.
    bonds : openmm.HarmonicBondForce
        Bonds of the topology, without strength; modified.
    interpolate, remove_constraints, force_group, embedding
        As in ``AllegroPotential.create_mixed_system``.
    """
    is_electrostatic = embedding == "electrostatic"
    # where the model has the region's charge, surroundings log what becomes of the rest
    warn_of_partial_charge(mm_system, None if is_electrostatic else atoms)
    warn_of_dropped_terms(
        mm_system,
        atoms,
        bonds,
        interpolate=interpolate,
        remove_constraints=remove_constraints,
    )
    # OpenMM keeps a molecule whole, and its atoms may be more than half a box apart.
    # Several molecules may lie on different sides of the box.
    nearest_images = mm_system.usesPeriodicBoundaryConditions() and not is_connected(
        bonds, atoms
    )
    system = outside_region(
        mm_system,
        atoms,
        nearest_images=nearest_images,
        remove_constraints=remove_constraints,
    )
    if is_electrostatic:
        take_charges(system, atoms)
    if interpolate:
        inside = inside_region(mm_system, atoms, nearest_images=nearest_images)
        taken = None
        if is_electrostatic:
            whole, taken = charge_forces(mm_system, system, atoms)
            inside.append(whole)
        ml_force = _interpolation(ml_force, inside, taken)
        if remove_constraints:
            warn_of_loose_atoms(mm_system, atoms)
    # OpenMM takes molecules from bonds, and those inside the region are gone.
    for pair in bond_terms(mm_system) + constraints(mm_system):
        bonds.addBond(*pair, 0.1, 0.0)
    markers = select_terms(bonds, set(atoms), inside=True)
    for force in (ml_force, markers):
        force.setForceGroup(force_group)
    system.addForce(ml_force)
    if markers.getNumBonds():
        system.addForce(markers)
    return system


def outside_region(
    system: openmm.System,
    atoms: Sequence[int],
    *,
    nearest_images: bool,
    remove_constraints: bool,
) -> openmm.System:
    """Copy a System without the energy, and optionally constraints, inside a region.

    Bonded terms whose particles are all in the region are dropped. Each pair of its
    atoms becomes an exception without energy in a NonbondedForce and an exclusion in a
    CustomNonbondedForce. In an Ewald sum this removes one image of the pair and leaves
    the others: the region still interacts with its own images by the force field.
    Forces keep their order and all other settings.

    Parameters
    ----------
    system : openmm.System
        Checked by ``check_system``.
    atoms : sequence of int
        The region.
    nearest_images : bool
        Whether exceptions are between nearest images; otherwise as in ``system``.
    remove_constraints : bool
        Whether to remove the constraints inside the region.
    """
    region = set(atoms)
    changed = copy.deepcopy(system)
    while changed.getNumForces():
        changed.removeForce(0)
    for force in system.getForces():
        changed.addForce(_outside(force, atoms, nearest_images))
    if remove_constraints:
        for index in reversed(range(changed.getNumConstraints())):
            if region.issuperset(changed.getConstraintParameters(index)[:2]):
                changed.removeConstraint(index)
    return changed


def inside_region(
    system: openmm.System, atoms: Sequence[int], *, nearest_images: bool
) -> list[openmm.Force]:
    """Make forces with the energy that ``outside_region`` leaves out.

    Parameters as of ``outside_region``.

    Raises
    ------
    ValueError
        If a global parameter scales the region's nonbonded interactions, or if a force
        computes derivatives with respect to one.
    """
    region = set(atoms)
    forces = []
    for force in system.getForces():
        inner = []
        if type(force).__name__ in BONDED:
            terms = select_terms(force, region, inside=True)
            inner = [terms] if _count(terms) else []
        elif isinstance(force, openmm.NonbondedForce):
            inner = pair_forces(force, atoms, nearest_images)
        elif isinstance(force, openmm.CustomNonbondedForce) and len(region) > 1:
            inner = [_within_groups(force, region)]
        if inner:
            check_constant(force)
        forces += inner
    return forces


def _outside(
    force: openmm.Force, atoms: Sequence[int], nearest_images: bool
) -> openmm.Force:
    if type(force).__name__ in BONDED:
        return select_terms(force, set(atoms), inside=False)
    changed = copy.deepcopy(force)
    if isinstance(changed, openmm.NonbondedForce):
        _except_pairs(changed, atoms)
        if nearest_images:
            changed.setExceptionsUsePeriodicBoundaryConditions(True)
    elif isinstance(changed, openmm.CustomNonbondedForce):
        _exclude_pairs(changed, atoms)
    elif isinstance(changed, openmm.CustomGBForce) and changed.getNumExclusions():
        # Without effect (_check_solvation), but GPUs need the same list in all forces.
        _exclude_pairs(changed, atoms)
    return changed


def _count(force: openmm.Force) -> int:
    for kind in ("Bonds", "Angles", "Torsions"):
        if hasattr(force, f"getNum{kind}"):
            return getattr(force, f"getNum{kind}")()
    raise AssertionError(type(force).__name__)


def _except_pairs(force: openmm.NonbondedForce, atoms: Sequence[int]) -> None:
    for first, second in combinations(atoms, 2):
        force.addException(first, second, 0.0, 1.0, 0.0, True)
    for offset, parameter, exception in exception_offsets(force, set(atoms)):
        force.setExceptionParameterOffset(offset, parameter, exception, 0.0, 0.0, 0.0)


def _exclude_pairs(
    force: openmm.CustomNonbondedForce | openmm.CustomGBForce, atoms: Sequence[int]
) -> None:
    present = {
        frozenset(force.getExclusionParticles(i))
        for i in range(force.getNumExclusions())
    }
    for pair in combinations(atoms, 2):
        if frozenset(pair) not in present:
            force.addExclusion(*pair)


def _within_groups(
    force: openmm.CustomNonbondedForce, region: set[int]
) -> openmm.CustomNonbondedForce:
    """Copy a force so that only pairs inside the region interact."""
    within = copy.deepcopy(force)
    within.setUseLongRangeCorrection(False)  # of no single pair: it stays outside
    for index in range(within.getNumInteractionGroups()):
        first, second = within.getInteractionGroupParameters(index)
        within.setInteractionGroupParameters(
            index, region & set(first), region & set(second)
        )
    if not force.getNumInteractionGroups():
        within.addInteractionGroup(region, region)
    return within


def _interpolation(
    ml: openmm.Force, mm: Sequence[openmm.Force], less: openmm.Force | None = None
) -> openmm.CustomCVForce:
    """Make a force with λ E_ML + (1 - λ) ΣE_MM, where λ is ``lambda_interpolate``.

    The energy of ``less`` is taken off ΣE_MM.
    """
    names = [f"mm{i}" for i in range(len(mm))]
    mixture = openmm.CustomCVForce(
        _interpolated(names, "" if less is None else "-less")
    )
    if less is not None:
        mixture.addCollectiveVariable("less", less)
    mixture.setName("Allegro, or what it replaces")
    mixture.addGlobalParameter("lambda_interpolate", 1.0)
    mixture.addCollectiveVariable("ml", ml)
    for name, force in zip(names, mm, strict=True):
        mixture.addCollectiveVariable(name, force)
    return mixture


def classical_end(force: openmm.Force) -> list[openmm.Force] | None:
    """Forces with the energy of an interpolation at λ = 0, without the model's.

    Parameters
    ----------
    force : openmm.Force

    Returns
    -------
    list of openmm.Force or None
        Copies; None if the force is no interpolation of ``mixed_system``, or its force
        field cannot stand alone: with charges that the model takes, or with exclusions
        other than those of the other forces.
    """
    if not isinstance(force, openmm.CustomCVForce):
        return None
    count = force.getNumCollectiveVariables()
    names = [force.getCollectiveVariableName(index) for index in range(count)]
    if names != ["ml", *(f"mm{index}" for index in range(count - 1))]:
        return None
    if force.getEnergyFunction() != _interpolated(names[1:]):
        return None
    inner = [force.getCollectiveVariable(index) for index in range(1, count)]
    if any(isinstance(each, openmm.CustomNonbondedForce) for each in inner):
        return None
    return [copy.deepcopy(each) for each in inner]


def _interpolated(names: Sequence[str], less: str = "") -> str:
    """Energy of an interpolation of variables with these names."""
    inside = ("+".join(names) or "0") + less
    return f"lambda_interpolate*ml+(1-lambda_interpolate)*({inside})"


def is_connected(bonds: openmm.HarmonicBondForce, atoms: Sequence[int]) -> bool:
    """Tell if bonds connect all of these atoms, possibly through others."""
    bonded = defaultdict(set)
    for index in range(bonds.getNumBonds()):
        first, second, *_ = bonds.getBondParameters(index)
        bonded[first].add(second)
        bonded[second].add(first)
    reached, waiting = {atoms[0]}, [atoms[0]]
    while waiting:
        fresh = bonded[waiting.pop()] - reached
        reached |= fresh
        waiting += fresh
    return reached.issuperset(atoms)
