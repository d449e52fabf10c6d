# SPDX-License-Identifier: MIT
"""OpenMM forces: which backend computes a model, and what the forces of a System are.

Systems that were serialized name ``_Computation`` by this package's path. Importing a
name loads no torch; making, reading or moving a module does.
"""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "backends": ("UNKNOWN", "Choice", "PlannedRun", "choose_backend"),
        "module_force": (
            "BACKENDS",
            "allegro_module",
            "make_force",
            "own_copy",
        ),
        "functions": ("_Computation", "python_force", "python_function"),
        "systems": (
            "FORCE_NAME",
            "NAMES",
            "check_copy",
            "copy_system",
            "degrees_of_freedom",
            "kinetic_temperature",
            "masses_of",
            "with_variables",
        ),
        "torch_force": ("register_operators", "register_torch_force"),
    },
)
__all__.remove("_Computation")
