# SPDX-License-Identifier: MIT
"""Atoms, cells, times and chunks of trajectories, checked where the user gives them."""

import re
from itertools import chain

import mdtraj
import numpy as np

from ..topology.selected_names import warn_of_unknown_residues
from ..utils.config import SettingError
from ..utils.suggest import did_you_mean

# Positions of a chunk: 50 MB in float64, a few times that while they are unwrapped.
_POSITIONS = 2_000_000
# Elements and residues that are listed where a selection is empty, and words of
# selections that are no names.
_SHOWN = 12
_WORDS = ("and", "or", "not", "element", "name", "resname", "residue", "index", "to")
# Stretches of a chunk whose frames are summed.
STRETCHES = 10


def select_atoms(trajectory, selection):
    """Return the indices (n,) of an mdtraj selection or integer array, checked."""
    return select_in(trajectory.topology, selection)


def select_in(topology, selection):
    """Do what `select_atoms` does, for a topology without frames."""
    if isinstance(selection, str):
        try:
            atoms = topology.select(selection)
        except ValueError as error:
            raise ValueError(
                "expected an element (Na), a residue (EMC) or an mdtraj selection "
                f"(water and name O), found {selection!r}"
            ) from error
    else:
        atoms = np.asarray(selection)
        if atoms.size and not np.issubdtype(atoms.dtype, np.integer):
            raise ValueError(
                "expected a selection string or integer atom indices, found an array "
                f"of {atoms.dtype}"
            )
        atoms = atoms.reshape(-1).astype(int)
    if atoms.size == 0:
        raise ValueError(
            f"expected at least one atom, selection {selection!r} is empty"
            f"{_what_there_is(topology, selection)}"
        )
    if isinstance(selection, str):
        warn_of_unknown_residues(selection, (r.name for r in topology.residues))
    if atoms.min() < 0 or atoms.max() >= topology.n_atoms:
        raise ValueError(
            f"expected atom indices from 0 to {topology.n_atoms - 1}, found "
            f"{atoms.min()} to {atoms.max()}"
        )
    if len(np.unique(atoms)) != len(atoms):
        raise ValueError("expected each atom once, found repeated atom indices")
    return atoms


def vectors_of_atoms(values, name):
    """Make a finite float array (n_frames, n_atoms, 3); errors say its name."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 3 or values.shape[1] == 0 or values.shape[2] != 3:
        raise ValueError(
            f"expected {name} of shape (n_frames, n_atoms, 3), found {values.shape}"
        )
    _check_finite(values, 0, name)
    return values


def cell_vectors(trajectory):
    """Cell vectors as rows, (n_frames, 3, 3) in nm; ValueError where there are none."""
    if trajectory.unitcell_lengths is None:
        raise ValueError(
            "expected a trajectory with a unit cell, found none; the cell is given by "
            "--cell (Window(cell=...))"
        )
    cells = _cells(trajectory.unitcell_lengths, trajectory.unitcell_angles)
    flat = ~(np.abs(np.linalg.det(cells)) > 0)
    if flat.any():
        raise ValueError(
            "expected a unit cell with a volume in every frame, found none in frame "
            f"{int(np.argmax(flat))}"
        )
    return cells


def cell_volumes(trajectory):
    """Volumes (n_frames,) in nm³ of cells, 0 where lengths and angles do not fit.

    As ``mdtraj.Trajectory.unitcell_volumes``, which like ``unitcell_vectors`` tests
    each frame by itself and takes a third of the time of an analysis of a small system.
    """
    cosines = np.cos(np.radians(np.asarray(trajectory.unitcell_angles, dtype=float)))
    squared = 1 + 2 * cosines.prod(axis=1) - (cosines**2).sum(axis=1)
    edges = np.asarray(trajectory.unitcell_lengths, dtype=float).prod(axis=1)
    return edges * np.sqrt(np.maximum(squared, 0))


def _cells(lengths, angles):
    """Cell vectors, the first along x and the second in the xy plane; 0 where none fit.

    As ``mdtraj.Trajectory.unitcell_vectors``, see `cell_volumes`.
    """
    a, b, c = np.asarray(lengths, dtype=float).T
    cosines = np.cos(np.radians(np.asarray(angles, dtype=float))).T
    sine = np.sqrt(np.maximum(1 - cosines[2] ** 2, 0))
    cells = np.zeros((len(a), 3, 3))
    cells[:, 0, 0] = a
    cells[:, 1, 0], cells[:, 1, 1] = b * cosines[2], b * sine
    y = cosines[0] - cosines[1] * cosines[2]
    y = np.divide(y, sine, out=np.zeros_like(y), where=sine > 0)
    z = np.sqrt(np.maximum(1 - cosines[1] ** 2 - y**2, 0))
    cells[:, 2] = (c * np.array([cosines[1], y, z])).T
    cells[np.abs(cells) < 1e-6] = 0.0  # what is left of the cosine of 90°
    return cells


def wrapped(positions, cells):
    """Images (n_frames, n_atoms, 3) in the cells (n_frames, 3, 3) at the origin."""
    return positions - np.floor(positions @ np.linalg.inv(cells)) @ cells


def largest_radius(cells):
    """Half the smallest distance between opposite faces, over all frames, in nm."""
    # Rows of the transposed inverse are normals whose length is 1 / width.
    normals = np.linalg.inv(cells).transpose(0, 2, 1)
    return float(0.5 / np.linalg.norm(normals, axis=-1).max())


def check_radius(radius, cells, name="--r-max, --shell, r_max"):
    """Refuse a radius in nm within which the minimum image misses neighbours."""
    allowed = largest_radius(cells)
    # Cells are stored in float32, so exactly half a box may come out a little larger.
    if not 0 < radius <= allowed * (1 + 1e-6):
        raise SettingError(
            f"expected a radius ({name}) above 0 and up to {allowed:.6g} nm, half the "
            "smallest perpendicular width of the cell over all frames, found "
            f"{radius:.6g} nm",
            "r_max",
            "shell",
            "outer",
        )


def masses(trajectory):
    """Masses (n_atoms,) of the elements in g/mol; ValueError if they are all zero."""
    values = np.array([atom.element.mass for atom in trajectory.topology.atoms])
    if not values.sum() > 0:
        raise ValueError("expected atoms with masses, found a total mass of 0")
    return values


def frame_interval(times, time_step=None):
    """Time between frames in ps: `time_step`, or else from the `times` (n,).

    Integers are numbers of frames, which mdtraj gives in place of times to files that
    hold none.
    """
    if time_step is None:
        times = np.asarray(times)
        check_times(times)
        times = times.astype(float)
        if len(times) < 2:
            raise ValueError(f"expected at least 2 frames, found {len(times)}")
        steps = np.diff(times)
        time_step = (times[-1] - times[0]) / len(steps)
        # Times are float32: late in a long run they are only known to a few eps.
        tolerance = 1e-3 * abs(time_step) + 4e-7 * np.abs(times).max()
        if not np.all(np.abs(steps - time_step) <= tolerance):
            hint = ""
            if np.any(steps <= 0):
                hint = "; frames repeat others, as after a restart: leave them out"
            raise ValueError(
                "expected frames at equal time intervals, found intervals from "
                f"{steps.min():.6g} to {steps.max():.6g} ps{hint}"
            )
    if not time_step > 0:
        raise ValueError(
            "expected times that increase, or a time step (time_step) above 0 ps, "
            f"found {time_step:.6g} ps"
        )
    return float(time_step)


def check_times(times, time_step=None):
    """Refuse integers as times (n,): numbers of frames, of a file without times."""
    if time_step is None and np.issubdtype(np.asarray(times).dtype, np.integer):
        raise ValueError(
            "expected times of frames in ps, found their numbers (integers), as mdtraj "
            "numbers frames of files that hold no times (DCD, PDB, LAMMPS dumps); give "
            "time_step (--time-step), the time between frames in ps"
        )


def chunked(source, chunk_frames=None):
    """Split a trajectory or stream: its first chunk, and an iterator over all chunks.

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        A trajectory in memory, or a stream such as ``mdtraj.iterload("npt.xtc",
        top="npt.pdb", chunk=100)``, which is passed through once as it comes.
    chunk_frames : int, optional
        Frames of a chunk that is cut from a trajectory in memory. Default: at most 100,
        and two million positions.
    """
    if isinstance(source, mdtraj.Trajectory):
        if chunk_frames is None:
            chunk_frames = max(1, min(100, _POSITIONS // source.n_atoms))
        if chunk_frames < 1:
            raise ValueError(
                f"expected chunk_frames of at least 1, found {chunk_frames}"
            )
        starts = range(0, source.n_frames, chunk_frames)
        # A view: mdtraj's own slicing copies the frames.
        pieces = (source.slice(slice(i, i + chunk_frames), copy=False) for i in starts)
    else:
        pieces = iter(source)
    first = next(pieces, None)
    if first is None:
        raise ValueError("expected at least one frame, found none")
    return first, _alike(chain([first], pieces), first.n_atoms)


def stretch_starts(n_frames, most=STRETCHES):
    """First frames of at most so many stretches, of about one length, of a chunk."""
    return np.unique(np.linspace(0, n_frames, most + 1).astype(int)[:-1])


def stretch_sums(chunks):
    """Sum numbers of frames over some ten stretches of each chunk.

    Parameters
    ----------
    chunks : iterable of lists
        For each chunk what each of its frames has, tuples of arrays.

    Returns
    -------
    tuple of (n_stretches, ...) arrays
    """
    sums = []
    for frames in chunks:
        starts = stretch_starts(len(frames))
        columns = zip(*frames, strict=True)
        sums.append([np.add.reduceat(np.array(x), starts, axis=0) for x in columns])
    return tuple(map(np.concatenate, zip(*sums, strict=True)))


def _alike(chunks, n_atoms):
    """Yield the chunks; ValueError at one with other atoms or broken positions."""
    n_frames = 0
    for chunk in chunks:
        if chunk.n_atoms != n_atoms:
            raise ValueError(
                f"expected chunks of {n_atoms} atoms, found one of {chunk.n_atoms}"
            )
        _check_finite(chunk.xyz, n_frames, "positions")
        n_frames += chunk.n_frames
        yield chunk


def _check_finite(values, first, name):
    """Refuse NaN and infinity; the error names the frame, counted from `first`.

    A neighbour search would not find such atoms, and a histogram not count them.
    """
    # The sum is finite unless a term is not: a check without a large array of bools.
    with np.errstate(invalid="ignore", over="ignore"):
        frame_is_finite = np.array(
            [np.isfinite(frame.sum(dtype=float)) for frame in values]
        )
    if not frame_is_finite.all():
        raise ValueError(
            f"expected finite {name}, found NaN or infinity in frame "
            f"{first + int(np.argmin(frame_is_finite))}"
        )


def _what_there_is(topology, selection):
    """List elements and residues, and what an empty selection may have meant."""
    elements = sorted({atom.element.symbol for atom in topology.atoms if atom.element})
    residues = sorted({residue.name for residue in topology.residues})
    kinds = {"elements": elements, "residues": residues}
    shown = [f"{kind} {', '.join(n[:_SHOWN])}" for kind, n in kinds.items() if n]
    words = re.findall(r"\w+", selection) if isinstance(selection, str) else []
    names = {atom.name for atom in topology.atoms} | {*elements, *residues}
    unknown = [word for word in words if word not in names and word not in _WORDS]
    return f"; there are {' and '.join(shown)}{did_you_mean(unknown, names)}"
