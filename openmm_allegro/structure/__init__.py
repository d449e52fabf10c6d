# SPDX-License-Identifier: MIT
"""Structures with ab-initio labels from files, and elements of OpenMM topologies."""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "files": ("from_ase", "read_structures"),
        "structure": (
            "Structure",
            "check_cell",
            "check_lengths",
            "check_structure",
            "has_volume",
            "is_placeholder",
        ),
        "topology": ("check_atoms", "topology_symbols"),
    },
)
