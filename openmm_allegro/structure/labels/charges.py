# SPDX-License-Identifier: MIT
"""Read charges and dipole moments of a frame; only models with charges want them."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .settings import LabelSettings
from .values import as_number

if TYPE_CHECKING:
    import ase

DIPOLE, CHARGES = "dipole", "charges"  # names by default
# Names of total charges, of any case: fairchem, AIMNet and ASE users write charge, MACE
# total_charge, others Charge.
TOTALS = ("charge", "total_charge")


class ChargeLabels(NamedTuple):
    """What a frame of N atoms says of its charges; None for what it does not."""

    charge: float  # of all atoms, e; 0 if there is none, NaN if it is unclear
    unclear_charge: str  # what was found instead, if it is
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
    charge, unclear = _total(atoms)
    dipole = _array(atoms, settings.dipole_key, DIPOLE, (3,), where)
    if dipole is not None:
        dipole = dipole * settings.length_factor
    charges = _array(atoms, settings.charges_key, CHARGES, (len(atoms),), where)
    return ChargeLabels(charge, unclear, dipole, charges)


def _total(atoms: "ase.Atoms") -> tuple[float, str]:
    """Total charge of a frame, or NaN and what there is that is none."""
    found = {k: v for k, v in atoms.info.items() if k.lower() in TOTALS}
    try:
        values = {as_number(value, name, len(atoms)) for name, value in found.items()}
    except ValueError:
        values = {math.nan}
    if len(values) <= 1 and not any(map(math.isnan, values)):
        return (values.pop() if values else 0.0), ""
    return math.nan, " and ".join(f"{k} = {v}" for k, v in found.items())


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
