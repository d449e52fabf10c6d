# SPDX-License-Identifier: MIT
"""Waves that a periodic cell allows, and how densities have them."""

import numpy as np

# Complex phases held at a time: so many stay in a cache of the processor (0.5 MB).
_BLOCK = 30_000


def wave_indices(cell, q_max, bin_width, n_bins, per_bin, seed):
    """Choose wave vectors below `q_max` that a cell allows, one of each q and -q.

    Parameters
    ----------
    cell : (3, 3) array
        Cell vectors as rows in nm.
    q_max, bin_width : float
        In 1/nm.
    n_bins : int
        Bins up to `q_max`.
    per_bin : int
        Wave vectors used of a bin that has more, chosen at random with `seed`.

    Returns
    -------
    (n, 3) array of int
        Factors of the vectors of the reciprocal cell.
    """
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    # A component h is at most q times the length of its cell vector over 2π.
    limits = np.floor(q_max * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    _, k, m = (np.arange(-n, n + 1) for n in limits)
    layer = np.stack(np.meshgrid(k, m, indexing="ij"), -1).reshape(-1, 2)
    rng = np.random.default_rng(seed)
    kept = np.empty((0, 3), dtype=int)
    bins, keys = np.empty(0, dtype=int), np.empty(0)
    # Layer by layer: a large cell has a billion of them. Of each bin those of the
    # smallest random keys stay, which are a fair choice of all.
    for h in range(limits[0] + 1):
        k, m = layer.T
        half = layer if h > 0 else layer[(k > 0) | ((k == 0) & (m > 0))]
        indices = np.insert(half, 0, h, axis=1)
        numbers = np.linalg.norm(indices @ reciprocal, axis=1) / bin_width
        near = numbers < n_bins
        kept = np.concatenate([kept, indices[near]])
        bins = np.concatenate([bins, numbers[near].astype(int)])
        keys = np.concatenate([keys, rng.random(near.sum())])
        order = np.lexsort((keys, bins))
        rank = np.arange(len(order)) - np.searchsorted(bins[order], bins[order])
        order = order[rank < per_bin]
        kept, bins, keys = kept[order], bins[order], keys[order]
    if len(kept) == 0:
        raise ValueError(
            f"expected a wave vector below {q_max:.6g} 1/nm (--q-max, q_max), found "
            "none"
        )
    return kept


def wave_lengths(indices, inverse):
    """Lengths (n,) in 1/nm of wave vectors by `indices`, of an inverse cell in 1/nm."""
    return 2 * np.pi * np.linalg.norm(indices @ inverse.T, axis=1)


def density_waves(fractional, indices, groups, weights=None):
    """Sum exp(i q r) over the atoms of each group.

    Parameters
    ----------
    fractional : (n_atoms, 3) array
        Positions over the cell vectors.
    indices : (n_vectors, 3) array of int
        From `wave_indices`.
    groups : list of (n,) arrays of int
        Atoms of each group.
    weights : (n_atoms,) array, optional
        Weights of the atoms, as charges. Default: 1.

    Returns
    -------
    (n_groups, n_vectors) array of complex
    """
    order = np.concatenate(groups)
    starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
    # exp(2πi h s) for every h that occurs; the wave of a vector is a product of three.
    tables = []
    for column, s in zip(indices.T, fractional[order].T, strict=True):
        powers = np.arange(column.min(), column.max() + 1)
        tables.append((np.exp(2j * np.pi * np.outer(powers, s)), column - powers[0]))
    waves = np.empty((len(groups), len(indices)), dtype=complex)
    step = max(1, _BLOCK // len(order))
    for first in range(0, len(indices), step):
        some = slice(first, first + step)
        (x, h), (y, k), (z, m) = tables
        phases = x[h[some]]
        phases *= y[k[some]]
        phases *= z[m[some]]
        if weights is not None:
            phases *= weights[order]
        waves[:, some] = np.add.reduceat(phases, starts, axis=1).T
    return waves
