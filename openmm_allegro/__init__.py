# SPDX-License-Identifier: MIT
"""Allegro machine-learned interatomic potentials in OpenMM."""

import contextlib

from ._version import __version__
from .forces import register_torch_force
from .model import AllegroConfig
from .model.file import Model, load_model, save_model
from .potential.potential import AllegroPotential
from .simulate.protocol import Stage, run_protocol
from .simulate.simulation import run
from .simulate.watchdogs import Watchdogs
from .structure import Structure, read_structures
from .utils.compatibility import warn_of_known_bad_versions
from .utils.former_names import keep_former_names

warn_of_known_bad_versions()
keep_former_names()
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
