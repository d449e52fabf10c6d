# SPDX-License-Identifier: MIT
"""Atoms that are nearer to one another than any in matter.

Distances are compared with sums of covalent radii (B. Cordero et al.,
doi:10.1039/b801115j). The shortest bonds are near 1 of them, collisions of hot atoms
reach 0.55, and dimers that are computed for the repulsion of cores start at some 0.2.
"""

from collections.abc import Sequence

import numpy as np

from ..topology.elements import covalent_radii

# Of the sum of radii: below, two atoms are one that stands twice.
COINCIDENT = 0.05
# Typical distance of nearest neighbours in another unit: nm that stand for Å.
ANOTHER_UNIT = 0.15


def relative_distances(
    radii: np.ndarray, centers: np.ndarray, neighbors: np.ndarray, vectors: np.ndarray
) -> np.ndarray:
    """Distances of pairs [P] over the sums of their covalent radii [N]."""
    return np.linalg.norm(vectors, axis=1) / (radii[centers] + radii[neighbors])


def check_contacts(
    symbols: Sequence[str],
    centers: np.ndarray,
    neighbors: np.ndarray,
    vectors: np.ndarray,
    where: str,
) -> None:
    """Refuse a structure of which atoms coincide, or that is in another unit.

    Parameters
    ----------
    symbols : sequence of str, N
    centers, neighbors : ndarray [P], int
        Sorted by centre.
    vectors : ndarray [P, 3], Å
    where : str
        Name of the structure in error messages.

    Raises
    ------
    ValueError
    """
    if not len(centers):
        return
    radii = np.array(covalent_radii(symbols))
    relative = relative_distances(radii, centers, neighbors, vectors)
    starts = np.flatnonzero(np.diff(centers, prepend=-1))  # of those with neighbours
    nearest = np.full(len(symbols), np.inf)
    nearest[centers[starts]] = np.minimum.reduceat(relative, starts)
    typical = np.sort(nearest)[(len(nearest) - 1) // 2]
    least = int(relative.argmin())
    i, j = sorted((int(centers[least]), int(neighbors[least])))
    length = np.linalg.norm(vectors[least])
    if typical < ANOTHER_UNIT and len(symbols) > 1:
        raise ValueError(
            f"{where}: expected atoms at distances of some Å, found each about "
            f"{typical:.2f} times the sum of covalent radii from the next one, like "
            f"{i} ({symbols[i]}) and {j} ({symbols[j]}) at {length:.4g} Å; are lengths "
            "in nm, or is the cell too small?"
        )
    if relative[least] < COINCIDENT:
        other = "its own image" if i == j else str(j)
        raise ValueError(
            f"{where}: expected atoms at different positions, found atoms {i} and "
            f"{other} at the same one, {length:.4g} Å apart"
        )
