# SPDX-License-Identifier: MIT
"""Write frames as extended XYZ with their labels and numbers, and read them back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from ..structure import Structure
from ..utils.files import replacing

NUMBER, ORIGIN = "frame", "origin"  # keys of a frame that is sent to be labelled


class Candidate(NamedTuple):
    """A frame that may be picked, and where it is from."""

    origin: str  # such as "melt, 1-melt, 2.5 ps" or "pool.extxyz, frame 7"
    structure: Structure


def to_ase(structure: Structure, info: dict[str, Any] | None = None) -> ase.Atoms:
    """Convert a structure, with the labels that it has."""
    atoms = ase.Atoms(
        structure.symbols,
        structure.positions,
        cell=structure.cell,
        pbc=structure.periodic,
        info=info,
    )
    labels = {
        name: value
        for name in ("energy", "forces", "stress")
        if (value := getattr(structure, name)) is not None
    }
    if "stress" in labels:  # Voigt's order, as ase has it
        labels["stress"] = labels["stress"][[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    if labels:
        atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def write_frames(
    path: Path, structures: Sequence[Structure], infos: Sequence[dict[str, Any]]
) -> None:
    """Write structures in one step, each with its own ``info``."""
    frames = [to_ase(*pair) for pair in zip(structures, infos, strict=True)]
    with replacing(path) as partial:
        if frames:
            ase.io.write(partial, frames, format="extxyz")
        else:
            partial.touch()


def read_frames(path: Path) -> list[ase.Atoms]:
    """Read what ``write_frames`` wrote; an empty file has no frames."""
    if path.stat().st_size == 0:
        return []
    return ase.io.read(path, ":", format="extxyz")


def same_places(first: Structure, second: Structure, tolerance: float) -> bool:
    """True if two frames have the same cell and atoms, but for periodic images.

    Parameters
    ----------
    first, second : Structure
    tolerance : float
        Å.
    """
    if first.symbols != second.symbols or (first.periodic != second.periodic).any():
        return False
    if first.periodic.any() and np.abs(first.cell - second.cell).max() > tolerance:
        return False
    moved = second.positions - first.positions
    if first.periodic.all():
        turns = np.linalg.solve(first.cell.T, moved.T).T
        moved = (turns - np.round(turns)) @ first.cell
    return bool(np.abs(moved).max() <= tolerance)
