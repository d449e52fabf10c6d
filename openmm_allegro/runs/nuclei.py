# SPDX-License-Identifier: MIT
"""Kinetic energies of quantum nuclei that a run wrote, and its beads."""

import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .names import QTB, RPMD
from .run import Run
from .table import ENERGY_COLUMNS, Unreadable, read_columns
from .window import Window

_KINETIC = re.compile(r"Kinetic Energy of (\w+) \(kJ/mole\)")
_PRIMITIVE = "Primitive Kinetic Energy of {} (kJ/mole)"
_SQUARES = "Squared Radius of Gyration of {} (nm^2)"


class Nuclei(NamedTuple):
    """Means over the atoms of an element, line by line.

    Attributes
    ----------
    kinetic : (n,) array
        Kinetic energy of an atom in kJ/mol: of beads by the centroid virial, of a
        thermal bath by velocities.
    primitive : (n,) array or None
        The same by the springs between beads.
    squares : (n,) array or None
        Squared radius of gyration of the beads in nm².
    """

    kinetic: np.ndarray
    primitive: np.ndarray | None
    squares: np.ndarray | None


def nuclei_between(run: Run, window: Window) -> tuple[np.ndarray, dict[str, Nuclei]]:
    """Read times in ps, and kinetic energies by element, in a window.

    Raises
    ------
    FileNotFoundError
        If the run has no such file.
    ValueError
        If it cannot be read, or has no line in the window.
    """
    path = run.nuclei
    if path is None:
        raise FileNotFoundError(
            f"expected kinetic energies of {run.name}, a file .nuclei.csv that "
            f"simulate writes with integrator {RPMD!r} or {QTB!r}, found none"
        )
    table = read_columns(path, "kinetic energies")
    names = list(filter(None, map(_KINETIC.fullmatch, table)))
    if not names:
        raise Unreadable(
            f"expected columns such as Kinetic Energy of H (kJ/mole) in {path}, found "
            f"{', '.join(table)}"
        )
    times = table[ENERGY_COLUMNS["time"]]
    rows = np.flatnonzero(np.isfinite(times) & window.holds(times))
    rows = rows[:: window.stride or 1]
    if not len(rows):
        raise ValueError(
            f"expected lines of {path} between --start and --stop, found none"
        )
    table = {name: column[rows] for name, column in table.items()}
    return times[rows], {
        name[1]: Nuclei(
            table[name[0]],
            table.get(_PRIMITIVE.format(name[1])),
            table.get(_SQUARES.format(name[1])),
        )
        for name in names
    }


def over_beads(run: Run) -> Run:
    """The same run with the frames of all beads in the place of the centroid's."""
    if run.beads is None or not run.beads.stat().st_size:
        return run
    beads = int(run.record.get("beads", 1))
    return replace(run, trajectory=run.beads, beads=None, frames_at_once=beads)
