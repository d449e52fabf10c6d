# SPDX-License-Identifier: MIT
"""Atoms in a box as a data file of LAMMPS, units metal, atom style atomic or charge."""

from typing import NamedTuple

import numpy as np

from ..units import NM_TO_ANGSTROM
from .plan import AtomType

_ROOM = 1.0  # Å around atoms without a box, which LAMMPS then fits itself


class Atoms(NamedTuple):
    """Atoms of a data file, in OpenMM's units.

    Attributes
    ----------
    numbers : ndarray [N] of int
        Type of each atom, from 0.
    positions : ndarray [N, 3], nm
        Those outside the box are moved into it by LAMMPS, which remembers from where.
    velocities : ndarray [N, 3] or None, nm/ps
    box : ndarray [3, 3] or None, nm
        Reduced vectors in rows; None where not periodic.
    charges : ndarray [N] or None, e
        None for the atom style atomic.
    """

    numbers: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None
    box: np.ndarray | None
    charges: np.ndarray | None = None


def data_text(
    title: str, types: tuple[AtomType, ...], atoms: Atoms, *, tilted: bool = False
) -> str:
    """Write atoms in the format of ``read_data``.

    Parameters
    ----------
    title : str
        Its first line.
    types : tuple of AtomType
        Their masses in the first stage are written.
    atoms : Atoms
    tilted : bool
        Whether angles of the box may change, though they are right angles now.
    """
    lines = [
        f"{title} (units metal: A, A/ps, Da)",
        "",
        f"{len(atoms.numbers)} atoms",
        f"{len(types)} atom types",
        "",
        *_box(atoms, tilted),
        *("", "Masses", ""),
        *(
            f"{number} {one.masses[0]:.10g}  # {one.element}"
            for number, one in enumerate(types, start=1)
        ),
        *("", f"Atoms  # {atom_style(atoms.charges is not None)}", ""),
    ]
    kinds = [str(number) for number in (atoms.numbers + 1).tolist()]
    if atoms.charges is not None:
        charges = atoms.charges.tolist()
        kinds = [f"{kind} {q:.6f}" for kind, q in zip(kinds, charges, strict=True)]
    places = (NM_TO_ANGSTROM * atoms.positions).tolist()
    lines += [
        f"{index} {kind} {x:.8f} {y:.8f} {z:.8f}"
        for index, (kind, (x, y, z)) in enumerate(
            zip(kinds, places, strict=True), start=1
        )
    ]
    if atoms.velocities is not None:
        lines += ["", "Velocities", ""]
        lines += [
            f"{index} {x:.10g} {y:.10g} {z:.10g}"
            for index, (x, y, z) in enumerate(
                (NM_TO_ANGSTROM * atoms.velocities).tolist(), start=1
            )
        ]
    return "\n".join([*lines, ""])


def atom_style(charged: bool) -> str:
    """Name LAMMPS's style of atoms with charges, or of those without."""
    return "charge" if charged else "atomic"


def _box(atoms: Atoms, tilted: bool) -> list[str]:
    """Lines of the box, which LAMMPS has in the form that OpenMM has."""
    if atoms.box is None:
        places = NM_TO_ANGSTROM * atoms.positions
        low, high = places.min(axis=0) - _ROOM, places.max(axis=0) + _ROOM
    else:
        box = NM_TO_ANGSTROM * atoms.box
        low, high = np.zeros(3), np.diagonal(box)
    lines = [
        f"{start:.10g} {end:.10g} {axis}lo {axis}hi"
        for axis, start, end in zip("xyz", low, high, strict=True)
    ]
    if atoms.box is not None:
        tilts = box[1, 0], box[2, 0], box[2, 1]
        if tilted or any(tilts):
            lines.append(" ".join(f"{tilt:.10g}" for tilt in tilts) + " xy xz yz")
    return lines
