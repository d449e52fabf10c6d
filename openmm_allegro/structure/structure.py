# SPDX-License-Identifier: MIT
"""A configuration of atoms with its labels, and what it may not be."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

_ALIGNED = 1e-4  # of a vector's longest component: others below are rounding

# Å. Nothing has a lattice vector below; placeholders for "no crystal" have 1 or 0.
_SHORTEST = 1.001
_FARTHEST = 1e8  # Å, of what pairs can be searched in
# Fields of a structure that only models with charges read.
CHARGE_LABELS = ("charge", "dipole", "charges")
_NO_CELL = 'pbc="F F F" says that there is none'


@dataclass(frozen=True)
class Structure:
    """One configuration with its energy, forces and stress, if they are known.

    Parameters
    ----------
    symbols : tuple of str, N
        Chemical symbols.
    positions : ndarray [N, 3]
        Å.
    cell : ndarray [3, 3]
        Rows are cell vectors, Å; zeros where there is no cell.
    periodic : ndarray [3], bool
    energy : float or None
        eV.
    forces : ndarray [N, 3] or None
        eV/Å.
    stress : ndarray [3, 3] or None
        eV/Å³, positive under tension (ASE's sign).
    source : str
        Where it was read, for messages.
    baseline : dict or None
        Force field that was subtracted from the labels, see ``fingerprint``.
    weights : tuple of float
        Of the errors of energy, forces and stress in the loss.
    called_isolated : bool
        True if the file calls it an isolated atom (``config_type=IsolatedAtom``).
    charge : float
        Total charge, e; this and the following are for models with charges. NaN if it
        is no number, or several differ.
    unclear_charge : str
        What was found in its place then.
    dipole : ndarray [3] or None
        Dipole moment, e Å; NaN where unknown.
    charges : ndarray [N] or None
        Charges of atoms, e; NaN where unknown.
    """

    symbols: tuple[str, ...]
    positions: np.ndarray
    cell: np.ndarray
    periodic: np.ndarray
    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    source: str = ""
    baseline: dict[str, Any] | None = None
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    called_isolated: bool = False
    charge: float = 0.0
    unclear_charge: str = ""
    dipole: np.ndarray | None = None
    charges: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def volume(self) -> float:
        """Volume of the cell, Å³."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def is_isolated(self) -> bool:
        """True of one atom without images, or that its file calls isolated."""
        return self.called_isolated or (len(self) == 1 and not self.periodic.any())

    def known_stress(self) -> np.ndarray | None:
        """Components of the stress [3, 3] (eV/Å³) in periodic directions.

        The others are NaN: across a slab or a wire there is nothing that could be
        strained. A slab's stress is that of its whole cell, with the vacuum, as codes
        with plane waves give it. None without a volume or a periodic direction, or
        where the directions are not along x, y and z.
        """
        if self.stress is None or not has_volume(self.cell):
            return None
        if self.periodic.all():
            return self.stress
        # spanned by the periodic vectors, of which each is nonzero
        vectors = self.cell[self.periodic]
        used = (np.abs(vectors) > _ALIGNED * np.abs(vectors).max(initial=0)).any(0)
        if not self.periodic.any() or used.sum() != self.periodic.sum():
            return None
        return np.where(np.outer(used, used), self.stress, np.nan)


def has_volume(cell: np.ndarray) -> bool:
    """True if cell vectors [3, 3] span a volume, as ``check_cell`` asks for."""
    # floats take a tenth of numpy's time here, which is spent once a frame
    rows = np.asarray(cell, dtype=float).tolist()
    if not all(abs(x) <= _FARTHEST for row in rows for x in row):  # NaN too
        return False
    longest = max(math.hypot(*row) for row in rows)
    (a, b, c), (d, e, f), (g, h, i) = rows
    volume = a * (e * i - f * h) + b * (f * g - d * i) + c * (d * h - e * g)
    return abs(volume) > 1e-6 * max(longest, 1e-3) ** 3


def is_placeholder(cell: np.ndarray) -> bool:
    """True of cell vectors [n, 3] (Å) that stand for no cell: none is longer than 1 Å.

    ``CRYST1 1 1 1`` and zeros are what many programs write, and the PDB has, where
    there is no crystal.
    """
    return bool((np.linalg.norm(cell, axis=1) < _SHORTEST).all())


def check_cell(cell: np.ndarray, where: str) -> None:
    """Refuse cell vectors that span no volume.

    Parameters
    ----------
    cell : ndarray [3, 3]
        Å.
    where : str
        Name for the error message.

    Raises
    ------
    ValueError
        If an entry is not finite or the volume is below 1e-6 of a cube of the longest
        vector.
    """
    cell = np.asarray(cell, dtype=float)
    if not has_volume(cell):
        raise ValueError(
            f"{where}: expected three independent box vectors, found a degenerate box "
            f"{cell.tolist()} Å"
        )


def check_lengths(vectors: np.ndarray, where: str, way_out: str) -> None:
    """Refuse periodic vectors [n, 3] (Å) so short that atoms would meet themselves.

    Raises
    ------
    ValueError
    """
    lengths = np.linalg.norm(vectors, axis=1)
    if (lengths < _SHORTEST).any():
        shown = ", ".join(f"{length:g}" for length in lengths)
        raise ValueError(
            f"{where}: expected a box that holds its atoms, found box vectors of "
            f"{shown} Å, which stand for no box (CRYST1 1 1 1) or are in another unit; "
            f"{way_out}"
        )


def check_structure(structure: Structure, where: str) -> None:
    """Refuse what no structure can be.

    Raises
    ------
    ValueError
        If there is no atom, a number is not finite, or a periodic direction has no
        cell vector or depends on the others.
    """
    if len(structure) == 0:
        raise ValueError(f"{where}: expected at least one atom, found none")
    if "X" in structure.symbols:  # ase's name for the number 0
        raise ValueError(
            f"{where}: expected an element for each atom, found X (none) for atom "
            f"{structure.symbols.index('X')}"
        )
    for name in ("positions", "cell", "energy", "forces", "stress"):
        value = getattr(structure, name)
        if value is None:
            continue
        largest = float(np.abs(value).max())
        if not math.isfinite(largest):
            raise ValueError(f"{where}: expected finite {name}, found NaN or infinity")
        if largest > _FARTHEST and name in ("positions", "cell"):
            raise ValueError(
                f"{where}: expected {name} within {_FARTHEST:g} Å, found {largest:g} Å"
            )
    if structure.periodic.any():
        used = structure.cell[structure.periodic]
        lengths = np.linalg.norm(used, axis=1, keepdims=True)
        if not lengths.all():
            raise ValueError(
                f"{where}: expected a cell vector in each periodic direction, found "
                f"{structure.cell.tolist()} with periodicity "
                f"{structure.periodic.tolist()}"
            )
        if structure.periodic.all():
            check_cell(structure.cell, where)
        elif np.linalg.matrix_rank(used / lengths, tol=1e-6) < len(used):
            raise ValueError(
                f"{where}: expected independent cell vectors in the periodic "
                f"directions, found a degenerate box {used.tolist()} Å"
            )
        if (lengths < _SHORTEST).any():
            check_lengths(used, where, _NO_CELL)
