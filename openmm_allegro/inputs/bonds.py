# SPDX-License-Identifier: MIT
"""Bonds that distances show, for files that hold none."""

from collections.abc import Sequence

import numpy as np
from openmm import app, unit

from ..plugin.search import find_pairs
from ..topology.elements import covalent_radii
from ..units import NM_TO_ANGSTROM

# Bonds are shorter than this times the sum of covalent radii.
REACH = 1.2
# What has bonds of that kind; metals have none, nor have noble gases.
_BONDED = frozenset("H D B C N O F Si P S Cl Ge As Se Br Te I".split())


def find_bonds(
    symbols: Sequence[str], positions: np.ndarray, box: np.ndarray | None
) -> list[tuple[int, int]]:
    """Find the pairs of atoms that are bonded, by their distances.

    Pairs nearer than 1.2 times the sum of their covalent radii (B. Cordero et al.,
    doi:10.1039/b801115j) are bonded, of each hydrogen the nearest alone. Metals and
    noble gases have no bonds.

    Parameters
    ----------
    symbols : sequence of str, N
    positions : (N, 3) array, nm
    box : (3, 3) array or None, nm

    Returns
    -------
    list of (int, int)
        The smaller index first, sorted.
    """
    radii = np.array(covalent_radii(symbols))
    free = np.array([symbol not in _BONDED for symbol in symbols])
    if free.all():
        return []
    reach = 2 * REACH * float(radii[~free].max())
    vectors = None if box is None else NM_TO_ANGSTROM * box
    pairs = find_pairs(NM_TO_ANGSTROM * positions, vectors, reach)
    first, second, distances = pairs.centers, pairs.neighbors, pairs.distances
    parts = distances / (radii[first] + radii[second])
    near = (parts < REACH) & ~free[first] & ~free[second] & (first != second)
    first, second, parts = first[near], second[near], parts[near]
    hydrogen = np.array([symbol in ("H", "D") for symbol in symbols])
    nearest: dict[int, tuple[float, int]] = {}
    for i, j, part in zip(first.tolist(), second.tolist(), parts, strict=True):
        if hydrogen[i]:
            nearest[i] = min(nearest.get(i, (np.inf, -1)), (part, j))
    bonds = set()
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        alone = all(not hydrogen[a] or nearest[a][1] == b for a, b in ((i, j), (j, i)))
        if alone:
            bonds.add((min(i, j), max(i, j)))
    return sorted(bonds)


def add_bonds(topology: app.Topology, positions: unit.Quantity) -> None:
    """Add the bonds that distances show to a topology, beside those that it has."""
    atoms = list(topology.atoms())
    real = [i for i, atom in enumerate(atoms) if atom.element is not None]
    vectors = topology.getPeriodicBoxVectors()
    box = None
    if vectors is not None:
        box = np.array([v.value_in_unit(unit.nanometer) for v in vectors])
    places = np.array(positions.value_in_unit(unit.nanometer), dtype=float)[real]
    symbols = [atoms[i].element.symbol for i in real]
    there = {tuple(sorted((b[0].index, b[1].index))) for b in topology.bonds()}
    for i, j in find_bonds(symbols, places, box):
        if (real[i], real[j]) not in there:
            topology.addBond(atoms[real[i]], atoms[real[j]])
