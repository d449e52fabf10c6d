# SPDX-License-Identifier: MIT
"""Free energies from a force field to a model, along ``lambda_interpolate``.

Needs the extra ``multistate``, whose packages are imported when a run starts.
"""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "exchange": ("LambdaFreeEnergies", "lambda_exchange", "lambda_free_energies"),
        "protocol": ("FreeEnergyFile", "free_energy", "read_free_energy"),
        "results": ("SwitchingFreeEnergy", "switching_free_energy"),
        "settings": ("LambdaSettings", "SwitchingSettings"),
        "switching": ("switch_states",),
    },
)
