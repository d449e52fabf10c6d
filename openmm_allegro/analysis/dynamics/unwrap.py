# SPDX-License-Identifier: MIT
"""Paths of atoms through periodic boundaries, in a stated frame of reference."""

from typing import NamedTuple

import numpy as np

from ..frames import (
    cell_vectors,
    check_times,
    chunked,
    frame_interval,
    masses,
    select_atoms,
    wrapped,
)


class Paths(NamedTuple):
    """Unwrapped paths of some atoms.

    Attributes
    ----------
    positions : (n_frames, n_atoms, 3) array
        Positions in nm, relative to the centre of mass of the atoms of reference where
        there are any.
    atoms : (n_atoms,) array of int
        Indices of the atoms in the trajectory.
    time_step : float
        Time between frames in ps.
    volume : float
        Mean volume of the cell in nm³.
    """

    positions: np.ndarray
    atoms: np.ndarray
    time_step: float
    volume: float


def unwrap(trajectory):
    """Positions that follow each atom through the periodic boundaries.

    The Cartesian displacements between successive frames, each brought to its minimum
    image in the cell of the later frame, are summed: the toroidal-view-preserving
    scheme (Bullerjahn, von Bülow, Heidari, Hénin and Hummer, J. Chem. Theory Comput.
    19, 3406, 2023, doi:10.1021/acs.jctc.3c00308). In a constant cell it is exact. In a
    fluctuating one (NPT) it keeps the diffusion right where summing displacements in
    fractional coordinates makes it too large, at a price: each atom goes its own way,
    so bonds across a boundary may stretch; `unwrap_molecules` keeps them.

    An atom must move less than half the smallest perpendicular width of the cell
    between frames; nothing in the trajectory could tell otherwise.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, orthorhombic or triclinic; wrapped or not, by atom or
        by molecule. Or a stream of chunks, as ``mdtraj.iterload`` gives.

    Returns
    -------
    (n_frames, n_atoms, 3) array
        Positions in nm, the first frame as it is in the trajectory.
    """
    first, chunks = chunked(trajectory)
    everything = np.arange(first.n_atoms)
    return np.concatenate([path for path, _ in _unwrap_chunks(chunks, everything)])


def unwrap_molecules(trajectory):
    """Positions of whole molecules, each of which follows its first atom's path.

    The first atom of each molecule is unwrapped as by `unwrap`, the others are put
    beside it along the bonds, so no bond is stretched, under NPT neither.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        Frames with a unit cell and a topology with bonds.

    Returns
    -------
    (n_frames, n_atoms, 3) array
        Positions in nm.
    """
    # In mdtraj's molecules the order of atoms is that of a set.
    molecules = [
        np.sort([atom.index for atom in molecule])
        for molecule in trajectory.topology.find_molecules()
    ]
    anchors = np.empty(trajectory.n_atoms, dtype=int)
    for molecule in molecules:
        anchors[molecule] = molecule[0]
    whole = np.asarray(trajectory.xyz, dtype=float)
    if trajectory.topology.n_bonds:
        made = trajectory.make_molecules_whole(inplace=False)
        whole = np.asarray(made.xyz, dtype=float)
    firsts = np.unique(anchors)
    paths = np.empty_like(whole)
    paths[:, firsts] = unwrap(trajectory.atom_slice(firsts))
    return paths[:, anchors] + whole - whole[:, anchors]


def follow(source, selection="all", *, reference="all", time_step=None):
    """Unwrapped paths of some atoms relative to the centre of mass of others.

    A barostat, a thermostat or rounding makes the whole system drift, which adds
    (v t)² to every mean square displacement: `reference` takes it out.

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames as for `unwrap`, equally spaced in time.
    selection : str or (n,) array of int
        Atoms whose paths are kept.
    reference : str, (n,) array of int or None
        Atoms whose centre of mass is at rest: ``"all"`` for the barycentric frame, the
        solvent for its frame, None for the frame of the cell.
    time_step : float, optional
        Time between frames in ps. Default: from ``trajectory.time``.

    Returns
    -------
    Paths
    """
    first, chunks = chunked(source)
    check_times(first.time, time_step)
    atoms = select_atoms(first, selection)
    at_rest_atoms = np.array([], dtype=int)
    if reference is not None:
        at_rest_atoms = select_atoms(first, reference)
        weights = masses(first)[at_rest_atoms]
        weights = weights / weights.sum()
    needed = np.union1d(atoms, at_rest_atoms)
    columns = np.searchsorted(needed, atoms)
    frame_columns = np.searchsorted(needed, at_rest_atoms)
    everything = np.array_equal(atoms, needed)

    positions, times, volumes = [], [], []
    for path, chunk in _unwrap_chunks(chunks, needed):
        kept = path if everything else path[:, columns]
        if reference is not None:
            at_rest = np.einsum("i,fix->fx", weights, path[:, frame_columns])
            kept = kept - at_rest[:, None]
        positions.append(kept)
        times.append(chunk.time)
        volumes.append(np.abs(np.linalg.det(cell_vectors(chunk))))
    positions, times = np.concatenate(positions), np.concatenate(times)
    if len(times) < 2:
        raise ValueError(f"expected at least 2 frames, found {len(times)}")
    interval = frame_interval(times, time_step)
    return Paths(positions, atoms, interval, float(np.concatenate(volumes).mean()))


def _unwrap_chunks(chunks, atoms):
    """Yield the unwrapped path of `atoms` in each chunk, and the chunk."""
    path = inside_before = None
    for chunk in chunks:
        cells = cell_vectors(chunk)
        inverse = np.linalg.inv(cells)
        positions = np.asarray(chunk.xyz[:, atoms], dtype=float)
        # The scheme is defined on wrapped positions: of atoms many cells away from the
        # origin, a breathing cell moves the images but not the atoms.
        inside = wrapped(positions, cells)
        if path is None:
            start, inside_before = positions[:1], inside[:1]
        else:
            start = path[-1:]
        steps = np.diff(inside, axis=0, prepend=inside_before)
        # For steps under half the smallest width all fractional components are under
        # 1/2, in a triclinic cell too, so that rounding finds the minimum image.
        steps -= np.round(steps @ inverse) @ cells
        path = start + np.cumsum(steps, axis=0)
        inside_before = inside[-1:]
        yield path, chunk
