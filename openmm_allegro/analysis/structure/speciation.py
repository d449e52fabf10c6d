# SPDX-License-Identifier: MIT
"""Coordination environments and clusters of ions."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..defaults import BLOCKS
from ..frames import cell_vectors, check_radius, chunked, select_atoms
from ..statistics import (
    Estimate,
    block_mean,
    holds_few,
    independent_values,
    sum_blocks,
    widen,
)
from .pairs import neighbor_pairs


class Clusters(NamedTuple):
    """Sizes of clusters of ions.

    Attributes
    ----------
    sizes : (n,) array of int
        Numbers of ions in a cluster, 1 for one alone.
    fraction : Estimate of (n,) arrays
        Part of all ions that are in clusters of each size.
    mean_size : Estimate
        Mean size of the cluster that an ion is in.
    independent : float
        Independent values of the mean size over time; fewer than 20 widen its error.
    few : bool
        Whether they are fewer.
    """

    sizes: np.ndarray
    fraction: Estimate
    mean_size: Estimate
    independent: float = np.nan
    few: bool = False


def speciation(source, centers, ligands, *, n_blocks=BLOCKS):
    """Frequencies of the environments of a centre: numbers of neighbours of each kind.

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, or a stream of chunks.
    centers : str or (n,) array of int
        Atoms whose neighbours are counted.
    ligands : dict of str to (selection, float)
        For each kind of neighbour its atoms and the radius of the shell in nm, as
        ``{"Cl": ("element Cl", 0.36), "O": ("element O", 0.32)}``.
    n_blocks : int, optional
        Blocks of frames that the errors come from.

    Returns
    -------
    dict of tuple to Estimate
        For each environment, ``(n_Cl, n_O)``, the part of the centres in it, the most
        frequent first.
    """
    return fractions(environments_by_frame(source, centers, ligands), n_blocks)


class Environments(NamedTuple):
    """Environments of a centre in each frame.

    Attributes
    ----------
    kinds : list of tuple
        Numbers of neighbours of each kind.
    parts : (n_frames, n_kinds) array
        Part of the centres that is in each.
    """

    kinds: list
    parts: np.ndarray


def environments_by_frame(source, centers, ligands, molecules=None):
    """Find the environments of centres in each frame; arguments as of `speciation`.

    Of atoms with their `molecules`, (n_atoms,) int, none of its own is a neighbour.
    """
    if not ligands:
        raise ValueError("expected at least one kind of neighbour, found none")
    first, chunks = chunked(source)
    a = select_atoms(first, centers)
    kinds = [(select_atoms(first, s), radius) for s, radius in ligands.values()]
    frames = []
    for positions, cell in _frames(chunks, [radius for _, radius in kinds]):
        counts = np.empty((len(a), len(kinds)), dtype=int)
        for k, (b, radius) in enumerate(kinds):
            around, _, _ = neighbor_pairs(
                positions, cell, a, b, radius, molecules=molecules
            )
            counts[:, k] = np.bincount(around, minlength=first.n_atoms)[a]
        environments, numbers = np.unique(counts, axis=0, return_counts=True)
        frames.append(
            dict(zip(map(tuple, environments.tolist()), numbers, strict=True))
        )
    return Environments(*_parts(frames, len(a)))


def fractions(environments, n_blocks=BLOCKS):
    """Part of the centres in each of some Environments, the most frequent first.

    Returns
    -------
    dict of tuple to Estimate
        As of `speciation`.
    """
    fraction = _blocked(environments.parts, n_blocks)
    order = np.argsort(-fraction.value, kind="stable")
    return {
        environments.kinds[i]: Estimate(
            float(fraction.value[i]),
            widen(float(fraction.error[i]), environments.parts[:, i]),
        )
        for i in order
    }


def clusters(
    source, selection_a, selection_b, r_max, *, n_blocks=BLOCKS, molecules=None
):
    """Sizes of the clusters that contacts between a and b hold together.

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, or a stream of chunks.
    selection_a, selection_b : str or (n,) array of int
        The ions, as cations and anions. Two of one group are only connected through
        one of the other; where both groups are the same, directly.
    r_max : float
        Distance of a contact in nm.
    n_blocks : int, optional
        Blocks of frames that the errors come from.
    molecules : (n_atoms,) array of int, optional
        Molecule of each atom; pairs in one molecule are then no contacts.

    Returns
    -------
    Clusters
    """
    first, chunks = chunked(source)
    a, b = select_atoms(first, selection_a), select_atoms(first, selection_b)
    ions = np.union1d(a, b)
    in_size = []
    for positions, cell in _frames(chunks, [r_max]):
        centers, neighbors, _ = neighbor_pairs(
            positions, cell, a, b, r_max, molecules=molecules
        )
        ends = np.searchsorted(ions, centers), np.searchsorted(ions, neighbors)
        graph = coo_array((np.ones(len(centers)), ends), shape=(len(ions),) * 2)
        _, labels = connected_components(graph, directed=False)
        sizes = np.bincount(labels)
        present, numbers = np.unique(sizes, return_counts=True)
        in_size.append(dict(zip(present.tolist(), present * numbers, strict=True)))
    sizes, parts = _parts(in_size, len(ions))
    fraction, means = _blocked(parts, n_blocks), parts @ sizes
    mean_size = _blocked(means, n_blocks)
    errors = [
        widen(*pair)
        for pair in zip(np.atleast_1d(fraction.error), parts.T, strict=True)
    ]
    return Clusters(
        sizes=np.array(sizes),
        fraction=fraction._replace(error=np.array(errors)),
        mean_size=mean_size._replace(error=widen(mean_size.error, means)),
        independent=independent_values(means),
        few=holds_few(means),
    )


def _frames(chunks, radii):
    """Yield positions (n_atoms, 3) and cell (3, 3) of each frame, radii checked."""
    for chunk in chunks:
        cells = cell_vectors(chunk)
        for radius in radii:
            check_radius(radius, cells, "--shell, r_max")
        yield from zip(chunk.xyz, cells, strict=True)


def _parts(frames, total):
    """Kinds of any frame, ascending, and their parts of a total (n_frames, n_kinds).

    From the numbers of each kind, a dict per frame: what was seen of each centre would
    not fit into memory.
    """
    kinds = sorted(set().union(*frames))
    numbers = [[frame.get(kind, 0) for kind in kinds] for frame in frames]
    return kinds, np.array(numbers) / total


def _blocked(by_frame, n_blocks):
    """Mean over frames, and its error from blocks of them."""
    sums = sum_blocks(by_frame, n_blocks)
    lengths = sum_blocks(np.ones(len(by_frame)), n_blocks)
    shape = (-1,) + (1,) * (by_frame.ndim - 1)
    return block_mean(sums / lengths.reshape(shape), lengths)
