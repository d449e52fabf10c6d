# SPDX-License-Identifier: MIT
"""The network, in torch, and the model that it belongs to: Å and eV, no OpenMM."""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "allegro": ("Allegro", "as_blocks"),
        "config": ("AllegroConfig",),
        "energy": (
            "AllegroEnergy",
            "forces_from_pairs",
            "virial_from_pairs",
        ),
        "model": ("Model",),
        "statistics": ("Statistics",),
    },
)
