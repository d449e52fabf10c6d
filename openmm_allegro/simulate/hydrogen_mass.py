# SPDX-License-Identifier: MIT
"""Heavier hydrogens at the cost of what they are bonded to, for longer time steps."""

import openmm
from openmm import app


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
    masses = [system.getParticleMass(i)._value for i in range(system.getNumParticles())]
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
