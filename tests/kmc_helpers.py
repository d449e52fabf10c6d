# SPDX-License-Identifier: MIT
"""Kinetic Monte Carlo walks on lattices, whose rates are known, as trajectories."""

import mdtraj
import numpy as np

NEIGHBORS = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]
)
CUBIC = 0.3 * np.eye(3)
# Angles of 79 to 105 degrees, edges of 0.29 to 0.33 nm.
TRICLINIC = np.array([[0.30, 0.0, 0.0], [0.06, 0.31, 0.0], [-0.05, 0.06, 0.28]])


def walk(n_ions, n_frames, rate, time_step, *, seed=0, reverse=None, together=1):
    """Positions (n_frames, n_ions, 3) of walkers on a simple lattice, in its vectors.

    Each jumps to one of six neighbours, ``rate`` times per ps to each. With a
    probability ``reverse`` of going back, the others share the rest. ``together`` ions
    make each jump in concert.
    """
    random = np.random.default_rng(seed)
    groups = n_ions // together
    start = random.integers(0, 8, (groups, 3))
    most = int(6 * rate * n_frames * time_step * 2 + 50)
    times = np.cumsum(random.exponential(1 / (6 * rate), (groups, most)), axis=1)
    if reverse is None:
        choices = random.integers(0, 6, (groups, most))
    else:
        choices = np.empty((groups, most), dtype=int)
        choices[:, 0] = random.integers(0, 6, groups)
        for k in range(1, most):
            back = choices[:, k - 1] ^ 1  # pairs of opposite neighbours
            other = (back + random.integers(1, 6, groups)) % 6
            choices[:, k] = np.where(random.random(groups) < reverse, back, other)
    path = np.concatenate(
        [np.zeros((groups, 1, 3)), np.cumsum(NEIGHBORS[choices], axis=1)], axis=1
    )
    frames = np.arange(n_frames) * time_step
    at = np.stack([np.searchsorted(row, frames) for row in times], axis=1)
    positions = start + path[np.arange(groups), at]
    return np.repeat(positions, together, axis=1)


def rattle(shape, spread, *, seed=1, memory=0.6):
    """Displacements of oscillators in nm, correlated from frame to frame."""
    random = np.random.default_rng(seed)
    kicks = spread * random.standard_normal(shape)
    kicks[1:] *= np.sqrt(1 - memory**2)
    for k in range(1, len(kicks)):
        kicks[k] += memory * kicks[k - 1]
    return kicks


def solid(steps, vectors, *, size=4, spread=0.02, drift=0.0, time_step=0.1, seed=2):
    """Trajectory of walkers and a host lattice between them, wrapped into the cell.

    Parameters
    ----------
    steps : (n_frames, n_ions, 3) array
        Positions in vectors of the lattice.
    vectors : (3, 3) array
        Of the lattice, nm.
    size : int
        Of the cell, in vectors of the lattice.
    drift : float
        Way of all atoms per frame, nm.
    """
    cell = size * vectors
    host = np.stack(np.meshgrid(*3 * [np.arange(size)], indexing="ij"), -1)
    host = (host.reshape(-1, 3) + 0.5) @ vectors
    n_frames = len(steps)
    positions = np.concatenate(
        [steps @ vectors, np.broadcast_to(host, (n_frames, *host.shape))], axis=1
    )
    positions = positions + rattle(positions.shape, spread, seed=seed)
    positions += drift * np.arange(n_frames)[:, None, None] * np.array([1, 0.5, -0.3])
    fractional = positions @ np.linalg.inv(cell)
    positions = (fractional - np.floor(fractional)) @ cell
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for symbol in ["Li"] * steps.shape[1] + ["Cl"] * len(host):
        residue = topology.add_residue(symbol.upper(), chain)
        topology.add_atom(symbol, mdtraj.element.get_by_symbol(symbol), residue)
    trajectory = mdtraj.Trajectory(
        positions, topology, time=time_step * np.arange(n_frames)
    )
    trajectory.unitcell_vectors = np.broadcast_to(cell, (n_frames, 3, 3))
    return trajectory
