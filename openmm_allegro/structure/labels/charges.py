# SPDX-License-Identifier: MIT
"""Read charges and dipole moments of a frame; only models with charges want them."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .settings import LabelSettings
from .values import as_number

if TYPE_CHECKING:
    import ase

TOTAL, DIPOLE, CHARGES = "charge", "dipole", "charges"  # names by default


class ChargeLabels(NamedTuple):
    """What a frame of N atoms says of its charges; None for what it does not."""

    charge: float  # of all atoms, e; 0 if there is none, NaN if it is no number
    dipole: np.ndarray | None  # [3] e Å
    charges: np.ndarray | None  # [N] e


def read_charges(
    atoms: "ase.Atoms", where: str, settings: LabelSettings
) -> ChargeLabels:
    """Read the total charge, the dipole moment and the charges of a frame.

    Values under the usual names that are no such labels are left out: other programs
    may mean something else by them.

    Parameters
    ----------
    atoms : ase.Atoms
    where : str
        Name of the frame in error messages.
    settings : LabelSettings

    Raises
    ------
    ValueError
        If a value that ``dipole_key`` or ``charges_key`` names is of another shape.
    """
    total = atoms.info.get(TOTAL, 0.0)
    try:
        charge = as_number(total, TOTAL, len(atoms))
    except ValueError:
        charge = math.nan
    dipole = _array(atoms, settings.dipole_key, DIPOLE, (3,), where)
    if dipole is not None:
        dipole = dipole * settings.length_factor
    charges = _array(atoms, settings.charges_key, CHARGES, (len(atoms),), where)
    return ChargeLabels(charge, dipole, charges)


def _array(
    atoms: "ase.Atoms", key: str | None, usual: str, shape: tuple[int, ...], where: str
) -> np.ndarray | None:
    """Numbers under a key, or under a usual name if they can be what it says."""
    name = key or usual
    value = _value(atoms, name)
    if value is None:
        return None
    array = np.asarray(value)
    if array.size == math.prod(shape) and array.dtype.kind in "iuf":
        return array.astype(float).reshape(shape)
    if key is None:
        return None
    raise ValueError(
        f"{where}: expected {math.prod(shape)} numbers as {name}, found an array of "
        f"shape {array.shape} and type {array.dtype}"
    )


def _value(atoms: "ase.Atoms", name: str) -> Any:
    results = atoms.calc.results if atoms.calc is not None else {}
    for source in (atoms.arrays, atoms.info, results):
        if source.get(name) is not None:
            return source[name]
    return None
