# SPDX-License-Identifier: MIT
"""Run a System in an ensemble, once or in stages, so that nothing is lost."""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        ".inputs.coordinates": ("read_coordinates",),
        "protocol": ("run_protocol",),
        "settings": ("RunSettings", "Stage"),
        "simulation": ("run",),
        "umbrella": ("Umbrella", "run_umbrella"),
    },
)
