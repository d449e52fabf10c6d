# SPDX-License-Identifier: MIT
"""Put a trained model into an ``openmm.System``."""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__, {"options": ("ForceOptions",), "potential": ("AllegroPotential",)}
)
