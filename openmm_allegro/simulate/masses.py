# SPDX-License-Identifier: MIT
"""Masses of atoms in the stages of a protocol, and velocities where they change."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import openmm
from openmm import app

from ..forces import masses_of
from ..nuclei.ring_polymer import Beads
from .checks import name_stage
from .settings import Stage

log = logging.getLogger(__name__)

_CONSTRAINT_TOLERANCE = 1e-8  # relative


class Ended(NamedTuple):
    """What another run ended with, beside its State."""

    masses: np.ndarray  # [N] Da
    beads: Beads | None = None  # of a ring polymer


def repartition_hydrogen_mass(
    system: openmm.System, topology: app.Topology, mass: float
) -> None:
    """Give every hydrogen of a System a mass, taken from the atom it is bonded to.

    Masses change what moves how fast, not the distribution of positions (Hopkins et
    al., doi:10.1021/ct5010406).

    Parameters
    ----------
    system : openmm.System
        Is changed.
    topology : openmm.app.Topology
        Its bonds are used.
    mass : float
        Da, of each hydrogen.

    Raises
    ------
    ValueError
        If a hydrogen has no bond to another element, or what it is bonded to would
        weigh less than it.
    """
    partners: dict[int, int] = {}
    for bond in topology.bonds():
        for atom, other in ((bond.atom1, bond.atom2), (bond.atom2, bond.atom1)):
            # a virtual site has no element, and no mass to give
            if atom.element == app.element.hydrogen != (other.element or atom.element):
                partners[atom.index] = other.index
    hydrogens = [a for a in topology.atoms() if a.element == app.element.hydrogen]
    loose = [atom.index for atom in hydrogens if atom.index not in partners]
    if loose:
        raise ValueError(
            f"hydrogen_mass: expected bonds of all {len(hydrogens)} hydrogens in the "
            f"topology, found none of {len(loose)} (the first with index {loose[0]})"
        )
    masses = masses_of(system).tolist()
    for hydrogen, other in partners.items():
        if masses[hydrogen] > 0:  # else it is held where it is
            masses[other] -= mass - masses[hydrogen]
            masses[hydrogen] = mass
    for hydrogen, other in partners.items():
        if masses[hydrogen] > 0 and masses[other] < masses[hydrogen]:
            raise ValueError(
                f"hydrogen_mass: expected atoms heavier than their hydrogens of {mass} "
                f"Da, found {masses[other]:.3f} Da left for atom {other}"
            )
    for index, value in enumerate(masses):
        system.setParticleMass(index, value)


def stage_masses(
    topology: app.Topology, system: openmm.System, stages: Sequence[Stage]
) -> np.ndarray:
    """Masses [S, N] in Da of all atoms in each stage, with its mass of hydrogens.

    Parameters
    ----------
    topology : openmm.app.Topology
    system : openmm.System
        Masses of the elements; it is left as it was.
    stages : sequence of Stage

    Raises
    ------
    ValueError
        As ``repartition_hydrogen_mass``, by the name of the stage.
    """
    own = masses_of(system)
    rows: dict[float | None, np.ndarray] = {None: own}
    for stage in stages:
        mass = stage.hydrogen_mass_da
        if mass not in rows:
            with name_stage(stage.name):
                repartition_hydrogen_mass(system, topology, mass)
            rows[mass] = masses_of(system)
            for index, value in enumerate(own.tolist()):
                system.setParticleMass(index, value)
    return np.array([rows[stage.hydrogen_mass_da] for stage in stages])


def keep_kinetic_energies(context: openmm.Context, before: np.ndarray) -> None:
    """Scale velocities of atoms whose masses changed, so that each keeps its energy.

    Velocities of one temperature are so those of the same one with the new masses.
    Where constraints then take some of them, all gain what was lost.

    Parameters
    ----------
    context : openmm.Context
        With the new masses, and the velocities of the earlier ones.
    before : ndarray [N], Da
        The earlier masses.
    """
    system = context.getSystem()
    now = masses_of(system)
    changed = (now > 0) & (before > 0) & ~np.isclose(now, before, rtol=1e-9)
    if not changed.any():
        return
    velocities = _velocities(context)
    velocities[changed] *= np.sqrt(before[changed] / now[changed])[:, None]
    context.setVelocities(velocities)
    if system.getNumConstraints():
        context.applyVelocityConstraints(_CONSTRAINT_TOLERANCE)
        held = _velocities(context)
        wanted, left = (now @ np.square(v).sum(axis=1) for v in (velocities, held))
        if left > 0:
            context.setVelocities(held * np.sqrt(wanted / left))
    log.info(
        "masses of %d atoms are others than before: velocities of these are scaled, "
        "and each keeps its kinetic energy",
        np.count_nonzero(changed),
    )


def _velocities(context: openmm.Context) -> np.ndarray:
    state = context.getState(velocities=True)
    return np.array(state.getVelocities(asNumpy=True)._value)
