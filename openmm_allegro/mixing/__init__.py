# SPDX-License-Identifier: MIT
"""ML/MM: a classical System without the inner energy of a region."""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {"region": ("classical_end", "inside_region", "mixed_system", "outside_region")},
)
