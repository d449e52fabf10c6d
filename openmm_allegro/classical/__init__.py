# SPDX-License-Identifier: MIT
"""Classical force fields: their parameters, fingerprints, and what models subtract."""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "baseline": (
            "by_composition",
            "evaluate_baseline",
            "subtract_baseline",
        ),
        "dispersion": ("d3_force",),
        "nonbonded": ("nonbonded_system",),
        "serialized": ("read_system",),
    },
)
