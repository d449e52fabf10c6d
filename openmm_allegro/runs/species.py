# SPDX-License-Identifier: MIT
"""Kinds of molecules and ions in a topology."""

from typing import NamedTuple

import numpy as np

from .molecule_names import Sites, molecule_name

# Beyond this size the centre of a molecule is not looked for along its bonds.
_LARGEST = 2000


class Kind(NamedTuple):
    """Molecules of one formula.

    Attributes
    ----------
    name : str
        The element of a single atom, "water", the residue's name, that of a peptide, or
        the formula.
    formula : str
        As ``"C3H4O3"``.
    molecules : list of (n,) array of int
        Atoms of each molecule.
    centers : (n_molecules,) array of int
        The atom that stands for each: of several, the heavy one nearest to the middle
        of the bonds.
    element : str
        Of the centres.
    site : str
        What the centre is in its molecule, as ``"carbonyl C"``.
    """

    name: str
    formula: str
    molecules: list
    centers: np.ndarray
    element: str
    site: str = ""

    @property
    def monoatomic(self):
        """True if each molecule is a single atom."""
        return len(self.molecules[0]) == 1

    @property
    def label(self):
        """Name, with the centre where it is not the same: ``EMC, carbonyl C``."""
        return self.name if self.monoatomic else f"{self.name}, {self.site}"


def find_kinds(topology):
    """Find the kinds of molecules of an mdtraj topology, the most frequent first.

    Returns
    -------
    list of Kind
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    symbols = np.array([atom.element.symbol for atom in topology.atoms])
    bonds = bond_pairs(topology)
    n = len(symbols)
    graph = coo_array((np.ones(len(bonds)), (bonds[:, 0], bonds[:, 1])), shape=(n, n))
    graph = graph.tocsr()
    _, labels = connected_components(graph, directed=False)
    order = np.argsort(labels, kind="stable")
    groups = {}
    for atoms in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        # A virtual site belongs to its molecule's model, not to its formula.
        real = symbols[atoms][symbols[atoms] != "VS"]
        key = formula(real if len(real) else symbols[atoms])
        groups.setdefault(key, []).append(atoms)
    kinds, sites = [], Sites(symbols, bonds)
    for key, molecules in groups.items():
        residues = {topology.atom(i).residue: None for i in molecules[0]}
        name = molecule_name([residue.name for residue in residues], key)
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
        site = sites.name(centers[0])
        kinds.append(Kind(name, key, molecules, np.array(centers), element, site))
    names = [kind.name for kind in kinds]
    kinds = [
        k._replace(name=k.formula) if names.count(k.name) > 1 else k for k in kinds
    ]
    return sorted(kinds, key=lambda kind: -len(kind.molecules))


def molecules_of(kinds, n_atoms):
    """Molecule of each atom, (n_atoms,) int, numbered as the kinds list them."""
    labels = np.empty(n_atoms, dtype=int)
    groups = (atoms for kind in kinds for atoms in kind.molecules)
    for label, atoms in enumerate(groups):
        labels[atoms] = label
    return labels


def find_sites(topology, kinds, elements):
    """Find the atoms of some elements in molecules, by what they are in them.

    Parameters
    ----------
    topology : mdtraj.Topology
    kinds : sequence of Kind
    elements : collection of str

    Returns
    -------
    dict of (str, str, str) to (n,) array of int
        Atoms by their element, the name of their molecule, and what they are there:
        ``("O", "EMC", "carbonyl O")``. The most frequent come first.
    """
    symbols = [atom.element.symbol for atom in topology.atoms]
    sites = Sites(symbols, bond_pairs(topology))
    found = {}
    for kind in kinds:
        for atom in np.concatenate(kind.molecules).tolist():
            if symbols[atom] in elements:
                key = symbols[atom], kind.name, sites.name(atom)
                found.setdefault(key, []).append(atom)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return {key: np.array(atoms) for key, atoms in ordered}


def bond_pairs(topology):
    """List the atom indices (n_bonds, 2) of the bonds of a topology."""
    pairs = [(first.index, second.index) for first, second in topology.bonds]
    return np.array(pairs, dtype=int).reshape(-1, 2)


def formula(symbols):
    """Write the formula of atoms: carbon, hydrogen, then the others by name."""
    elements, numbers = np.unique(np.asarray(symbols), return_counts=True)
    count = dict(zip(elements.tolist(), numbers.tolist(), strict=True))
    order = sorted(count)
    if "C" in count:
        order.sort(key=lambda symbol: (symbol != "C", symbol != "H", symbol))
    return "".join(f"{s}{count[s] if count[s] > 1 else ''}" for s in order)


def masses_of(topology):
    """List the masses (n_atoms,) of the elements in g/mol."""
    return np.array([atom.element.mass for atom in topology.atoms], dtype=float)


def _middle(graph, symbols):
    """Find the heavy atom with the fewest bonds to all others in sum."""
    from scipy.sparse.csgraph import shortest_path

    heavy = np.flatnonzero(symbols != "H")
    if len(heavy) == 0:
        heavy = np.arange(len(symbols))
    if len(symbols) > _LARGEST:
        return int(heavy[len(heavy) // 2])
    lengths = shortest_path(graph, directed=False, unweighted=True)
    return int(heavy[np.argmin(lengths[heavy].sum(axis=1))])
