# SPDX-License-Identifier: MIT
"""Pairs of atoms whose g(r) matters."""

from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np

_MOST = 12
# Of fewer like molecules or ions g(r) among them is noise.
_LIKE = 4


class Pair(NamedTuple):
    """Centres and neighbours of a g(r).

    Attributes
    ----------
    label : str
    a, b : arrays of int
        Atoms.
    solvation : bool
        Whether it is an ion and an atom of a molecule.
    """

    label: str
    a: np.ndarray
    b: np.ndarray
    solvation: bool


def find_pairs(production):
    """Pairs of atoms that matter: ions and what surrounds them, centres of molecules.

    Returns
    -------
    dict of str to Pair
    """
    topology = production.trajectory.topology
    symbols = np.array([atom.element.symbol for atom in topology.atoms])
    ions, molecules = [], []
    for kind in production.kinds:
        (ions if kind.monoatomic else molecules).append(kind)
    bound = (
        np.concatenate([np.concatenate(kind.molecules) for kind in molecules])
        if molecules
        else np.array([], dtype=int)
    )
    found = []
    for ion in sorted(ions, key=lambda kind: len(kind.molecules)):
        elements = sorted(set(symbols[bound]) - {"H", "VS"})
        # Ions hold on to what is electronegative; carbon only where there is no other.
        for element in [e for e in elements if e != "C"] or elements:
            of_element = bound[symbols[bound] == element]
            found.append(Pair(f"{ion.name}–{element}", ion.centers, of_element, True))
    for first, second in combinations_with_replacement(ions + molecules, 2):
        if first.name == second.name and len(first.molecules) < _LIKE:
            continue
        if first.monoatomic and not second.monoatomic:
            continue  # an ion and a molecule: above
        labels = [
            kind.element if kind.monoatomic or kind.name == "water" else kind.label
            for kind in (first, second)
        ]
        found.append(Pair("–".join(labels), first.centers, second.centers, False))
    return {pair.label: pair for pair in found[:_MOST]}
