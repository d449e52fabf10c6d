# SPDX-License-Identifier: MIT
"""Centres of mass of molecules: points beside the atoms of frames."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..utils.suggest import did_you_mean
from .selections import selected_of_center
from .species import Kind, bond_pairs, masses_of, molecules_of

# nm by which a bond may differ from its nearest image where a molecule is whole.
_WHOLE = 1e-3


class Centers:
    """Centres of mass of parts of molecules, one in each molecule.

    Molecules are made whole across periodic boundaries along their bonds. Points have
    no mass, so that they do not count twice in the centre of mass of all.

    Parameters
    ----------
    topology : mdtraj.Topology
        Of the atoms.
    kinds : sequence of Kind
        Its molecules.
    selections : sequence of str
        As ``"com:EMC"`` or ``"com of resname EMC"``.

    Attributes
    ----------
    points : dict of str to (n,) array of int
        Points of each selection, numbered after the atoms.
    molecules : (n_points,) array of int
        Molecule of each point, numbered as `kinds` lists them.

    Raises
    ------
    ValueError
        If a selection is empty or has no mass, or no bonds tell what its molecules are.
    """

    def __init__(self, topology: Any, kinds: Sequence[Kind], selections: Sequence[str]):
        self._n_atoms = topology.n_atoms
        self._of_atoms = topology
        masses, labels = masses_of(topology), molecules_of(kinds, topology.n_atoms)
        self.points: dict[str, np.ndarray] = {}
        groups, weights, molecules = [], [], []
        for text in dict.fromkeys(selections):
            atoms = _atoms(topology, kinds, text)
            _check_bonds(topology, atoms, labels, text)
            first = topology.n_atoms + len(molecules)
            for molecule in np.unique(labels[atoms]):
                group = atoms[labels[atoms] == molecule]
                total = masses[group].sum()
                if not total > 0:
                    raise ValueError(
                        f"expected atoms with masses in {text!r}, found a molecule "
                        "without"
                    )
                groups.append(group)
                weights.append(masses[group] / total)
                molecules.append(molecule)
            self.points[text] = np.arange(first, topology.n_atoms + len(molecules))
        self.molecules = np.array(molecules, dtype=int)
        self._atoms, self._weights = np.concatenate(groups), np.concatenate(weights)
        self._starts = np.cumsum([0] + [len(group) for group in groups[:-1]])
        self._bonds = bond_pairs(topology)
        self._tree = _spanning_tree(self._bonds, topology.n_atoms)
        self._topology = _with_points(topology, len(groups))
        self._checked = False

    def beside(self, frames: Any) -> Any:
        """Put the points beside the atoms of an mdtraj.Trajectory, the atoms first.

        Raises
        ------
        ValueError
            If bonds cross the cell without end, as in a crystal.
        """
        import mdtraj

        cell = frames.unitcell_lengths, frames.unitcell_angles
        positions = frames.xyz
        if cell[0] is not None and len(self._tree):
            copied = mdtraj.Trajectory(positions.copy(), self._of_atoms, None, *cell)
            copied.make_molecules_whole(inplace=True, sorted_bonds=self._tree)
            positions = copied.xyz
            self._check_whole(copied)
        weighted = positions[:, self._atoms] * self._weights[:, None]
        points = np.add.reduceat(weighted, self._starts, axis=1)
        everything = np.concatenate([frames.xyz, points.astype(np.float32)], axis=1)
        return mdtraj.Trajectory(everything, self._topology, frames.time, *cell)

    def _check_whole(self, frames: Any) -> None:
        """Refuse molecules without end, of which no image is whole."""
        if self._checked:
            return
        import mdtraj

        self._checked = True
        used = np.isin(self._bonds, self._atoms).any(axis=1)
        bonds, first = self._bonds[used], frames[:1]
        lengths = [
            mdtraj.compute_distances(first, bonds, periodic=periodic)
            for periodic in (True, False)
        ]
        if len(bonds) and np.abs(lengths[0] - lengths[1]).max() > _WHOLE:
            raise ValueError(
                f"expected molecules that end, for {', '.join(self.points)}, found "
                "bonds that cross the cell from one image to the next, as in a crystal"
            )


def select_atoms(topology: Any, selection: Any) -> np.ndarray:
    """Select atoms (n,) of a topology, see `analysis.frames.select_atoms`."""
    if not isinstance(selection, str):
        return np.asarray(selection)
    from ..analysis.frames import select_in

    return np.asarray(select_in(topology, selection))


def _atoms(topology: Any, kinds: Sequence[Kind], text: str) -> np.ndarray:
    """Atoms whose centres of mass are meant, ascending."""
    name, words = selected_of_center(text)
    if words is not None:
        return np.sort(select_atoms(topology, words))
    groups = [
        atoms
        for kind in kinds
        if name in (kind.name, kind.formula)
        for atoms in kind.molecules
    ]
    if groups:
        return np.sort(np.concatenate(groups))
    residues = {residue.name for residue in topology.residues}
    if name in residues:
        return np.sort(select_atoms(topology, f"resname '{name}'"))
    known = dict.fromkeys([kind.name for kind in kinds])
    meant = did_you_mean([name], [*known, *residues])
    raise ValueError(
        f"expected a molecule or a residue in {text!r}, found none of that name; there "
        f"are {', '.join(known)}{meant}"
    )


def _check_bonds(
    topology: Any, atoms: np.ndarray, labels: np.ndarray, text: str
) -> None:
    """Refuse residues whose atoms no bonds hold together."""
    residues = np.array([topology.atom(i).residue.index for i in atoms.tolist()])
    alone = len(np.unique(labels[atoms])) == len(atoms)
    if alone and len(np.unique(residues)) < len(atoms):
        raise ValueError(
            f"expected bonds within the molecules of {text!r}, found none; name a "
            "topology that has them, or a run with its .system.xml"
        )


def _spanning_tree(bonds: np.ndarray, n_atoms: int) -> np.ndarray:
    """Bonds (n, 2) that reach each atom of a molecule from one, in this order."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    if not len(bonds):
        return np.zeros((0, 2), dtype=np.int32)
    graph = coo_array((np.ones(len(bonds)), bonds.T), shape=(n_atoms, n_atoms)).tocsr()
    _, labels = connected_components(graph, directed=False)
    _, roots = np.unique(labels, return_index=True)
    # One more node, beside the first atom of each molecule, to walk through all.
    more = np.stack([np.full(len(roots), n_atoms), roots], axis=1)
    ends = np.concatenate([bonds, more]).T
    size = (n_atoms + 1, n_atoms + 1)
    graph = coo_array((np.ones(ends.shape[1]), ends), shape=size).tocsr()
    order, before = breadth_first_order(graph, n_atoms, directed=False)
    order = order[1:]
    order = order[before[order] != n_atoms]
    return np.stack([before[order], order], axis=1).astype(np.int32)


def _with_points(topology: Any, n_points: int) -> Any:
    """Copy a topology, with so many points without mass at its end."""
    from mdtraj.core import element

    made = topology.copy()
    chain = made.add_chain()
    for _ in range(n_points):
        residue = made.add_residue("COM", chain)
        made.add_atom("COM", element.virtual, residue)
    return made
