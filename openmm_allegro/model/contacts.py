# SPDX-License-Identifier: MIT
"""Atoms that are nearer to one another than any in matter.

Distances are compared with sums of covalent radii (B. Cordero et al.,
doi:10.1039/b801115j). The shortest bonds are near 1 of them, collisions of hot atoms
reach 0.55, and dimers that are computed for the repulsion of cores start at some 0.2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..topology.elements import covalent_radii

# Of the sum of radii: below, two atoms are one that stands twice.
COINCIDENT = 0.05
# Typical distance of nearest neighbours in another unit: nm that stand for Å.
ANOTHER_UNIT = 0.15


def relative_distances(
    radii: Tensor, centers: Tensor, neighbors: Tensor, vectors: Tensor
) -> Tensor:
    """Distances of pairs [P] over the sums of their covalent radii [N]."""
    return vectors.detach().double().norm(dim=-1) / (radii[centers] + radii[neighbors])


def check_contacts(
    symbols: Sequence[str],
    centers: Tensor,
    neighbors: Tensor,
    vectors: Tensor,
    where: str,
) -> None:
    """Refuse a structure of which atoms coincide, or that is in another unit.

    Parameters
    ----------
    symbols : sequence of str, N
    centers, neighbors : Tensor [P], int64
    vectors : Tensor [P, 3], Å
    where : str
        Name of the structure in error messages.

    Raises
    ------
    ValueError
    """
    if not len(centers):
        return
    radii = torch.tensor(covalent_radii(symbols), dtype=torch.float64)
    relative = relative_distances(radii, centers, neighbors, vectors)
    nearest = torch.full((len(symbols),), torch.inf, dtype=torch.float64)
    nearest = nearest.scatter_reduce(0, centers, relative, "amin")
    typical, least = float(nearest.median()), int(relative.argmin())
    i, j = sorted((int(centers[least]), int(neighbors[least])))
    length = float(vectors[least].norm())
    if typical < ANOTHER_UNIT and len(symbols) > 1:
        raise ValueError(
            f"{where}: expected atoms at distances of some Å, found each about "
            f"{typical:.2f} times the sum of covalent radii from the next one, like "
            f"{i} ({symbols[i]}) and {j} ({symbols[j]}) at {length:.4g} Å; are lengths "
            "in nm, or is the cell too small?"
        )
    if float(relative[least]) < COINCIDENT:
        other = "its own image" if i == j else str(j)
        raise ValueError(
            f"{where}: expected atoms at different positions, found atoms {i} and "
            f"{other} at the same one, {length:.4g} Å apart"
        )
