# SPDX-License-Identifier: MIT
"""Masses of atoms, and types of LAMMPS: atoms of one element and one mass."""

from collections.abc import Sequence

import numpy as np
import openmm
from openmm import app, unit

from ..classical.bonds import bond_markers
from ..topology.elements import ATOMIC_NUMBERS
from .plan import AtomType


def element_masses(topology: app.Topology) -> np.ndarray:
    """Masses [N] in Da of the elements of a topology's atoms."""
    masses = (atom.element.mass for atom in topology.atoms())
    return np.array([mass.value_in_unit(unit.dalton) for mass in masses])


def skeleton(
    masses: np.ndarray, topology: app.Topology, box: np.ndarray | None
) -> openmm.System:
    """Make a System of masses, bonds and a box, in which nothing acts.

    Analyses read what it has, and whether it is periodic, from its XML.

    Parameters
    ----------
    masses : ndarray [N], Da
    topology : openmm.app.Topology
        Its bonds are taken.
    box : ndarray [3, 3] or None, nm
        None where not periodic.
    """
    system = openmm.System()
    for mass in masses.tolist():
        system.addParticle(mass)
    system.addForce(bond_markers(topology, box is not None))
    if box is not None:
        system.setDefaultPeriodicBoxVectors(*box.tolist())
    return system


def atom_types(
    symbols: Sequence[str], masses: np.ndarray
) -> tuple[tuple[AtomType, ...], np.ndarray]:
    """Number the atoms of each element and mass.

    Parameters
    ----------
    symbols : sequence of str, N
    masses : ndarray [S, N], Da
        In each stage.

    Returns
    -------
    types : tuple of AtomType
        In the order of atomic numbers, then of masses.
    numbers : ndarray [N] of int
        Type of each atom, from 0.
    """
    rounded = np.round(masses, 9)  # sums differ in their last digits
    charges = np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols])
    rows = np.column_stack([charges, rounded.T])
    unique, first, numbers = np.unique(
        rows, axis=0, return_index=True, return_inverse=True
    )
    types = tuple(
        AtomType(symbols[index], tuple(row[1:].tolist()))
        for index, row in zip(first, unique, strict=True)
    )
    return types, numbers.reshape(-1)
