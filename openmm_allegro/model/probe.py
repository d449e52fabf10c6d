# SPDX-License-Identifier: MIT
"""A few small structures that tell weights from noise."""

import copy

import torch

from .config import AllegroConfig
from .energy import AllegroEnergy

# Distances of the neighbours, as fractions of their cutoffs.
_DISTANCES = (0.35, 0.6, 0.9)
# A centre has fewer neighbours than this, of all elements in turn.
_NEIGHBORS = 8
# Far beyond any interaction of a centre with its neighbours, eV.
LARGEST_ENERGY = 1e8


def check_energies(
    energy: AllegroEnergy, config: AllegroConfig, dtype: torch.dtype
) -> None:
    """Refuse weights that give a centre of any element no sensible energy.

    Parameters
    ----------
    energy : AllegroEnergy
        In float64; unchanged.
    config : AllegroConfig
    dtype : torch.dtype
        In which the weights are stored, and often used.

    Raises
    ------
    ValueError
        If the energy of a centre with a few neighbours is not finite, or above 10⁸ eV
        beside that without neighbours.
    """
    if dtype != torch.float64:
        energy = copy.deepcopy(energy).set_dtype(dtype)
    types = len(config.elements)
    neighbors = min(types, _NEIGHBORS)
    centers = torch.arange(types).repeat(len(_DISTANCES))  # [C]
    steps = torch.arange(neighbors)
    others = (centers.unsqueeze(1) + steps) % types  # [C, K]
    cutoffs = config.cutoff_table()[centers.unsqueeze(1), others]
    fractions = torch.tensor(_DISTANCES, dtype=torch.float64).repeat_interleave(types)
    angles = steps.double() * 2.4  # far from a symmetric arrangement
    directions = torch.stack((angles.cos(), angles.sin(), 0.5 * angles.cos().square()))
    directions = torch.nn.functional.normalize(directions.T, dim=1)
    vectors = (fractions.unsqueeze(1) * cutoffs).unsqueeze(-1) * directions
    with torch.no_grad():
        values = energy(vectors, centers, others) - energy.shifts[centers]
    absurd = ~(values.abs() < LARGEST_ENERGY)  # also NaN
    if absurd.any():
        value, center = values[absurd][0], int(centers[absurd][0])
        raise ValueError(
            f"expected weights that give a {config.elements[center]} atom with "
            f"{neighbors} neighbours an energy within {LARGEST_ENERGY:.0e} eV, found "
            f"{value:.3g} eV"
        )
