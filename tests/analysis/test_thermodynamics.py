# SPDX-License-Identifier: MIT
"""Response functions of fluctuations whose variance is known."""

import mdtraj
import numpy as np
import pytest
from analysis_helpers import CUBIC, autoregressive, make_trajectory
from scipy.constants import Boltzmann, gas_constant

from openmm_allegro.analysis import (
    compressibility,
    density,
    dielectric_constant,
    heat_capacity,
    thermal_expansion,
)


def test_density_in_table_units():
    rng = np.random.default_rng(111)
    edges = 3 * (1 + 0.002 * autoregressive(500, 5, rng))
    trajectory = make_trajectory(
        np.zeros((500, 4, 3)), edges[:, None, None] * np.eye(3), ["O", "H", "H", "Na"]
    )
    found = density(trajectory)
    mass = 15.99943 + 2 * 1.007947 + 22.98977
    assert found.value == pytest.approx(mass * 1.66053907 / 27, rel=2e-3)
    assert found.error == pytest.approx(
        0.006 * found.value / np.sqrt(500 / 10), rel=0.5
    )


def test_fluctuations_give_their_response_back():
    """V and E with variances of κ = 5e-5 / bar and C = 400 R, correlation 0.6."""
    rng = np.random.default_rng(112)
    temperature, mean = 300.0, 27.0
    variance = 5e-5 * Boltzmann * 300 * mean / (1e-27 * 1e5)
    first, second = (autoregressive(4000, 5, rng) for _ in range(2))
    volumes = mean + np.sqrt(variance) * first
    kappa = compressibility(volumes, temperature)
    assert abs(kappa.value - 5e-5) < 3 * kappa.error
    assert 0.02 < kappa.error / kappa.value < 0.2

    spread = np.sqrt(400) * 1e-3 * gas_constant * temperature
    energies = -5e4 + spread * (0.6 * first + 0.8 * second)
    capacity = heat_capacity(energies, temperature)
    assert abs(capacity.value - 400 * gas_constant) < 3 * capacity.error
    specific = heat_capacity(energies, temperature, mass=1000.0)
    assert specific.value == pytest.approx(capacity.value / 1000)
    expansion = thermal_expansion(volumes, energies, temperature)
    exact = (
        0.6 * spread * np.sqrt(variance) / (1e-3 * gas_constant * temperature**2 * mean)
    )
    assert abs(expansion.value - exact) < 3 * expansion.error
    with pytest.raises(ValueError, match="above 0 K"):
        compressibility(volumes, 0.0)
    with pytest.raises(ValueError, match="one length"):
        thermal_expansion(volumes, energies[:-1], temperature)


def test_free_dipoles_have_langevins_constant():
    """ε = 1 + N µ² / (3 ε₀ V k T), molecules torn by the boundary and moving."""
    rng = np.random.default_rng(113)
    n_frames, n, charge, length = 4000, 8, 0.5, 0.1
    arms = rng.normal(size=(n_frames, n, 3))
    arms *= length / np.linalg.norm(arms, axis=-1, keepdims=True)
    centers = 3 * rng.random((1, n, 3)) + np.cumsum(
        0.02 * rng.normal(size=(n_frames, n, 3)), axis=0
    )
    positions = np.stack([centers, centers + arms], axis=2).reshape(n_frames, 2 * n, 3)
    trajectory = make_trajectory(positions % 3, CUBIC, ["H", "F"] * n)
    atoms = list(trajectory.topology.atoms)
    for i in range(0, 2 * n, 2):
        trajectory.topology.add_bond(atoms[i], atoms[i + 1])
    charges = np.array([charge, -charge] * n)
    found = dielectric_constant(trajectory, charges, 300)
    dipole = charge * 1.602176634e-19 * length * 1e-9
    energy = 1.380649e-23 * 300
    exact = 1 + n * dipole**2 / (3 * 8.8541878128e-12 * 27e-27 * energy)
    assert abs(found.value - exact) < 3 * found.error
    assert found.error < 0.1 * (exact - 1)
    # mdtraj's own, where no molecule crosses between residues, takes the mean off too.
    theirs = mdtraj.geometry.static_dielectric(_by_residue(trajectory), charges, 300)
    assert found.value == pytest.approx(theirs, rel=0.01)
    with pytest.raises(ValueError, match="neutral molecules"):
        dielectric_constant(trajectory, np.abs(charges), 300)
    with pytest.raises(ValueError, match="10 groups of frames for errors from"):
        dielectric_constant(trajectory[:5], charges, 300)
    with pytest.raises(ValueError, match="16 charges"):
        dielectric_constant(trajectory, charges[:3], 300)


def _by_residue(trajectory):
    """The same frames, with the two atoms of a molecule in one residue."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for i, atom in enumerate(trajectory.topology.atoms):
        if i % 2 == 0:
            residue = topology.add_residue("HF", chain)
        topology.add_atom(atom.name, atom.element, residue)
    return mdtraj.Trajectory(
        trajectory.xyz,
        topology,
        unitcell_lengths=trajectory.unitcell_lengths,
        unitcell_angles=trajectory.unitcell_angles,
    )
