# SPDX-License-Identifier: MIT
"""Checks of a System out of which a region is to be taken."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from ..classical import parameters as force_parameters
from ..structure import check_atoms
from ..units import NM_TO_ANGSTROM
from .shifted_charges import bonded_atoms
from .terms import terms_inside

log = logging.getLogger(__name__)

# Da by which an atom may be heavier than its element: isotopes, and hydrogens to which
# mass of their neighbours was moved. Lighter atoms pass: the neighbours, frozen atoms.
EXTRA_MASS, EXTRA_MASS_OF_HYDROGEN = 1.5, 5.0
# Forces that are sums of terms, each of which lists its particles.
BONDED = {*force_parameters.BONDED, "CMAPTorsionForce", "CustomCompoundBondForce"}
# Forces without an interaction inside a region in vacuum, which stay as they are.
# Implicit solvents are among them: a model of the region in vacuum does not know how
# the solvent responds to the region.
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
    """Check the atoms of a region and return their indices.

    Logs a warning if the masses show that the System has other atoms than the topology.

    Raises
    ------
    ValueError
        If topology and System differ in size, ``atoms`` are no indices, repeated, none
        or out of range, or the region's border cuts a bond that the System has and the
        topology lacks.
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
    """Refuse a System whose region a model cannot take over.

    Parameters
    ----------
    system : openmm.System
    atoms : sequence of int
    cutoff : float
        Cutoff of the model, Å.

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
                "mm_system: expected forces whose action inside the ML region is "
                f"known, found a {kind} ({force.getName()!r}); add biases and "
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
    """Log a constraint of the region that no bond or angle term can replace."""
    region = set(atoms)
    held = {frozenset(pair) for pair in bond_terms(system)}
    held |= {frozenset(ends) for ends in _angle_ends(system, region)}
    for pair in constraints(system):
        if region.issuperset(pair) and frozenset(pair) not in held:
            log.warning(
                "mm_system has no bond term beside the constraint of atoms %d and %d, "
                "which is removed: nothing holds them together when lambda_interpolate "
                "is near 0, where the simulation becomes unstable. Create mm_system "
                "with flexibleConstraints=True beside its constraints, or with "
                "constraints=None and rigidWater=True where the region has no water; "
                "the other molecules stay rigid then. Or pass remove_constraints=False",
                *pair,
            )
            return


def _angle_ends(system: openmm.System, region: set[int]) -> set[tuple[int, int]]:
    """Ends of the harmonic angles inside a region: hydrogens of a water, say."""
    return {
        (first, third)
        for force in system.getForces()
        if isinstance(force, openmm.HarmonicAngleForce)
        for first, _, third in terms_inside(force, region)
    }


def warn_of_partial_charge(system: openmm.System, atoms: Sequence[int] | None) -> None:
    """Log a total charge, of the region if given or of all, 0.01 e off an integer."""
    everything = range(system.getNumParticles())
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            charges = [force.getParticleParameters(i)[0]._value for i in everything]
            for name, indices in (("the ML region", atoms), ("mm_system", everything)):
                if indices is None:
                    continue
                total = sum(charges[i] for i in indices)
                if abs(total - round(total)) > 0.01:
                    log.warning(
                        "the force field's charges of %s add up to %+.3f e, which is "
                        "no integer; they stay as they are",
                        name,
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
                "are the System's atoms in another order, or other atoms?",
                atom.index,
                atom.element.symbol,
                mass,
            )
            return


def _check_cut_bonds(
    topology: app.Topology, system: openmm.System, region: set[int]
) -> None:
    """Refuse a cut bond that the topology does not show."""
    bonded = bonded_atoms(topology)
    for first, second in bond_terms(system, openmm.HarmonicBondForce):
        if (first in region) != (second in region) and not (
            # between second neighbours there are terms as well (Urey and Bradley)
            second in bonded[first] or bonded[first] & bonded[second]
        ):
            raise ValueError(
                "mm_system: expected only bonds of the topology across the border of "
                f"the ML region, found another one between atoms {first} and {second}; "
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
                "mm_system: expected a CustomGBForce without exclusions, as implicit "
                "solvents are, found exclusions in its term "
                f"{expression.split(';')[0]!r}"
            )


def bond_terms(
    system: openmm.System,
    kinds: Any = openmm.HarmonicBondForce | openmm.CustomBondForce,
) -> list[tuple[int, int]]:
    """List the pairs of particles with a bond term of any strength in such forces."""
    return [
        tuple(force.getBondParameters(i)[:2])
        for force in system.getForces()
        if isinstance(force, kinds)
        for i in range(force.getNumBonds())
    ]


def constraints(system: openmm.System) -> list[tuple[int, int]]:
    """List the pairs of particles at a fixed distance."""
    return [
        tuple(system.getConstraintParameters(i)[:2])
        for i in range(system.getNumConstraints())
    ]
