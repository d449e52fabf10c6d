# SPDX-License-Identifier: MIT
"""Frames of a file with all that it says of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...topology.extxyz import check_extxyz
from ...utils.extras import naming_extras
from .settings import LabelSettings

if TYPE_CHECKING:
    import ase

# Formats whose files have no units of their own; ase gives eV and Å of all others.
UNITLESS = ("extxyz", "xyz", "traj", "db", "json", "bundletrajectory")


def iterate_frames(path: Path, settings: LabelSettings) -> Iterator["ase.Atoms"]:
    """Iterate over the frames of a file that ase can read.

    Raises
    ------
    ValueError
        If units are given and the format has its own, or ase would overlook something.
    Exception
        Of many kinds, when frames are asked for, if ase cannot read it.
    """
    with naming_extras():
        from ase.io import iread

    name = _format(path)
    if settings.has_units and name and name not in UNITLESS:
        raise ValueError(
            f"{path}: expected eV and Å, into which ase converts a file of the format "
            f"{name}, found energy_unit = {settings.energy_unit!r}, length_unit = "
            f"{settings.length_unit!r}, forces_unit = {settings.forces_unit!r} and "
            f"stress_unit = {settings.stress_unit!r}"
        )
    if name in ("db", "json"):
        return _rows(path)
    if name in ("extxyz", "xyz"):
        check_extxyz(path)
    return iread(path, index=":", format=name or None, do_not_split_by_at_sign=True)


def _format(path: Path) -> str:
    """Name of a file's format in ase; empty if it is unknown."""
    from ase.io.formats import filetype

    try:
        return filetype(str(path))
    except Exception:  # of many kinds; reading raises it again, with the frame
        return ""


def _rows(path: Path) -> Iterator["ase.Atoms"]:
    """Rows of an ase.db with their key-value pairs and data, which iread drops."""
    import ase.db

    with ase.db.connect(path, serial=True) as database:
        for row in database.select():
            atoms = row.toatoms()
            atoms.info |= dict(row.key_value_pairs) | dict(row.get("data") or {})
            yield atoms
