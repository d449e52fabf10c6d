# SPDX-License-Identifier: MIT
"""Ordered pairs inside the cutoff, and their grouping by centre.

The pairs themselves come from vesin (any triclinic box, also one smaller than the
cutoff). A group of centres with about as many neighbours each becomes one dense block
[C, K], padded with pairs beyond the cutoff, so that sums over neighbours are matrix
products and memory is bounded by the size of a block.
"""

import torch
import vesin_torch
from torch import Tensor


class PairList(torch.nn.Module):
    """Full list of ordered pairs, sorted by centre; scriptable.

    Parameters
    ----------
    cutoff : float
        Å, above 0.
    """

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff: float = float(cutoff)

    def forward(
        self, positions: Tensor, cell: Tensor, periodic: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find all pairs, periodic images included.

        Parameters
        ----------
        positions : Tensor [N, 3], Å
            Anywhere; need not be wrapped into the cell.
        cell : Tensor [3, 3], Å
            Rows are the cell vectors; ignored where not periodic.
        periodic : Tensor [3], bool

        Returns
        -------
        centers, neighbors : Tensor [P], int64
        vectors : Tensor [P, 3]
            From centre to neighbour, Å, in the dtype of ``positions``.
        """
        finder = vesin_torch.NeighborList(
            cutoff=self.cutoff,
            full_list=True,
            sorted=True,
            algorithm="auto",
            skin=0.0,
            n_threads=0,
        )
        centers, neighbors, vectors = finder.compute(
            points=positions,
            box=cell,
            periodic=periodic,
            quantities="ijD",
            copy=True,
        )
        return centers, neighbors, vectors


def center_blocks(
    centers: Tensor,
    neighbors: Tensor,
    vectors: Tensor,
    number_of_atoms: int,
    padding: float,
    largest_block: int,
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Group centre-sorted pairs into dense blocks; scriptable.

    Parameters
    ----------
    centers, neighbors : Tensor [P], int64
        Sorted by ``centers``.
    vectors : Tensor [P, 3]
    number_of_atoms : int
        Every atom becomes a centre in exactly one block, also one without neighbours.
    padding : float
        Length (Å) of a padding vector; must exceed the cutoff.
    largest_block : int
        Largest number of entries C · K of a block (a single centre may exceed it).

    Returns
    -------
    list of (centers [C], neighbors [C, K], vectors [C, K, 3])
        A padding entry has neighbour 0 and a vector of length ``padding``.
    """
    degrees = torch.bincount(centers, minlength=number_of_atoms)
    starts = torch.cumsum(degrees, 0) - degrees
    sorted_degrees, order = torch.sort(degrees, descending=True)
    pad = torch.tensor(
        [[padding, 0.0, 0.0]], dtype=vectors.dtype, device=vectors.device
    )
    vectors = torch.cat((vectors, pad))
    neighbors = torch.cat((neighbors, neighbors.new_zeros(1)))
    last = neighbors.shape[0] - 1
    # Padding wastes at most two fifths of a row, except where centres are few.
    smallest_fill = 0.6
    smallest_block = 8

    host: list[int] = sorted_degrees.tolist()
    blocks: list[tuple[Tensor, Tensor, Tensor]] = []
    begin = 0
    while begin < number_of_atoms:
        k = max(host[begin], 1)
        end = begin + 1
        while (
            end < number_of_atoms
            and (end - begin + 1) * k <= largest_block
            and (host[end] >= smallest_fill * k or end - begin < smallest_block)
        ):
            end += 1
        atoms = order[begin:end]
        rank = torch.arange(k, device=centers.device).unsqueeze(0)
        slot = starts[atoms].unsqueeze(1) + rank
        slot = torch.where(rank < degrees[atoms].unsqueeze(1), slot, last)
        blocks.append((atoms, neighbors[slot], vectors[slot]))
        begin = end
    return blocks
