# SPDX-License-Identifier: MIT
"""Read positions and box where another run ended: of its state, or of a frame."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import unit

from ..classical.serialized import read_state
from ..runs.trajectories.read import read_chunks, read_index
from ..topology.formats import format_of
from ..utils.extras import naming_extras
from .coordinates import box_of

# OpenMM's, of a System without one; a State does not tell whether its box was used.
_NO_BOX = 2.0 * np.eye(3)


class End(NamedTuple):
    """Where a run ended.

    Attributes
    ----------
    positions : [N, 3] Quantity
    box : vectors with units, or None
    state : openmm.State or None
        Of a file that holds one, which has velocities too.
    """

    positions: unit.Quantity
    box: Any
    state: openmm.State | None = None


def read_end(path: Path, frame: int | None) -> End | None:
    """Read a State of OpenMM, or a frame of a trajectory without names of atoms.

    Parameters
    ----------
    path : Path
        XML of a State; XTC, TRR, DCD, NetCDF, HDF5 or a LAMMPS dump.
    frame : int or None
        Number of a frame, from 0 on, or from -1 backwards, where there are several.

    Returns
    -------
    End or None
        None of files of other formats.

    Raises
    ------
    ValueError
        If the file cannot be read, or the frame is none of it.
    """
    if path.suffix.lower() == ".xml":
        return _of_state(path, frame)
    if format_of(path) not in ("", "lammps-dump"):
        return None
    index = read_index(path)
    if index is None:
        return None
    found = f"{index.n_frames} frame{'' if index.n_frames == 1 else 's'}"
    if index.damage and not index.n_frames:
        raise ValueError(
            f"{path}: expected a frame that is whole, found {index.damage}"
        )
    if frame is None and index.n_frames > 1:
        raise ValueError(
            f"{path}: expected one frame, or the number of one (frame, --frame N from "
            f"0 on, -1 is the last), found {found}"
        )
    number = (frame or 0) + (index.n_frames if (frame or 0) < 0 else 0)
    if not 0 <= number < index.n_frames:
        raise ValueError(
            f"{path}: expected frame (--frame) as the number of a frame, from 0 on or "
            f"from -1 backwards, found {frame or 0} of {found}"
        )
    blank = _blank_topology(index.n_atoms or 0)
    read = next(read_chunks(path, blank, path, index, 1, number))
    lengths, cell = read.unitcell_lengths, None
    if lengths is not None and np.any(lengths):
        cell = np.concatenate([lengths[0], read.unitcell_angles[0]]).astype(float)
    positions = np.asarray(read.xyz[0], dtype=float) * unit.nanometer
    return End(positions, box_of(cell, path, "trajectory"))


def is_box(state: openmm.State) -> bool:
    """Tell whether a state has another box than that of Systems without one."""
    vectors = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)
    return not np.array_equal(vectors, _NO_BOX)


def _of_state(path: Path, frame: int | None) -> End:
    state = read_state(path.read_text(encoding="utf-8", errors="replace"), str(path))
    if frame is not None:
        raise ValueError(
            f"expected a frame (--frame) of a trajectory, found a State at {path}, "
            "which has one"
        )
    try:
        positions = state.getPositions(asNumpy=True)
    except openmm.OpenMMException as error:
        raise ValueError(f"{path}: expected positions, found {error}") from error
    return End(positions, state.getPeriodicBoxVectors(), state)


def _blank_topology(n_atoms: int) -> Any:
    """Make a topology of mdtraj for atoms whose names do not matter."""
    with naming_extras():
        import mdtraj

    topology = mdtraj.Topology()
    residue = topology.add_residue("UNK", topology.add_chain())
    for _ in range(n_atoms):
        topology.add_atom("X", mdtraj.element.virtual_site, residue)
    return topology
