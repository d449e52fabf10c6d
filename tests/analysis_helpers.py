# SPDX-License-Identifier: MIT
"""Cells and trajectories for the tests of analysis."""

import mdtraj
import numpy as np
from scipy.signal import lfilter

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


def langevin(n_frames, n_atoms, coefficient, tau, time_step, rng):
    """Free Langevin particles, integrated exactly.

    Positions and velocities (n_frames, n_atoms, 3) of particles of the diffusion
    coefficient D = `coefficient`, whose velocities decay as exp(-t / tau).
    """
    decay = np.exp(-time_step / tau)
    variance = coefficient / tau
    steps = time_step / tau
    of_both = coefficient * (1 - decay) ** 2
    covariance = [
        [coefficient * tau * (2 * steps - 3 + 4 * decay - decay**2), of_both],
        [of_both, variance * (1 - decay**2)],
    ]
    kicks = np.linalg.cholesky(covariance) @ rng.normal(size=(n_frames, 2, n_atoms * 3))
    velocities = np.empty((n_frames, n_atoms * 3))
    velocities[0] = rng.normal(size=n_atoms * 3) * np.sqrt(variance)
    for i in range(1, n_frames):
        velocities[i] = decay * velocities[i - 1] + kicks[i, 1]
    moves = tau * (1 - decay) * velocities[:-1] + kicks[1:, 0]
    positions = np.concatenate([np.zeros((1, n_atoms * 3)), np.cumsum(moves, axis=0)])
    shape = (n_frames, n_atoms, 3)
    return positions.reshape(shape), velocities.reshape(shape)


def two_states(n_frames, n, leave, enter, rng):
    """Markov chains (n_frames, n) of 0 and 1, in equilibrium.

    `leave` and `enter` are the probabilities of a step from 1 to 0 and from 0 to 1.
    """
    states = np.empty((n_frames, n), dtype=int)
    states[0] = rng.random(n) < enter / (enter + leave)
    for i in range(1, n_frames):
        change = rng.random(n) < np.where(states[i - 1], leave, enter)
        states[i] = states[i - 1] ^ change
    return states


def autoregressive(n, tau, rng):
    """Series (n,) of mean 0 and variance 1 that decays as exp(-t / tau) frames."""
    decay = np.exp(-1 / tau)
    kicks = rng.normal(size=n + 20 * int(tau)) * np.sqrt(1 - decay**2)
    return lfilter([1.0], [1.0, -decay], kicks)[-n:]


def pairs_that_part(states, rng, time_step=1.0):
    """An O at 0.25 nm of each Na while its state is 1, at 0.6 nm while it is 0."""
    n = states.shape[1]
    sites = np.stack(np.meshgrid(*[[0.0, 2.0, 4.0]] * 3), -1).reshape(-1, 3)[:n]
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    radius = np.where(states, 0.25, 0.6)[..., None]
    oxygen = sites + radius * direction
    positions = np.concatenate([np.broadcast_to(sites, oxygen.shape), oxygen], axis=1)
    return make_trajectory(
        positions, 6 * np.eye(3), ["Na"] * n + ["O"] * n, time_step=time_step
    )


def assert_png(path):
    """Assert that a figure was drawn."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 10_000
