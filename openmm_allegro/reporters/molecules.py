# SPDX-License-Identifier: MIT
"""Molecules of a topology: whole over periodic boundaries, and sums over them."""

import numpy as np
from openmm import app


class Molecules:
    """Molecules that the bonds of a topology make.

    Parameters
    ----------
    topology : openmm.app.Topology
    masses : ndarray [N], Da
        A molecule without mass has its centre in the mean of its atoms.

    Attributes
    ----------
    number : int
    of_atoms : ndarray [N], int
        Number of the molecule of each atom.
    """

    def __init__(self, topology: app.Topology, masses: np.ndarray) -> None:
        count = len(masses)
        neighbors: list[list[int]] = [[] for _ in range(count)]
        for bond in topology.bonds():
            first, second = bond.atom1.index, bond.atom2.index
            neighbors[first].append(second)
            neighbors[second].append(first)
        self.of_atoms = np.full(count, -1)
        self.number = 0
        # each atom with the one it is placed beside, bond by bond from a first atom
        self._layers: list[list[tuple[int, int]]] = []
        for start in range(count):
            if self.of_atoms[start] < 0:
                self._walk(start, neighbors)
                self.number += 1
        of_molecules = np.bincount(self.of_atoms, masses, minlength=self.number)
        massless = of_molecules[self.of_atoms] == 0
        weights = np.where(massless, 1.0, masses)
        sums = np.bincount(self.of_atoms, weights, minlength=self.number)
        self._weights = weights / sums[self.of_atoms]
        self._pairs = [np.array(layer).T for layer in self._layers]

    def _walk(self, start: int, neighbors: list[list[int]]) -> None:
        """Number the molecule of an atom, and note the layers of its bonds."""
        self.of_atoms[start] = self.number
        layer, depth = [start], 0
        while layer:
            pairs = []
            for atom in layer:
                for other in neighbors[atom]:
                    if self.of_atoms[other] < 0:
                        self.of_atoms[other] = self.number
                        pairs.append((other, atom))
            if pairs and depth == len(self._layers):
                self._layers.append([])
            if pairs:
                self._layers[depth] += pairs
            layer, depth = [other for other, _ in pairs], depth + 1

    def whole(self, positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
        """Put bonded atoms side by side.

        Parameters
        ----------
        positions : ndarray [N, 3], nm
        box : ndarray [3, 3], nm, or None
            Rows are box vectors in OpenMM's reduced form.
        """
        if box is None:
            return positions
        positions = positions.copy()
        for atoms, beside in self._pairs:
            steps = positions[atoms] - positions[beside]
            for axis in (2, 1, 0):  # the last box vector alone has a z
                images = np.round(steps[:, axis] / box[axis, axis])
                steps -= images[:, None] * box[axis]
            positions[atoms] = positions[beside] + steps
        return positions

    def centers(self, values: np.ndarray) -> np.ndarray:
        """Means [M, 3] by mass of values [N, 3] of the atoms."""
        return self.sums(self._weights[:, None] * values)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums [M, 3] or [M] over the atoms of each molecule."""
        if values.ndim == 1:
            return np.bincount(self.of_atoms, values, minlength=self.number)
        columns = [self.sums(column) for column in values.T]
        return np.stack(columns, axis=1)
