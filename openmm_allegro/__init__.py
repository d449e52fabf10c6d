# SPDX-License-Identifier: MIT
"""Allegro machine-learned interatomic potentials in OpenMM.

Names and submodules are imported when they are first used: torch and OpenMM take
seconds, and much of the package does without them.
"""

from ._version import __version__
from .registration import register, register_when_needed
from .utils.former_names import keep_former_names
from .utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "model.config": ("AllegroConfig",),
        "model.model": ("Model",),
        "modelfile": ("load_model", "save_model"),
        "potential.potential": ("AllegroPotential",),
        "simulate.protocol": ("Stage", "run_protocol"),
        "simulate.simulation": ("run",),
        "simulate.watchdogs": ("Watchdogs",),
        "structure": ("Structure", "read_structures"),
    },
)
__all__ += ["__version__", "register"]

keep_former_names()
register_when_needed()
