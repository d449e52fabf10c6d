# SPDX-License-Identifier: MIT
"""Read the total charge of a frame; only models with charges want it."""

import math
from typing import TYPE_CHECKING

from .values import as_number

if TYPE_CHECKING:
    import ase

TOTAL = "charge"  # key of the comment line


def total_charge(atoms: "ase.Atoms") -> float:
    """Total charge (e) of a frame: 0 if it has none, NaN if it is no number."""
    value = atoms.info.get(TOTAL)
    if value is None:
        return 0.0
    try:
        return as_number(value, TOTAL, len(atoms))
    except ValueError:
        return math.nan
