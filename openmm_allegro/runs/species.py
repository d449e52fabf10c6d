# SPDX-License-Identifier: MIT
"""Kinds of molecules and ions in a topology, and the charges they carry."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, shortest_path

# Charges of ions of one atom that no chemist would doubt.
_FORMAL = dict.fromkeys(("Li", "Na", "K", "Rb", "Cs"), 1) | dict.fromkeys(
    ("F", "Cl", "Br", "I"), -1
)
# Beyond this size the centre of a molecule is not looked for along its bonds.
_LARGEST = 2000


class Kind(NamedTuple):
    """Molecules of one formula.

    Attributes
    ----------
    name : str
        The element of a single atom, "water", the residue's name or the formula.
    formula : str
        As ``"C3H4O3"``.
    molecules : list of (n,) array of int
        Atoms of each molecule.
    centers : (n_molecules,) array of int
        The atom that stands for each: of several, the heavy one nearest to the middle
        of the bonds.
    element : str
        Of the centres.
    """

    name: str
    formula: str
    molecules: list
    centers: np.ndarray
    element: str

    @property
    def monoatomic(self):
        """Whether each molecule is a single atom."""
        return len(self.molecules[0]) == 1

    @property
    def label(self):
        """Name, with the element of the centre where it is not the same."""
        return self.name if self.monoatomic else f"{self.name} ({self.element})"


def find_kinds(topology):
    """Kinds of molecules of an mdtraj topology, the most frequent first.

    Returns
    -------
    list of Kind
    """
    symbols = np.array([atom.element.symbol for atom in topology.atoms])
    bonds = bond_pairs(topology)
    n = len(symbols)
    graph = coo_array((np.ones(len(bonds)), (bonds[:, 0], bonds[:, 1])), shape=(n, n))
    graph = graph.tocsr()
    _, labels = connected_components(graph, directed=False)
    order = np.argsort(labels, kind="stable")
    groups = {}
    for atoms in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        groups.setdefault(formula(symbols[atoms]), []).append(atoms)
    found = []
    for key, molecules in groups.items():
        residues = {topology.atom(i).residue.name for i in molecules[0]}
        name = residues.pop() if len(residues) == 1 else key
        if len(molecules[0]) == 1:
            name = str(symbols[molecules[0][0]])
        elif key == "H2O":
            name = "water"
        centers, middles = [], {}
        for atoms in molecules:
            of_atoms = tuple(symbols[atoms])
            if of_atoms not in middles:
                middles[of_atoms] = _middle(graph[atoms][:, atoms], symbols[atoms])
            centers.append(atoms[middles[of_atoms]])
        element = str(symbols[centers[0]])
        found.append(Kind(name, key, molecules, np.array(centers), element))
    names = [kind.name for kind in found]
    found = [
        k._replace(name=k.formula) if names.count(k.name) > 1 else k for k in found
    ]
    return sorted(found, key=lambda kind: -len(kind.molecules))


def bond_pairs(topology):
    """Atom indices (n_bonds, 2) of the bonds of a topology."""
    pairs = [(first.index, second.index) for first, second in topology.bonds]
    return np.array(pairs, dtype=int).reshape(-1, 2)


def formula(symbols):
    """Formula of the atoms: carbon, hydrogen, then the others by name."""
    elements, numbers = np.unique(np.asarray(symbols), return_counts=True)
    count = dict(zip(elements.tolist(), numbers.tolist(), strict=True))
    order = sorted(count)
    if "C" in count:
        order.sort(key=lambda symbol: (symbol != "C", symbol != "H", symbol))
    return "".join(f"{s}{count[s] if count[s] > 1 else ''}" for s in order)


def formal_charges(kinds):
    """Charge numbers of ions of one atom, by the name of their kind.

    Returns
    -------
    dict of str to int

    Raises
    ------
    ValueError
        If there are none, or their sum is not zero: then there are other charges.
    """
    found = {
        kind.name: _FORMAL[kind.element]
        for kind in kinds
        if kind.monoatomic and kind.element in _FORMAL
    }
    if not found:
        raise ValueError(
            "expected ions of one atom whose charges are known (Li Na K Rb Cs F Cl Br "
            "I), found none; give charges"
        )
    total = sum(
        found[kind.name] * len(kind.molecules) for kind in kinds if kind.name in found
    )
    if total:
        raise ValueError(
            f"expected formal charges that cancel, found a sum of {total:+d} for "
            f"{', '.join(found)}; give the charges of all ions"
        )
    return found


def check_charges(kinds, charges):
    """ValueError unless each name is that of a kind and there is a charge at all."""
    unknown = set(charges) - {kind.name for kind in kinds}
    if unknown:
        raise ValueError(
            f"expected charges of {', '.join(kind.name for kind in kinds)}, found "
            f"{', '.join(sorted(unknown))}"
        )
    if not any(charges.values()):
        raise ValueError("expected at least one charge other than 0, found none")
    return charges


def _middle(graph, symbols):
    """Index of the heavy atom with the fewest bonds to all others in sum."""
    heavy = np.flatnonzero(symbols != "H")
    if len(heavy) == 0:
        heavy = np.arange(len(symbols))
    if len(symbols) > _LARGEST:
        return int(heavy[len(heavy) // 2])
    lengths = shortest_path(graph, directed=False, unweighted=True)
    return int(heavy[np.argmin(lengths[heavy].sum(axis=1))])
