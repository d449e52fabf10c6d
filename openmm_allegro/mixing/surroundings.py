# SPDX-License-Identifier: MIT
"""Electrostatic embedding: point charges of a force field around those of a region.

Atoms of the region have the model's charges, and the NonbondedForce has none there.
``potential.embedded_module`` sums over both. Beside cut bonds charges are shifted, see
``shifted_charges``. All else is as in mechanical embedding: Lennard-Jones interactions
across the border, and the force field's energy of the surroundings.
"""

import copy
import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

import openmm
from openmm import app, unit

from ..classical.parameters import EWALD, METHODS
from ..units import NM_TO_ANGSTROM
from .link_atoms import Cap
from .shifted_charges import Point, near_border, plain_points, shifted_points

log = logging.getLogger(__name__)

EMBEDDINGS = ("mechanical", "electrostatic")
# Least α r at the cutoff, where pairs of a charge of the region and one of the
# surroundings end: erfc is 5e-4 there. OpenMM's own default has 2e-4.
LEAST_REACH = 2.46
_SOLVENTS = ("GBSAOBCForce", "CustomGBForce")
WHERE = "embedding='electrostatic'"  # begins errors


class Surroundings(NamedTuple):
    """Point charges that the atoms of a region meet."""

    points: tuple[Point, ...]  # none of them has a charge of 0
    cutoff: float  # of pairs across the border in an Ewald sum, Å; 0: no Ewald sum


def find_surroundings(
    topology: app.Topology,
    system: openmm.System,
    atoms: Sequence[int],
    caps: Sequence[Cap],
    alpha: float,
    total: float,
) -> Surroundings:
    """Read the charges around a region off the System's NonbondedForce.

    Parameters
    ----------
    topology : openmm.app.Topology
    system : openmm.System
    atoms : sequence of int
        The region.
    caps : sequence of Cap
        Its link atoms, from whose outer ends charges are shifted.
    alpha : float
        Smallest of the models' Gaussian charges, 1/Å.
    total : float, e
        Charge of the region by the models.

    Raises
    ------
    ValueError
        If charges are elsewhere, too, may change, or are cut off; if an exception
        crosses the border where no bond is cut; if charges cannot be shifted; or if the
        cutoff is too short for alpha.
    """
    force = _nonbonded(system)
    region = set(atoms)
    _check_constant(force, region)
    _check_border(force, region, near_border(topology, atoms) if caps else set())
    charges = {
        i: _charge(force, i) for i in range(system.getNumParticles()) if i not in region
    }
    points = plain_points(charges)
    if caps:
        missing = region_charge(system, atoms) - total
        remainder = missing - round(missing)
        points = shifted_points(topology, caps, charges, remainder)
        log.info(
            "charges of the outer atoms of cut bonds (%d) are shifted to their "
            "neighbours; the region has %+g e by the model, and %.3f e that it has "
            "beyond that by the force field goes to these atoms",
            len(caps),
            total,
            round(remainder, 3) + 0.0,  # not -0.000
        )
    method = METHODS[force.getNonbondedMethod()]
    periodic = system.usesPeriodicBoundaryConditions()
    if method not in EWALD:
        if method != "NoCutoff" or periodic:
            raise ValueError(
                f"{WHERE}: expected a NonbondedForce with {', '.join(EWALD)} or, "
                "without periodic images, NoCutoff, because the model's charges are "
                f"summed without a cutoff and without a reaction field, found {method}"
                f"{' in a periodic System' if method == 'NoCutoff' else ''}"
            )
        return Surroundings(points, 0.0)
    cutoff = force.getCutoffDistance().value_in_unit(unit.nanometer) * NM_TO_ANGSTROM
    if alpha * cutoff < LEAST_REACH:
        least = math.ceil(10 * LEAST_REACH / alpha) / 10
        raise ValueError(
            f"{WHERE}: expected a NonbondedForce with a cutoff of at least "
            f"{least:g} Å, because the model's charges have alpha = {alpha:g} 1/Å, "
            f"found {cutoff:g} Å"
        )
    return Surroundings(points, cutoff)


def region_charge(system: openmm.System, atoms: Sequence[int]) -> float:
    """Sum the force field's charges of a region, e."""
    return sum(
        _charge(force, i)
        for force in system.getForces()
        if isinstance(force, openmm.NonbondedForce)
        for i in atoms
    )


def take_charges(system: openmm.System, atoms: Sequence[int]) -> None:
    """Set the charges of a region to 0; its pairs are exceptions without energy.

    Exceptions across its border, of bonds that are cut, keep Lennard-Jones terms alone.
    """
    force = _nonbonded(system)
    for index in atoms:
        _, sigma, epsilon = force.getParticleParameters(index)
        force.setParticleParameters(index, 0.0, sigma, epsilon)
    for index in _across(force, set(atoms)):
        first, second, _, *rest = force.getExceptionParameters(index)
        force.setExceptionParameters(index, first, second, 0.0, *rest)


def charge_forces(
    system: openmm.System, without: openmm.System, atoms: Sequence[int]
) -> tuple[openmm.NonbondedForce, openmm.NonbondedForce]:
    """Make forces whose difference is what ``take_charges`` takes.

    They have charges alone, and the same exceptions.

    Parameters
    ----------
    system : openmm.System
        With all charges.
    without : openmm.System
        After ``region.outside_region`` and ``take_charges``.
    atoms : sequence of int

    Returns
    -------
    with_charges, without_charges : openmm.NonbondedForce
    """
    original = _nonbonded(system)
    bare = copy.deepcopy(_nonbonded(without))
    bare.setUseDispersionCorrection(False)
    bare.setReciprocalSpaceForceGroup(-1)  # as variables of a CustomCVForce need
    if bare.getNonbondedMethod() == openmm.NonbondedForce.LJPME:
        bare.setNonbondedMethod(openmm.NonbondedForce.PME)
    for index in range(bare.getNumParticles()):
        bare.setParticleParameters(index, _charge(bare, index), 1.0, 0.0)
    for index in range(bare.getNumExceptions()):
        first, second, product, *_ = bare.getExceptionParameters(index)
        bare.setExceptionParameters(index, first, second, product, 1.0, 0.0)
    full = copy.deepcopy(bare)
    for index in atoms:
        full.setParticleParameters(index, _charge(original, index), 1.0, 0.0)
    products = {}
    for index in _across(original, set(atoms)):
        first, second, product, *_ = original.getExceptionParameters(index)
        products[frozenset((first, second))] = product
    for index in _across(full, set(atoms)):
        first, second, *_ = full.getExceptionParameters(index)
        product = products[frozenset((first, second))]
        full.setExceptionParameters(index, first, second, product, 1.0, 0.0)
    return full, bare


def _nonbonded(system: openmm.System) -> openmm.NonbondedForce:
    """The only NonbondedForce of a System."""
    forces = system.getForces()
    solvents = [type(f).__name__ for f in forces if type(f).__name__ in _SOLVENTS]
    if solvents:
        raise ValueError(
            f"{WHERE}: expected no implicit solvent, which would need the charges of "
            f"the ML region, found a {solvents[0]}"
        )
    found = [f for f in forces if isinstance(f, openmm.NonbondedForce)]
    if len(found) != 1:
        raise ValueError(
            f"{WHERE}: expected one NonbondedForce in mm_system, which has the "
            f"charges, found {len(found)}"
        )
    for force in forces:
        if isinstance(force, openmm.CustomNonbondedForce):
            count = force.getNumPerParticleParameters()
            names = [force.getPerParticleParameterName(i) for i in range(count)]
            if {"q", "charge"} & set(names):
                raise ValueError(
                    f"{WHERE}: expected charges in a NonbondedForce alone, found a "
                    f"CustomNonbondedForce with them ({force.getName()!r})"
                )
    return found[0]


def _check_constant(force: openmm.NonbondedForce, region: set[int]) -> None:
    """Refuse charges that a global parameter scales, and a part of the sum alone."""
    across = set(_across(force, region))
    scaled = [
        force.getParticleParameterOffset(i)
        for i in range(force.getNumParticleParameterOffsets())
    ]
    scaled += [
        offset
        for offset in map(
            force.getExceptionParameterOffset,
            range(force.getNumExceptionParameterOffsets()),
        )
        if offset[1] in across
    ]
    names = {name for name, _, charge, *_ in scaled if charge}
    if names:
        raise ValueError(
            f"{WHERE}: expected constant charges in the NonbondedForce, found offsets "
            f"by {sorted(names)}"
        )
    if not force.getIncludeDirectSpace():
        raise ValueError(
            f"{WHERE}: expected a NonbondedForce that includes direct space, found "
            f"one without ({force.getName()!r})"
        )


def _check_border(
    force: openmm.NonbondedForce, region: set[int], near: set[tuple[int, int]]
) -> None:
    """Refuse pairs across the border that do not interact as all others do.

    Those of a cut bond (``near``) may: charges of a model have no exclusions there.
    """
    for index in _across(force, region):
        first, second, *_ = force.getExceptionParameters(index)
        if (first, second) not in near and (second, first) not in near:
            raise ValueError(
                f"{WHERE}: expected no exceptions across the border of the region but "
                "those of bonds that it cuts (link='cap'), since charges of a model "
                "have no exclusions there, found one of atoms "
                f"{first} and {second}"
            )


def _across(force: openmm.NonbondedForce, region: set[int]) -> list[int]:
    """Exceptions of an atom of the region and one outside."""
    ends = (
        force.getExceptionParameters(i)[:2] for i in range(force.getNumExceptions())
    )
    return [
        i
        for i, (first, second) in enumerate(ends)
        if (first in region) != (second in region)
    ]


def _charge(force: openmm.NonbondedForce, index: int) -> float:
    charge = force.getParticleParameters(index)[0]
    return charge.value_in_unit(unit.elementary_charge)
