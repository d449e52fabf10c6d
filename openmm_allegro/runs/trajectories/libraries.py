# SPDX-License-Identifier: MIT
"""Indices of Amber's NetCDF and of mdtraj's HDF5, which libraries read."""

from pathlib import Path
from typing import Any

import numpy as np

from ...utils.hdf5 import check_hdf5, open_hdf5
from .index import FrameIndex

# Units that readers take for granted, by variable, as files spell them.
_UNITS = {
    "coordinates": ("angstrom", "angstroms", "a", "å"),
    "cell_lengths": ("angstrom", "angstroms", "a", "å"),
    "cell_angles": ("degree", "degrees"),
    "time": ("picosecond", "picoseconds", "ps"),
}


def index_netcdf(path: Path) -> FrameIndex | None:
    """Index an Amber trajectory of NetCDF 3.

    Returns
    -------
    FrameIndex or None
        None for NetCDF 4, of which nothing is known beforehand.

    Raises
    ------
    ValueError
        If it has other units than the convention's.
    """
    from scipy.io import netcdf_file

    with open(path, "rb") as file:
        if file.read(4) == b"\x89HDF":
            return None
    try:
        with netcdf_file(str(path), mmap=True) as file:
            n_frames, n_atoms = map(int, file.variables["coordinates"].shape[:2])
            times, units = None, {}
            if "time" in file.variables:
                times = np.array(file.variables["time"][:], dtype=float)
            for name in _UNITS:
                # Nothing may refer to a variable when the file is closed.
                attributes = getattr(file.variables.get(name), "_attributes", {})
                units[name] = attributes.get("units"), attributes.get("scale_factor", 1)
    except Exception:  # whatever a library makes of other bytes
        return FrameIndex(0, damage="no NetCDF 3, or one that is cut short or damaged")
    _check_units(path, units)
    if times is not None and len(times) != n_frames:
        return FrameIndex(0, damage=f"{len(times)} times of {n_frames} frames")
    return FrameIndex(n_frames, times, n_atoms=n_atoms)


def index_hdf5(path: Path) -> FrameIndex:
    """Index an HDF5 trajectory of mdtraj's.

    Raises
    ------
    OSError, ValueError
        If it is no HDF5, or holds more than numbers and texts.
    """
    check_hdf5(path)
    try:
        with open_hdf5(path) as file:
            root = file.root
            shape = root.coordinates.shape
            if len(shape) != 3 or shape[2] != 3:
                raise ValueError(f"coordinates of shape {shape}")
            if "time" not in root:
                return FrameIndex(int(shape[0]), n_atoms=int(shape[1]))
            times = np.asarray(root.time[:], dtype=float) * _picoseconds(root.time)
    except Exception as error:  # whatever a library makes of other bytes
        return FrameIndex(0, damage=_words(error))
    if len(times) != shape[0]:
        n = min(len(times), int(shape[0]))
        damage = f"{len(times)} times of {shape[0]} frames"
        return FrameIndex(n, times[:n], damage=damage, is_cut=n > 0)
    return FrameIndex(int(shape[0]), times, n_atoms=int(shape[1]))


def _check_units(path: Path, units: dict[str, tuple[Any, Any]]) -> None:
    """Refuse variables in other units than the convention of Amber has."""
    for name, (unit, factor) in units.items():
        text = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else unit
        known = text is None or text.strip().lower() in ("", *_UNITS[name])
        if not known or factor != 1:
            scaled = "" if factor == 1 else f" with a scale factor of {factor}"
            raise ValueError(
                f"expected {name} in {_UNITS[name][0]} as Amber's convention has it, "
                f"found {text}{scaled}; write the file in these units"
            )


def _picoseconds(node: Any) -> float:
    """Picoseconds in the unit of a node of times."""
    from mdtraj.utils import in_units_of

    unit = getattr(node.attrs, "units", "picoseconds")
    unit = unit.decode() if isinstance(unit, bytes) else str(unit)
    return float(in_units_of(1.0, unit, "picoseconds"))


def _words(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[-1].strip()}"
