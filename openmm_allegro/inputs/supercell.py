# SPDX-License-Identifier: MIT
"""Repeat the cell of a crystal, with bonds that cross its borders."""

from collections.abc import Sequence

import numpy as np
from openmm import app, unit

from .bonds import add_bonds
from .coordinates import Coordinates, reduced_box


def supercell(
    topology: app.Topology, positions: unit.Quantity, counts: Sequence[int]
) -> Coordinates:
    """Repeat a cell along its vectors.

    Bonds of the topology are repeated, those across the cell's borders to the nearest
    image. If it has none, they are found by distances (`bonds.find_bonds`).

    Parameters
    ----------
    topology : openmm.app.Topology
        With a box.
    positions : [N, 3] Quantity
    counts : sequence of 3 int
        Copies along each vector.

    Raises
    ------
    ValueError
        If there is no box, or a count is below 1.
    """
    vectors = topology.getPeriodicBoxVectors()
    if vectors is None:
        raise ValueError("expected a cell to repeat, found none; --box gives it")
    if len(counts) != 3 or min(counts) < 1:
        raise ValueError(
            f"expected three counts of at least 1 (--repeat), found {tuple(counts)}"
        )
    box = np.array([v.value_in_unit(unit.nanometer) for v in vectors])
    places = np.array(positions.value_in_unit(unit.nanometer), dtype=float)
    images = np.stack(np.indices(counts), axis=-1).reshape(-1, 3)
    whole = repeat_atoms(topology, len(images))
    whole.setPeriodicBoxVectors(reduced_box(box * np.array(counts)[:, None]))
    everywhere = (images @ box)[:, None] + places
    result = everywhere.reshape(-1, 3) * unit.nanometer
    bonds = [(bond[0].index, bond[1].index) for bond in topology.bonds()]
    if not bonds:
        add_bonds(whole, result)
        return Coordinates(whole, result)
    atoms = list(whole.atoms())
    for first, second in bonds:
        apart = (places[first] - places[second]) @ np.linalg.inv(box)
        partners = (images + np.round(apart).astype(int)) % counts
        for number, image in enumerate(np.ravel_multi_index(partners.T, counts)):
            pair = number * len(places) + first, image * len(places) + second
            whole.addBond(*(atoms[index] for index in pair))
    return Coordinates(whole, result)


def repeat_atoms(topology: app.Topology, count: int) -> app.Topology:
    """Repeat chains, residues and atoms, one copy after the other, without bonds."""
    whole = app.Topology()
    for _ in range(count):
        for chain in topology.chains():
            new_chain = whole.addChain(chain.id)
            for residue in chain.residues():
                place = residue.id, residue.insertionCode
                new_residue = whole.addResidue(residue.name, new_chain, *place)
                for atom in residue.atoms():
                    described = atom.name, atom.element, new_residue
                    whole.addAtom(*described, None, atom.formalCharge)
    return whole
