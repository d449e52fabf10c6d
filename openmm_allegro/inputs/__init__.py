# SPDX-License-Identifier: MIT
"""Read what a simulation begins with: atoms, positions, boxes and force fields."""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {"coordinates": ("read_coordinates",)},
)
