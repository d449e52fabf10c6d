# SPDX-License-Identifier: MIT
"""Ions of a trajectory, their charges, and the displacements of charge."""

from typing import NamedTuple

import numpy as np

from ..frames import select_atoms
from ..statistics import block_edges


class Species(NamedTuple):
    """Ions of one kind.

    Attributes
    ----------
    name : str
    atoms : (n,) array of int
        Indices in the trajectory.
    charges : (n,) array
        Charge numbers of the atoms.
    ions : (n,) array of int
        Which ion of the species each atom belongs to, from 0.
    """

    name: str
    atoms: np.ndarray
    charges: np.ndarray
    ions: np.ndarray

    @property
    def valence(self):
        """Mean charge number of the ions."""
        return float(self.charges.sum() / (self.ions.max() + 1))


def find_species(trajectory, charges, selections=None):
    """Find the species of ions from charges by element or by atom.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
    charges : dict of str to float, or (n_atoms,) array
        Charge numbers by element or of every atom.
    selections : dict of str to selection, optional
        Atoms of each species. Default: the elements of `charges`.

    Returns
    -------
    list of Species
        An ion is a molecule of the topology's bonds, or an atom without bonds.
    """
    if isinstance(charges, dict):
        selections = selections or {name: f"element {name}" for name in charges}
        symbols = [atom.element.symbol for atom in trajectory.topology.atoms]
        charges = np.array([charges.get(symbol, 0.0) for symbol in symbols])
    charges = np.asarray(charges, dtype=float)
    if charges.shape != (trajectory.n_atoms,):
        raise ValueError(
            f"expected charges of {trajectory.n_atoms} atoms, found shape "
            f"{charges.shape}"
        )
    if not selections:
        raise ValueError("expected species with charges by atom, found none")
    molecules = np.arange(trajectory.n_atoms)
    for molecule in trajectory.topology.find_molecules():
        indices = [atom.index for atom in molecule]
        molecules[indices] = min(indices)
    species, seen = [], np.array([], dtype=int)
    for name, selection in selections.items():
        atoms = select_atoms(trajectory, selection)
        if not np.any(charges[atoms]):
            raise ValueError(f"expected charged atoms in {name!r}, found none")
        if np.intersect1d(atoms, seen).size:
            raise ValueError(f"expected each atom in one species, found more in {name}")
        seen = np.union1d(seen, atoms)
        _, ions = np.unique(molecules[atoms], return_inverse=True)
        species.append(Species(name, atoms, charges[atoms], ions))
    return species


def charge_paths(positions, species):
    """Charge times position of each ion in e nm, an array for each species.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) array
        Unwrapped positions in nm of the atoms of all `species`, one after the other.
    species : list of Species

    Returns
    -------
    list of (n_frames, n_ions, 3) arrays
    """
    paths, first = [], 0
    for one in species:
        atoms = positions[:, first : first + len(one.atoms)]
        first += len(one.atoms)
        order = np.argsort(one.ions, kind="stable")
        starts = np.searchsorted(one.ions[order], np.arange(one.ions.max() + 1))
        weighted = (one.charges[:, None] * atoms)[:, order]
        paths.append(np.add.reduceat(weighted, starts, axis=1))
    return paths


def charge_displacements(paths, lags, n_blocks):
    """Products of the displacements of charge, summed by blocks of time origins.

    Parameters
    ----------
    paths : list of (n_frames, n_ions, 3) arrays
        From `charge_paths`.
    lags : (n_lags,) array of int
        In frames, above 0.
    n_blocks : int

    Returns
    -------
    together : (n_blocks, n_lags, n_species, n_species) array
        Of the species' total displacements with each other, in e² nm².
    alone : (n_blocks, n_lags, n_species) array
        Of each ion's with its own.
    origins : (n_blocks, n_lags) array
        Numbers of time origins.
    """
    totals = np.stack([path.sum(axis=1) for path in paths], axis=1)
    n_frames = len(totals)
    edges = block_edges(n_frames, n_blocks)[:-1]
    together = np.empty((n_blocks, len(lags), len(paths), len(paths)))
    alone = np.empty((n_blocks, len(lags), len(paths)))
    origins = np.empty((n_blocks, len(lags)))
    for i, lag in enumerate(lags):
        moved = totals[lag:] - totals[:-lag]
        products = np.einsum("fax,fbx->fab", moved, moved)
        together[:, i] = np.add.reduceat(products, edges)
        for k, path in enumerate(paths):
            squares = np.zeros(n_frames - lag)
            for x in range(3):
                step = path[lag:, :, x] - path[:-lag, :, x]
                squares += np.einsum("fi,fi->f", step, step)
            alone[:, i, k] = np.add.reduceat(squares, edges)
        origins[:, i] = np.diff(np.append(edges, n_frames - lag))
    return together, alone, origins
