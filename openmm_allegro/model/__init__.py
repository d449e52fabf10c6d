# SPDX-License-Identifier: MIT
"""The network in torch: Å and eV, no OpenMM."""

from .allegro import Allegro, as_blocks
from .config import AllegroConfig
from .energy import AllegroEnergy, Statistics, forces_from_pairs, virial_from_pairs

__all__ = [
    "Allegro",
    "AllegroConfig",
    "AllegroEnergy",
    "Statistics",
    "as_blocks",
    "forces_from_pairs",
    "virial_from_pairs",
]
