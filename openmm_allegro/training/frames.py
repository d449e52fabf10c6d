# SPDX-License-Identifier: MIT
"""Errors of each frame, worst first, so that a bad one is found."""

import csv
import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..structure import Structure
from ..utils.files import replacing
from .metrics import root_mean_square
from .outside import frames_outside


class FrameErrors(NamedTuple):
    """Errors of one frame; NaN and -1 for what is unknown."""

    rank: int  # from 1, the worst
    file: str
    frame: int  # in its file, from 0
    atoms: int
    composition: str
    energy_error_mev: float  # predicted minus reference, of the frame
    energy_error_mev_per_atom: float
    forces_rmse_mev_per_angstrom: float  # over components
    forces_mae_mev_per_angstrom: float
    largest_error_mev_per_angstrom: float  # length of the error of an atom's force
    largest_error_atom: int  # that has it, from 0
    largest_error_element: str
    stress_rmse_mev_per_angstrom3: float
    energy_deviation_mev_per_atom: float  # of a committee's members
    forces_deviation_mev_per_angstrom: float  # the largest of an atom
    atoms_outside: int  # of what the training saw
    outside: str  # what of them is farthest
    # e, of the longest wave of the charges along each reciprocal vector of the box
    wave_a_e: float = np.nan
    wave_b_e: float = np.nan
    wave_c_e: float = np.nan

    @property
    def largest_wave(self) -> float:
        """Largest of the three waves."""
        return max(self.wave_a_e, self.wave_b_e, self.wave_c_e)


def place_of(structure: Structure, index: int) -> tuple[str, int]:
    """File that a structure was read from and its frame there, from 0.

    Parameters
    ----------
    structure : Structure
    index : int
        Its place among others, for one that was not read from a file.
    """
    file, _, frame = structure.source.rpartition(", frame ")
    return (file, int(frame)) if frame.isdecimal() else (structure.source, index)


def frame_errors(
    arrays: dict[str, np.ndarray], elements: Sequence[str]
) -> list[FrameErrors]:
    """List the errors of each frame, worst first.

    The worst has the largest root-mean-square error of forces, and, where none has
    forces, the largest error of the energy per atom.

    Parameters
    ----------
    arrays : dict
        Of ``evaluate``.
    elements : sequence of str
        Of the model's config.

    Returns
    -------
    list of FrameErrors
    """
    rows = []
    starts = np.cumsum([0, *arrays["sizes"]])
    outside = frames_outside(arrays)
    errors = 1000 * (arrays["forces_prediction"] - arrays["forces_reference"])
    waves = arrays.get("waves", np.full((len(arrays["sizes"]), 3), np.nan))
    for index, (start, end) in enumerate(itertools.pairwise(starts)):
        energy = 1000 * float(
            arrays["energy_prediction"][index] - arrays["energy_reference"][index]
        )
        stress = arrays["stress_prediction"][index] - arrays["stress_reference"][index]
        symbols = [elements[t] for t in arrays["types"][start:end]]
        rows.append(
            FrameErrors(
                0,
                str(arrays["files"][index]),
                int(arrays["frames"][index]),
                len(symbols),
                formula(symbols),
                energy * len(symbols),
                energy,
                *_force_errors(errors[start:end], symbols),
                1000 * root_mean_square(stress),
                *_deviations(arrays, index, slice(start, end)),
                *(outside[index] if outside else (-1, "")),
                *waves[index].tolist(),
            )
        )
    rows.sort(key=_goodness)
    return [row._replace(rank=rank) for rank, row in enumerate(rows, 1)]


def write_frames(path: Path, rows: Sequence[Any]) -> None:
    """Write a CSV file with a row for each frame; unknown values are empty.

    Columns of waves, which only models with charges have, are left out if all are.

    Parameters
    ----------
    path : Path
    rows : sequence of NamedTuple
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [
        name
        for name in rows[0]._fields
        if not name.startswith("wave_") or any(getattr(r, name) >= 0 for r in rows)
    ]
    with replacing(path) as partial:
        with open(partial, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            for row in rows:
                writer.writerow([_shown(getattr(row, name)) for name in columns])


def formula(symbols: Sequence[str]) -> str:
    """Composition as a formula: carbon, hydrogen, and others by name.

    Examples
    --------
    >>> formula(["H", "O", "H", "C"])
    'CH2O'
    """
    counts = Counter(symbols)
    order = sorted(counts, key=lambda e: (e not in ("C", "H"), e))
    return "".join(f"{e}{counts[e] if counts[e] > 1 else ''}" for e in order)


def _force_errors(
    errors: np.ndarray, symbols: Sequence[str]
) -> tuple[float, float, float, int, str]:
    """Errors of a frame's forces: RMSE, MAE, the largest, its atom and element."""
    known = np.isfinite(errors)
    if not known.any():
        return np.nan, np.nan, np.nan, -1, ""
    lengths = np.linalg.norm(errors, axis=1)
    atom = int(np.nanargmax(lengths))
    mean = float(np.abs(errors[known]).mean())
    largest = float(lengths[atom])
    return root_mean_square(errors), mean, largest, atom, symbols[atom]


def _deviations(
    arrays: dict[str, np.ndarray], index: int, atoms: slice
) -> tuple[float, float]:
    """Deviations of a committee's energy and, the largest, of its forces."""
    if "energy_deviation" not in arrays:
        return np.nan, np.nan
    energy = 1000 * float(arrays["energy_deviation"][index])
    return energy, 1000 * float(arrays["forces_deviation"][atoms].max())


def _goodness(row: FrameErrors) -> tuple[bool, float]:
    force = row.forces_rmse_mev_per_angstrom
    if np.isnan(force):
        energy = abs(row.energy_error_mev_per_atom)
        return True, np.inf if np.isnan(energy) else -energy
    return False, -force


def _shown(value: Any) -> Any:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.6g}"
    return "" if value == -1 else value
