# SPDX-License-Identifier: MIT
"""Replicas of a topology in the order in which LAMMPS numbers their atoms."""

import numpy as np
from openmm import app, unit


def replicated(
    topology: app.Topology, positions: np.ndarray, counts: tuple[int, int, int]
) -> tuple[app.Topology, np.ndarray]:
    """Repeat a topology along its box vectors, the first of them fastest.

    Parameters
    ----------
    topology : openmm.app.Topology
        With a box, unless the counts are 1.
    positions : ndarray [N, 3], nm
    counts : tuple of int
        Replicas along each box vector.

    Returns
    -------
    openmm.app.Topology, ndarray [M, 3] in nm
    """
    if counts == (1, 1, 1):
        return topology, positions
    vectors = topology.getPeriodicBoxVectors().value_in_unit(unit.nanometer)
    box = np.array([list(vector) for vector in vectors])
    whole = app.Topology()
    whole.setPeriodicBoxVectors((box * np.array(counts)[:, None]) * unit.nanometer)
    bonds = [
        (bond.atom1.index, bond.atom2.index, bond.type, bond.order)
        for bond in topology.bonds()
    ]
    places = []
    for third in range(counts[2]):
        for second in range(counts[1]):
            for first in range(counts[0]):
                places.append(positions + np.array([first, second, third]) @ box)
                _append(whole, topology, bonds)
    return whole, np.concatenate(places)


def _append(
    whole: app.Topology, topology: app.Topology, bonds: list[tuple[int, int, str, int]]
) -> None:
    """Add a replica's chains, residues, atoms and bonds."""
    atoms = []
    for chain in topology.chains():
        new_chain = whole.addChain(chain.id)
        for residue in chain.residues():
            place = residue.id, residue.insertionCode
            new_residue = whole.addResidue(residue.name, new_chain, *place)
            for atom in residue.atoms():
                charge = atom.formalCharge
                new = whole.addAtom(atom.name, atom.element, new_residue, None, charge)
                atoms.append(new)
    for one, other, kind, order in bonds:
        whole.addBond(atoms[one], atoms[other], kind, order)
