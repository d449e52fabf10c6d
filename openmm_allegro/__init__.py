# SPDX-License-Identifier: MIT
"""Allegro machine-learned interatomic potentials in OpenMM."""

import contextlib

from ._compatibility import warn_of_known_bad_versions
from ._version import __version__
from .forces import register_torch_force
from .model import AllegroConfig
from .modelfile import Model, load_model, save_model
from .potential import AllegroPotential
from .protocol import Stage, run_protocol
from .simulate import run
from .structure import Structure, read_structures
from .watchdogs import Watchdogs

warn_of_known_bad_versions()
with contextlib.suppress(ImportError):
    register_torch_force()  # so that a serialized System can be read in a new process

__all__ = [
    "AllegroConfig",
    "AllegroPotential",
    "Model",
    "Stage",
    "Structure",
    "Watchdogs",
    "__version__",
    "load_model",
    "read_structures",
    "run",
    "run_protocol",
    "save_model",
]
