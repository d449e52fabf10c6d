# SPDX-License-Identifier: MIT
"""Paths of mobile ions in the frame of a host lattice, in fractional coordinates."""

from typing import NamedTuple

import numpy as np

from ..frames import (
    cell_vectors,
    check_times,
    chunked,
    frame_interval,
    masses,
    select_atoms,
)


class HostPaths(NamedTuple):
    """Paths of mobile ions, relative to a host lattice that is at rest.

    Attributes
    ----------
    fractional : (n_frames, n_ions, 3) array
        Unwrapped fractional coordinates of the ions in the cell of each frame, the
        host where it was in the first.
    ions, host : (n,) arrays of int
        Indices of the atoms in the trajectory.
    host_fractional : (n_host, 3) array
        Mean fractional coordinates of the host's atoms.
    host_spread : float
        Root mean square distance in nm of the host's atoms from these.
    drift : float
        Largest way in nm that the host has come from where it was.
    cell : (3, 3) array
        Mean cell vectors, as rows, in nm.
    time_step : float
        Time between frames in ps.
    """

    fractional: np.ndarray
    ions: np.ndarray
    host: np.ndarray
    host_fractional: np.ndarray
    host_spread: float
    drift: float
    cell: np.ndarray
    time_step: float


def follow_in_host(source, ions, host=None, *, time_step=None):
    """Follow ions relative to the centre of mass of a host lattice.

    Fractional coordinates stay what they are while a barostat changes the cell, as the
    sites of a crystal do; for mean square displacements see `unwrap.follow`.

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, equally spaced; no atom moves half a cell between two.
    ions : str or (n,) array of int
        The mobile ions.
    host : str or (n,) array of int, optional
        Atoms of the lattice. Default: all others.
    time_step : float, optional
        Time between frames in ps. Default: from ``trajectory.time``.

    Returns
    -------
    HostPaths

    Raises
    ------
    ValueError
        If an atom is ion and host, or there is no host.
    """
    first, chunks = chunked(source)
    check_times(first.time, time_step)
    ions = select_atoms(first, ions)
    if host is None:
        host = np.setdiff1d(np.arange(first.n_atoms), ions)
    host = select_atoms(first, host)
    if np.intersect1d(ions, host).size:
        raise ValueError("expected ions and a host without common atoms, found some")
    atoms = np.concatenate([ions, host])
    weights = masses(first)[host]
    weights = weights / weights.sum()
    paths, drifts, times, cells = [], [], [], []
    total, squares = np.zeros((len(host), 3)), 0.0
    last = None
    for chunk in chunks:
        vectors = cell_vectors(chunk)
        at = np.asarray(chunk.xyz[:, atoms], dtype=float) @ np.linalg.inv(vectors)
        start = at[:1] if last is None else last
        steps = np.diff(at, axis=0, prepend=start)
        path = start + np.cumsum(steps - np.round(steps), axis=0)
        last = path[-1:]
        if not drifts:
            origin = path[0, len(ions) :]
        drift = np.einsum("i,fix->fx", weights, path[:, len(ions) :] - origin)
        path = path - drift[:, None]
        last_host = path[:, len(ions) :]
        total += last_host.sum(axis=0)
        squares += float((((last_host - origin) @ vectors.mean(axis=0)) ** 2).sum())
        paths.append(path[:, : len(ions)])
        drifts.append(np.linalg.norm(drift @ vectors.mean(axis=0), axis=1).max())
        times.append(chunk.time)
        cells.append(vectors)
    times, cell = np.concatenate(times), np.concatenate(cells).mean(axis=0)
    if len(times) < 2:
        raise ValueError(f"expected at least 2 frames, found {len(times)}")
    mean = total / len(times)
    # about the first frame, less the distance of the mean from it
    spread = squares / (len(times) * len(host))
    spread -= float((((mean - origin) @ cell) ** 2).sum() / len(host))
    return HostPaths(
        np.concatenate(paths),
        ions,
        host,
        mean,
        float(np.sqrt(max(spread, 0.0))),
        float(max(drifts)),
        cell,
        frame_interval(times, time_step),
    )
