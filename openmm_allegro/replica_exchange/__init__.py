# SPDX-License-Identifier: MIT
"""Parallel tempering through openmmtools, and free energies from it by MBAR.

Needs the extra ``multistate``. openmmtools is imported when a run starts, not before.
"""

from .free_energy import (
    Averages,
    FreeEnergies,
    averages,
    basin_free_energy,
    free_energies,
)
from .samples import (
    Exchanges,
    Samples,
    exchanges,
    read_replicas,
    read_samples,
    write_temperature,
)
from .sampling import parallel_tempering
from .settings import temperature_ladder

__all__ = [
    "Averages",
    "Exchanges",
    "FreeEnergies",
    "Samples",
    "averages",
    "basin_free_energy",
    "exchanges",
    "free_energies",
    "parallel_tempering",
    "read_replicas",
    "read_samples",
    "temperature_ladder",
    "write_temperature",
]
