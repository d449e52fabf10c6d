# SPDX-License-Identifier: MIT
"""Bonds without strength, by which OpenMM knows the molecules of a System."""

from collections.abc import Sequence

import openmm
from openmm import app

BOND_MARKERS = "Bonds of the topology (no energy)"


def bond_markers(
    topology: app.Topology, periodic: bool, atoms: Sequence[int] | None = None
) -> openmm.HarmonicBondForce:
    """Make bonds without strength, from which OpenMM finds the molecules.

    Parameters
    ----------
    topology : openmm.app.Topology
    periodic : bool
    atoms : sequence of int, optional
        Take only bonds between two of these atoms; by default, all bonds.
    """
    chosen = set(range(topology.getNumAtoms()) if atoms is None else atoms)
    force = openmm.HarmonicBondForce()
    force.setName(BOND_MARKERS)
    force.setUsesPeriodicBoundaryConditions(periodic)
    for bond in topology.bonds():
        first, second = bond.atom1.index, bond.atom2.index
        if first in chosen and second in chosen:
            force.addBond(first, second, 0.1, 0.0)
    return force
