# SPDX-License-Identifier: MIT
"""The ``openmm-allegro`` command, one file a verb."""

from .main import main

__all__ = ["main"]
