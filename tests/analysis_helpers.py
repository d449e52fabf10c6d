# SPDX-License-Identifier: MIT
"""Cells and trajectories for the tests of analysis."""

import mdtraj
import numpy as np

CUBIC = np.diag([3.0, 3.0, 3.0])
ORTHORHOMBIC = np.diag([2.0, 2.5, 3.2])
TRICLINIC = np.array([[2.4, 0.0, 0.0], [0.9, 2.2, 0.0], [-0.7, 0.8, 2.3]])


def make_trajectory(positions, cells, elements, *, time_step=1.0):
    """mdtraj.Trajectory of positions (f, n, 3) and cells (3, 3) or (f, 3, 3) in nm."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for symbol in elements:
        residue = topology.add_residue(symbol, chain)
        topology.add_atom(symbol, mdtraj.element.get_by_symbol(symbol), residue)
    trajectory = mdtraj.Trajectory(
        np.asarray(positions, dtype=np.float32),
        topology,
        time=np.arange(len(positions)) * time_step,
    )
    if cells is not None:
        trajectory.unitcell_vectors = np.broadcast_to(
            cells, (len(positions), 3, 3)
        ).astype(np.float32)
    return trajectory


def uniform_gas(cells, n_frames, n_atoms, rng):
    """Independent positions (n_frames, n_atoms, 3), uniform over the cell."""
    return rng.random((n_frames, n_atoms, 3)) @ cells


def random_walk(n_frames, n_atoms, coefficient, rng):
    """Brownian paths (n_frames, n_atoms, 3) in nm; `coefficient` in nm² per frame."""
    steps = rng.normal(size=(n_frames, n_atoms, 3)) * np.sqrt(2 * coefficient)
    return np.cumsum(steps, axis=0)


def wrap(positions, cells):
    inverse = np.linalg.inv(cells)
    return positions - np.floor(positions @ inverse) @ cells
