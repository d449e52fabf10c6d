# SPDX-License-Identifier: MIT
"""Replicas of atoms in the order in which LAMMPS numbers them."""

import numpy as np
from openmm import app, unit

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
    whole = app.Topology()
    whole.setPeriodicBoxVectors(box * np.array(counts)[:, None] * unit.nanometer)
    bonds = [
        (bond.atom1.index, bond.atom2.index, bond.type, bond.order)
        for bond in topology.bonds()
    ]
    for _ in range(int(np.prod(counts))):
        atoms = []
        for chain in topology.chains():
            new_chain = whole.addChain(chain.id)
            for residue in chain.residues():
                place = residue.id, residue.insertionCode
                new_residue = whole.addResidue(residue.name, new_chain, *place)
                for atom in residue.atoms():
                    described = atom.name, atom.element, new_residue
                    new = whole.addAtom(*described, None, atom.formalCharge)
                    atoms.append(new)
        for first, second, kind, order in bonds:
            whole.addBond(atoms[first], atoms[second], kind, order)
    return whole
