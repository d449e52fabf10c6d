# SPDX-License-Identifier: MIT
"""Which Systems a region can be taken out of, and what is odd about doing so."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from ..classical import parameters as force_parameters
from ..structure import check_atoms
from ..units import NM_TO_ANGSTROM

log = logging.getLogger(__name__)

# Da that an atom may have beyond its element's: isotopes, and hydrogens with a share of
# their neighbours' mass, which these lack. An atom without any mass is frozen.
EXTRA_MASS, EXTRA_MASS_OF_HYDROGEN = 1.5, 5.0
# Sums of terms, each of which lists its particles.
BONDED = {*force_parameters.BONDED, "CMAPTorsionForce", "CustomCompoundBondForce"}
# What is no interaction within a region in vacuum. Implicit solvents are not: a model
# of the region in vacuum does not know how the solvent answers to the region.
KEPT = {
    *force_parameters.WITHOUT_ENERGY,
    "CustomExternalForce",
    "CustomGBForce",
    "CustomVolumeForce",
    "GBSAOBCForce",
    "LCPOForce",
    "OrientationRestraintForce",
    "RGForce",
    "RMSDForce",
}


def check_region(
    topology: app.Topology, system: openmm.System, atoms: Iterable[int]
) -> list[int]:
    """The region's atoms.

    Logs where masses say that the System has other atoms than the topology.

    Raises
    ------
    ValueError
        If topology and System are not of the same size, ``atoms`` are no indices,
        repeated, none or out of range, or the region's border cuts a bond of the System
        that the topology does not have.
    """
    count = topology.getNumAtoms()
    if system.getNumParticles() != count:
        raise ValueError(
            f"mm_system: expected the {count} atoms of the topology, found "
            f"{system.getNumParticles()} particles"
        )
    _warn_of_masses(topology, system)
    chosen = check_atoms(atoms, count)
    _check_cut_bonds(topology, system, set(chosen))
    return chosen


def check_system(system: openmm.System, atoms: Sequence[int], cutoff: float) -> None:
    """Refuse a System of which the region cannot be given to a model.

    Parameters
    ----------
    system : openmm.System
    atoms : sequence of int
    cutoff : float
        Å, of the model.

    Raises
    ------
    ValueError
        If a force of unknown kind may act inside the region, a constraint crosses its
        border, a virtual site is inside or depends on an atom inside, or an atom would
        meet two images of another.
    """
    for force in system.getForces():
        kind = type(force).__name__
        if kind not in BONDED | KEPT | {"NonbondedForce", "CustomNonbondedForce"}:
            raise ValueError(
                f"mm_system: expected forces of which it is known what they do inside "
                f"the ML region, found a {kind} ({force.getName()!r}); add biases and "
                "restraints to the mixed System instead"
            )
        if kind == "CustomGBForce":
            _check_solvation(force)
    region = set(atoms)
    for first, second in constraints(system):
        if (first in region) != (second in region):
            raise ValueError(
                "mm_system: expected no constraint across the border of the ML region, "
                f"found one between atoms {first} and {second}; take whole rigid "
                "molecules, or create mm_system without this constraint"
            )
    for index in filter(system.isVirtualSite, range(system.getNumParticles())):
        site = system.getVirtualSite(index)
        parents = {site.getParticle(i) for i in range(site.getNumParticles())}
        if index in region or not region.isdisjoint(parents):
            raise ValueError(
                "mm_system: expected no virtual site in the ML region, found particle "
                f"{index} at atoms {sorted(parents)}"
            )
    if system.usesPeriodicBoundaryConditions():
        _check_room(system, cutoff)


def warn_of_loose_atoms(system: openmm.System, atoms: Sequence[int]) -> None:
    """Log a constraint in the region without a bond term to stand in for it."""
    region = set(atoms)
    bonds = {frozenset(pair) for pair in bond_terms(system)}
    for pair in constraints(system):
        if region.issuperset(pair) and frozenset(pair) not in bonds:
            log.warning(
                "mm_system has no bond term beside the constraint of atoms %d and %d, "
                "which is removed: where lambda_interpolate is near 0 nothing holds "
                "them together; create mm_system with constraints=None and "
                "rigidWater=False, or take remove_constraints=False",
                *pair,
            )
            return


def warn_of_partial_charge(system: openmm.System, atoms: Sequence[int]) -> None:
    """Log a charge of the region or of all that is no integer (by over 0.01 e)."""
    everything = range(system.getNumParticles())
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            charges = [force.getParticleParameters(i)[0]._value for i in everything]
            for what, some in (("the ML region", atoms), ("mm_system", everything)):
                total = sum(charges[i] for i in some)
                if abs(total - round(total)) > 0.01:
                    log.warning(
                        "the force field's charges of %s add up to %+.3f e, which is "
                        "no integer; they stay as they are",
                        what,
                        total,
                    )


def _warn_of_masses(topology: app.Topology, system: openmm.System) -> None:
    for atom in topology.atoms():
        if atom.element is None:
            continue
        mass = system.getParticleMass(atom.index) / unit.dalton
        own = atom.element.mass / unit.dalton
        is_hydrogen = atom.element.symbol == "H"
        if mass > own + (EXTRA_MASS_OF_HYDROGEN if is_hydrogen else EXTRA_MASS):
            log.warning(
                "atom %d is %s in the topology, but has a mass of %g Da in mm_system: "
                "are its atoms in another order, or others?",
                atom.index,
                atom.element.symbol,
                mass,
            )
            return


def _check_cut_bonds(
    topology: app.Topology, system: openmm.System, region: set[int]
) -> None:
    """By the topology alone it would not be known that the border cuts a bond."""
    bonded = defaultdict(set)
    for bond in topology.bonds():
        first, second = bond.atom1.index, bond.atom2.index
        bonded[first].add(second)
        bonded[second].add(first)
    for first, second in bond_terms(system, of=openmm.HarmonicBondForce):
        if (first in region) != (second in region) and not (
            # between second neighbours there are terms as well (Urey and Bradley)
            second in bonded[first] or bonded[first] & bonded[second]
        ):
            raise ValueError(
                "mm_system: expected no bond across the border of the ML region but "
                f"those of the topology, found one between atoms {first} and {second}; "
                "add it to the topology (addBond) or, if it is a restraint, to the "
                "mixed System"
            )


def _check_room(system: openmm.System, cutoff: float) -> None:
    vectors = system.getDefaultPeriodicBoxVectors()
    box = np.array([v.value_in_unit(unit.nanometer) for v in vectors])
    width = NM_TO_ANGSTROM / np.linalg.norm(np.linalg.inv(box), axis=0).max()
    if width < 2.0 * cutoff:
        raise ValueError(
            f"mm_system: expected a box of at least two cutoffs of the model "
            f"({2.0 * cutoff:g} Å), found a width of {width:g} Å"
        )


def _check_solvation(force: openmm.CustomGBForce) -> None:
    values = map(force.getComputedValueParameters, range(force.getNumComputedValues()))
    terms = map(force.getEnergyTermParameters, range(force.getNumEnergyTerms()))
    for *_, expression, kind in (*values, *terms):
        if kind == openmm.CustomGBForce.ParticlePair:
            raise ValueError(
                "mm_system: expected a CustomGBForce that is an implicit solvent, "
                "which has no exclusions, found them in its term "
                f"{expression.split(';')[0]!r}"
            )


def bond_terms(
    system: openmm.System, of: Any = openmm.HarmonicBondForce | openmm.CustomBondForce
) -> list[tuple[int, int]]:
    """Pairs of particles that have a bond term of any strength in such forces."""
    return [
        tuple(force.getBondParameters(i)[:2])
        for force in system.getForces()
        if isinstance(force, of)
        for i in range(force.getNumBonds())
    ]


def constraints(system: openmm.System) -> list[tuple[int, int]]:
    """Pairs of particles at a fixed distance."""
    return [
        tuple(system.getConstraintParameters(i)[:2])
        for i in range(system.getNumConstraints())
    ]
