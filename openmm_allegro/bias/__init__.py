# SPDX-License-Identifier: MIT
"""Collective variables by name, restraints, and biases that learn as a run goes on."""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "settings": (
            "Bias",
            "Metadynamics",
            "Opes",
            "Plumed",
            "Restraint",
            "Variable",
        ),
        "values": ("VariableValues",),
    },
)
