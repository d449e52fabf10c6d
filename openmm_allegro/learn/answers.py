# SPDX-License-Identifier: MIT
"""Check what a labelling command answers: the frames it was asked for, with labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import ase
import numpy as np

from ..structure import Structure, from_ase
from ..structure.labels.settings import LabelSettings
from ..units import FORCE_UNITS_IN_EV_PER_ANGSTROM
from ..utils.reasons import reason_of
from .frames import NUMBER, read_frames, same_places

TOLERANCE = 2e-3  # Å, by which positions of an answer may differ
FAILED = "failed"  # key in which a command says why a frame has no labels
_ALIKE = 0.7  # correlation of forces from which their ratio says something
_RATIO = 3.0  # of forces of the answer and of the committee that is no unit


class Answer(NamedTuple):
    """Labels of the frames of a request, in its order; None and a reason without."""

    structures: list[Structure | None]
    failures: list[str]


def read_answer(
    path: Path,
    asked: Sequence[Structure],
    predicted: Sequence[np.ndarray],
    labels: LabelSettings,
    *,
    forces: bool = True,
) -> Answer:
    """Read the answer to a request, frame by frame.

    Parameters
    ----------
    path : Path
        Extended XYZ that the command wrote. A frame belongs to the one of the request
        with its ``frame`` in the comment line, or with its place if no frame has that
        key. A frame without an energy, with ``failed`` in its comment line, or missing
        is a failed one.
    asked : sequence of Structure
    predicted : sequence of ndarray [N, 3]
        The committee's forces, eV/Å.
    labels : LabelSettings
    forces : bool
        Whether a frame without forces is a failed one.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If it cannot be read, frames cannot be told apart, atoms or cell are not those
        that were asked for, labels have no names that are known, no frame has labels,
        or forces are in another unit.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"labels: expected the command to write {path}, found nothing there"
        )
    try:
        frames = read_frames(path)
    except Exception as error:  # ase raises many kinds
        raise ValueError(
            f"{path}: expected extended XYZ, found {type(error).__name__}: {error}"
        ) from error
    structures: list[Structure | None] = [None] * len(asked)
    failures = ["missing in the answer"] * len(asked)
    for atoms, number in _numbered(frames, len(asked), path):
        where = f"{path}, frame {number}"
        try:
            plain = from_ase(_bare(atoms), where=where, settings=labels)
        except ValueError as error:
            raise ValueError(f"labels: {reason_of(error)}") from error
        if not same_places(asked[number], plain, TOLERANCE):
            raise ValueError(
                f"labels: {where}: expected the atoms and cell that were asked for, "
                f"within {TOLERANCE:g} Å, found others"
            )
        structures[number], failures[number] = _labelled(atoms, where, labels, forces)
    if not any(structures):
        raise ValueError(
            f"labels: {path}: expected labels of at least one frame, found none: "
            f"{failures[0]}"
        )
    check_units(structures, predicted, str(path))
    return Answer(structures, failures)


def _numbered(
    frames: Sequence[ase.Atoms], count: int, path: Path
) -> list[tuple[ase.Atoms, int]]:
    """Tell which frame of the request each one is."""
    given = [atoms.info.get(NUMBER) for atoms in frames]
    if all(number is None for number in given) and len(frames) == count:
        return [(atoms, number) for number, atoms in enumerate(frames)]
    right = all(
        isinstance(n, int | np.integer) and 0 <= n < count for n in given
    ) and len({*given}) == len(given)
    if not right:
        raise ValueError(
            f"labels: {path}: expected {count} frames in the order of the request, or "
            f"each with its {NUMBER}= of the request once, found {len(frames)} frames "
            f"with {NUMBER} {given[:10]}"
        )
    return [(a, int(n)) for a, n in zip(frames, given, strict=True)]


def _bare(atoms: ase.Atoms) -> ase.Atoms:
    """Atoms and cell without labels."""
    return ase.Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def _labelled(
    atoms: ase.Atoms, where: str, labels: LabelSettings, forces: bool
) -> tuple[Structure | None, str]:
    """A frame with its labels, or None and why it failed."""
    if FAILED in atoms.info:
        return None, str(atoms.info[FAILED])
    try:
        structure = from_ase(atoms, where=where, labels=True, settings=labels)
    except ValueError as error:
        return None, reason_of(error)
    if forces and structure.forces is None:
        return None, f"no forces; columns are {sorted(atoms.arrays)}"
    return structure, ""


def check_units(
    structures: Sequence[Structure | None],
    predicted: Sequence[np.ndarray],
    where: str,
) -> None:
    """Refuse forces that are the committee's but for a factor: another unit.

    Raises
    ------
    ValueError
        It names the unit that the factor suggests.
    """
    pairs = [
        (structure.forces.ravel(), forces.ravel())
        for structure, forces in zip(structures, predicted, strict=True)
        if structure is not None and structure.forces is not None
    ]
    if not pairs:
        return
    labels, ours = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    norms = np.linalg.norm(labels), np.linalg.norm(ours)
    if min(norms) == 0:
        return
    alike = float(labels @ ours / (norms[0] * norms[1]))
    ratio = norms[0] / norms[1]
    if alike < _ALIKE or 1 / _RATIO < ratio < _RATIO:
        return
    factors = FORCE_UNITS_IN_EV_PER_ANGSTROM
    unit = min(factors, key=lambda name: abs(np.log(factors[name] * ratio)))
    raise ValueError(
        f"labels: {where}: expected forces in eV/Å, found {ratio:.3g} times those of "
        f"the committee (correlation {alike:.2f}), as in {unit}; set energy_unit, "
        "length_unit or forces_unit of [labels]"
    )
