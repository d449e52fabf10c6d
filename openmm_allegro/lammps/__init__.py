# SPDX-License-Identifier: MIT
"""The model in LAMMPS: a pair style in C++, and what writes its files and input."""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__, {"export": ("export_model",), "run": ("prepare_run",)}
)
