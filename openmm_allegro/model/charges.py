# SPDX-License-Identifier: MIT
"""Charges of atoms: one of each element, what the network adds, and their given sum.

The charge of atom i is q_i = start[element of i] + raw_i + (Q - Σ(start + raw)) / N. A
raw charge is a sum over pairs, as strictly local as an energy. The last term, the same
for all N atoms of a frame, gives the frame its total charge Q, as PhysNet does,
doi:10.1021/acs.jctc.9b00181.
"""

import torch
from torch import Tensor

from .config import AllegroConfig
from .statistics import Statistics


class Charges(torch.nn.Module):
    """Charges of the elements, and the factors of the readout's second output.

    Both are in float64, whatever the network's precision.

    Parameters
    ----------
    config : AllegroConfig
        With charges.
    statistics : Statistics
    """

    def __init__(self, config: AllegroConfig, statistics: Statistics) -> None:
        super().__init__()
        start = [config.charge_start[element] for element in config.elements]
        self.start = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
        neighbors = torch.tensor(statistics.mean_neighbors, dtype=torch.float64)
        # as those of energies, so that an output of 1 for each pair does the same
        factors = config.charge_scale * (2.0 * neighbors).rsqrt()
        self.register_buffer("factors", factors, persistent=False)
        self.alpha: float = config.alpha

    def forward(
        self, raw: Tensor, types: Tensor, frames: Tensor, totals: Tensor
    ) -> Tensor:
        """Compute the charges of the atoms of one or several frames.

        Parameters
        ----------
        raw : Tensor [N], float64, e
            From ``AllegroEnergy.block_outputs``.
        types : Tensor [N], int64
        frames : Tensor [N], int64
            Which frame each atom belongs to.
        totals : Tensor [F], float64, e
            Charge of each frame.

        Returns
        -------
        Tensor [N], float64, e
        """
        return with_totals(raw + self.start[types], frames, totals)


def with_totals(charges: Tensor, frames: Tensor, totals: Tensor) -> Tensor:
    """Add the same charge to all atoms of a frame, so that they have its total.

    Parameters
    ----------
    charges : Tensor [N], e
    frames : Tensor [N], int64
    totals : Tensor [F], e

    Returns
    -------
    Tensor [N], e
    """
    none = torch.zeros_like(totals)
    counts = none.index_add(0, frames, torch.ones_like(charges))
    sums = none.index_add(0, frames, charges)
    return charges + ((totals - sums) / counts)[frames]


def with_total(charges: Tensor, total: float) -> Tensor:
    """Do the same as ``with_totals`` for one frame."""
    return charges + (total - charges.sum()) / charges.shape[0]
