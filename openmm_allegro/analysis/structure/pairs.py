# SPDX-License-Identifier: MIT
"""Distances between groups of atoms: histograms and neighbour lists, in any cell."""

import mdtraj
import numpy as np

from ...utils.quiet import quiet
from ..frames import cell_vectors, largest_radius

with quiet("freud"):
    import freud

# Distances held in memory at a time: 5e6 float32 are 20 MB, a few times that in all.
_BLOCK = 5_000_000
# Above this part of the cell's volume, measuring every pair is faster than a search.
_DENSE = 0.2


def count_pairs(chunk, a, b, r_max, n_bins, molecules=None):
    """Ordered pairs of different atoms (a, b) per distance bin, for each frame.

    Parameters
    ----------
    chunk : mdtraj.Trajectory
        Frames with a unit cell in which `r_max` has been checked.
    a, b : (n,) arrays of int
        Atoms, each once; the groups may share atoms.
    r_max : float
        Largest distance in nm, not included.
    n_bins : int
        Number of equal bins from 0 to `r_max`.
    molecules : (n_atoms,) array of int, optional
        Molecule of each atom; pairs in one molecule are then left out.

    Returns
    -------
    (n_frames, n_bins) array of int
    """
    cells = cell_vectors(chunk)
    sphere = 4 / 3 * np.pi * r_max**3 / np.abs(np.linalg.det(cells)).min()
    # freud refuses a search radius of exactly half the cell's width.
    if sphere > _DENSE or r_max > 0.99 * largest_radius(cells):
        return _count_all(chunk, a, b, r_max, n_bins, molecules)
    return _count_near(chunk, cells, a, b, r_max, n_bins, molecules)


def neighbor_pairs(positions, cell, a, b, r_max, *, later=None, molecules=None):
    """Pairs of different atoms closer than `r_max`, found by freud's tree.

    Parameters
    ----------
    positions : (n_atoms, 3) array
        Positions in nm, wrapped or not.
    cell : (3, 3) array
        Cell vectors as rows in nm, the first along x and the second in the xy plane,
        as mdtraj has them.
    a, b : (n,) arrays of int
        Centres and neighbours; the groups may share atoms.
    r_max : float
        Largest distance in nm, at most half the smallest width of the cell.
    later : (n_atoms, 3) array, optional
        Positions of the neighbours, where they are those of another time.
    molecules : (n_atoms,) array of int, optional
        Molecule of each atom; pairs in one molecule are then left out.

    Returns
    -------
    centers, neighbors : (n_pairs,) arrays of int
        Atom indices, sorted by centre.
    vectors : (n_pairs, 3) array
        From the centre to the neighbour in nm.
    """
    box = _box(cell)
    targets = positions if later is None else later
    points, queries = box.wrap(targets[b]), box.wrap(positions[a])
    # freud refuses exactly half the width.
    radius = min(r_max, largest_radius(np.asarray(cell)[None]) * (1 - 1e-6))
    neighbor_list = (
        freud.locality.AABBQuery(box, points)
        .query(queries, {"mode": "ball", "r_max": radius, "exclude_ii": False})
        .toNeighborList()
    )
    centers, neighbors = (
        a[neighbor_list.query_point_indices],
        b[neighbor_list.point_indices],
    )
    keep = centers != neighbors
    if molecules is not None:
        keep &= molecules[centers] != molecules[neighbors]
    return centers[keep], neighbors[keep], neighbor_list.vectors[keep]


def _box(cell):
    """freud's box of a cell in mdtraj's orientation; freud's own reader is slower."""
    (x, _, _), (b_x, y, _), (c_x, c_y, z) = cell
    return freud.box.Box(x, y, z, b_x / y, c_x / z, c_y / z)


def _count_near(chunk, cells, a, b, r_max, n_bins, molecules):
    """Count with freud's tree, whose cost grows with the pairs inside `r_max`."""
    histogram = freud.density.RDF(bins=n_bins, r_max=r_max)
    search = {"mode": "ball", "r_max": r_max, "exclude_ii": False}
    counts = np.empty((chunk.n_frames, n_bins), dtype=np.int64)
    for i, cell in enumerate(cells):
        box = _box(cell)
        points, queries = box.wrap(chunk.xyz[i, b]), box.wrap(chunk.xyz[i, a])
        near = search
        if molecules is not None:
            near = freud.locality.AABBQuery(box, points).query(queries, search)
            near = near.toNeighborList()
            of_a = molecules[a][near.query_point_indices]
            near.filter(of_a != molecules[b][near.point_indices])
        histogram.compute((box, points), query_points=queries, neighbors=near)
        counts[i] = histogram.bin_counts
    if molecules is None:
        # An atom of both groups has been found at distance 0 from itself.
        counts[:, 0] -= len(np.intersect1d(a, b))
    return counts


def _count_all(chunk, a, b, r_max, n_bins, molecules):
    """Measure all pairs with mdtraj; each pair of like groups once, counted twice."""
    like = np.array_equal(np.sort(a), np.sort(b))
    counts = np.zeros((chunk.n_frames, n_bins), dtype=np.int64)
    for pairs in _pair_blocks(a, b, like, max(1, _BLOCK // chunk.n_frames)):
        if molecules is not None:
            pairs = pairs[molecules[pairs[:, 0]] != molecules[pairs[:, 1]]]
        distances = mdtraj.compute_distances(chunk, pairs)
        for bin_counts, row in zip(counts, distances, strict=True):
            bins = (row[row < r_max] * (n_bins / r_max)).astype(np.intp)
            # In float32 a distance just below r_max may round up to the edge.
            bin_counts += np.bincount(np.minimum(bins, n_bins - 1), minlength=n_bins)
    return counts * (2 if like else 1)


def _pair_blocks(a, b, like, size):
    """Yield (n, 2) arrays of atom pairs with n near `size`, never an atom with itself.

    All ordered pairs of `a` with `b`, or each unordered pair once when they are `like`.
    """
    rows = max(1, size // len(b))
    for start in range(0, len(a), rows):
        block = a[start : start + rows]
        pairs = np.stack(np.meshgrid(block, b, indexing="ij"), axis=-1).reshape(-1, 2)
        keep = pairs[:, 0] < pairs[:, 1] if like else pairs[:, 0] != pairs[:, 1]
        pairs = pairs[keep]
        # One row against many neighbours can still be longer than a block.
        for first in range(0, len(pairs), size):
            yield pairs[first : first + size]
