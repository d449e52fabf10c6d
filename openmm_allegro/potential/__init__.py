# SPDX-License-Identifier: MIT
"""Put a trained model into an ``openmm.System``."""

from .potential import AllegroPotential

__all__ = ["AllegroPotential"]
