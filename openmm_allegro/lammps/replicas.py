# SPDX-License-Identifier: MIT
"""Replicas of atoms in the order in which LAMMPS numbers them."""

import numpy as np
from openmm import app, unit

from ..inputs.supercell import repeat_atoms

Counts = tuple[int, int, int]


def repeat_positions(
    positions: np.ndarray, box: np.ndarray | None, counts: Counts
) -> np.ndarray:
    """Positions [M, 3] of all replicas, those along the first vector following fastest.

    Parameters
    ----------
    positions : ndarray [N, 3]
    box : ndarray [3, 3] or None
        Vectors in rows, of the same unit; None if the counts are 1.
    counts : tuple of int
    """
    if box is None:
        return positions
    third, second, first = np.indices(counts[::-1]).reshape(3, -1)
    shifts = np.stack([first, second, third], axis=1) @ box
    return (shifts[:, None] + positions).reshape(-1, 3)


def repeat_topology(
    topology: app.Topology, box: np.ndarray | None, counts: Counts
) -> app.Topology:
    """Repeat a topology, chains and all.

    Parameters
    ----------
    topology : openmm.app.Topology
    box : ndarray [3, 3] or None, nm
    counts : tuple of int
    """
    if box is None or counts == (1, 1, 1):
        return topology
    whole = repeat_atoms(topology, int(np.prod(counts)))
    whole.setPeriodicBoxVectors(box * np.array(counts)[:, None] * unit.nanometer)
    bonds = [
        (bond.atom1.index, bond.atom2.index, bond.type, bond.order)
        for bond in topology.bonds()
    ]
    atoms, size = list(whole.atoms()), topology.getNumAtoms()
    for start in range(0, len(atoms), size):
        for first, second, kind, order in bonds:
            whole.addBond(atoms[start + first], atoms[start + second], kind, order)
    return whole
