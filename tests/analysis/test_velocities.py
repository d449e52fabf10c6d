# SPDX-License-Identifier: MIT
"""Velocities: Langevin particles, oscillators, and mdtraj's HDF5 files."""

import numpy as np
import pytest
from analysis_helpers import CUBIC, langevin, make_trajectory
from scipy.integrate import trapezoid

from openmm_allegro.analysis import (
    density_of_states,
    green_kubo_diffusion,
    read_velocities,
    velocity_autocorrelation,
)
from openmm_allegro.analysis.dynamics.correlation import block_correlations


def test_langevin_particles_forget_exponentially():
    tau, time_step, coefficient = 0.5, 0.05, 2e-3
    _, velocities = langevin(
        4000, 60, coefficient, tau, time_step, np.random.default_rng(51)
    )
    found = velocity_autocorrelation(velocities, time_step, max_lag=4.0)
    assert found.lag_times[-1] == pytest.approx(4.0)
    exact = 3 * coefficient / tau * np.exp(-found.lag_times / tau)
    z = (found.values - exact) / found.error
    assert np.abs(z).max() < 5
    assert np.mean(z**2) < 4
    assert found.error[0] / found.values[0] < 0.03

    result = green_kubo_diffusion(velocities, time_step, max_lag=8.0)
    assert abs(result.coefficient.value - 2e-5) < 3 * result.coefficient.error
    assert result.coefficient.error < 0.1 * result.coefficient.value
    # Cut where e^(-t / tau) is small, not at the end.
    assert 4 * tau < result.cutoff < 8.0
    exact = 2e-5 * (1 - np.exp(-result.lag_times / tau))
    assert np.abs((result.running - exact)[1:] / result.running_error[1:]).max() < 5
    early = green_kubo_diffusion(velocities, time_step, max_lag=8.0, cutoff=tau)
    assert early.coefficient.value == pytest.approx(2e-5 * (1 - np.exp(-1)), rel=0.05)


def test_blocks_of_origins_sum_to_the_direct_correlation():
    rng = np.random.default_rng(52)
    a, b = rng.normal(size=(2, 47, 2, 3))
    sums, counts = block_correlations(a, b, 0.5, 3.0, n_blocks=5)
    assert sums.shape == (5, 7)
    for lag in range(7):
        direct = np.sum(a[: 47 - lag] * b[lag:])
        assert sums[:, lag].sum() == pytest.approx(direct)
        assert counts[:, lag].sum() == 47 - lag
    with pytest.raises(ValueError, match=r"--max-lag, max_lag\) from 0\.5 to 4 ps"):
        block_correlations(a, b, 0.5, 4.5, n_blocks=5)
    with pytest.raises(ValueError, match="at least 10 frames for errors from 5 blocks"):
        block_correlations(a[:3], b[:3], 0.5, n_blocks=5)


def test_oscillators_show_at_their_frequency_with_their_weight():
    """Two lines and a Lorentzian; 3 states per atom in all, mass or not."""
    rng = np.random.default_rng(53)
    time = 0.004 * np.arange(20_000)
    masses = np.array([1.0, 16.0])
    phases = rng.uniform(0, 2 * np.pi, (2, 3))
    frequencies = np.array([60.0, 20.0])
    values = np.cos(2 * np.pi * frequencies[:, None] * time[:, None, None] + phases)
    values /= np.sqrt(masses)[:, None]
    found = density_of_states(values, masses, 0.004, resolution=1.0)
    step = found.frequency[1]
    assert trapezoid(found.density, found.frequency) == pytest.approx(3, rel=0.01)
    for frequency in frequencies:
        near = np.abs(found.frequency - frequency) < 3
        assert np.sum(found.density[near]) * step == pytest.approx(1.5, rel=0.02)
        peak = found.frequency[near][np.argmax(found.density[near])]
        assert peak == pytest.approx(frequency, abs=step)
    np.testing.assert_allclose(found.wavenumber, found.frequency * 33.35641, rtol=1e-6)

    tau = 0.2
    _, values = langevin(20_000, 10, 1e-3, tau, 0.01, rng)
    found = density_of_states(values, np.ones(10), 0.01, resolution=0.1)
    exact = 12 * tau / (1 + (2 * np.pi * found.frequency * tau) ** 2)
    # From the first on: at 0 there are 12 m D / k_B T = 12 tau states.
    low = found.frequency < 3
    z = ((found.density - exact) / found.error)[low]
    assert abs(z.mean()) < 0.8
    assert np.mean(z**2) < 3
    assert trapezoid(found.density, found.frequency) == pytest.approx(3, rel=0.01)
    assert abs(found.density[0] - 12 * tau) < 3 * found.error[0]
    assert found.error[0] < 0.2 * 12 * tau
    with pytest.raises(ValueError, match="resolution from"):
        density_of_states(values, np.ones(10), 0.01, resolution=1e-3)
    with pytest.raises(ValueError, match="no kinetic energy"):
        density_of_states(0 * values, np.ones(10), 0.01)
    with pytest.raises(ValueError, match="10 masses"):
        density_of_states(values, np.ones(9), 0.01)


def test_velocities_come_from_hdf5_in_a_frame_of_reference(tmp_path, monkeypatch):
    from mdtraj.formats import HDF5TrajectoryFile

    rng = np.random.default_rng(54)
    velocities = rng.normal(size=(12, 3, 3)).astype(np.float32)
    trajectory = make_trajectory(np.zeros((12, 3, 3)), CUBIC, ["Na", "O", "O"])
    path = tmp_path / "run.h5"
    with HDF5TrajectoryFile(str(path), "w") as file:
        file.topology = trajectory.topology
        file.write(
            coordinates=trajectory.xyz,
            time=np.arange(12) * 0.01,
            cell_lengths=trajectory.unitcell_lengths,
            cell_angles=trajectory.unitcell_angles,
            velocities=velocities,
        )
    found = read_velocities(path, "element Na", reference="element O")
    expected = velocities[:, :1] - velocities[:, 1:].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert found.time_step == pytest.approx(0.01)
    assert found.volume == pytest.approx(27.0)
    np.testing.assert_allclose(found.masses, [22.98977], rtol=1e-5)
    # Piece by piece, as of large files.
    monkeypatch.setattr("openmm_allegro.analysis.dynamics.velocities._ATOMS_READ", 15)
    pieces = read_velocities(path, "element Na", reference="element O")
    np.testing.assert_array_equal(pieces.values, found.values)
    assert pieces[3:5] == pytest.approx(found[3:5])
    moved = velocities - velocities[:, 1:].mean(axis=1, keepdims=True)
    kinetic = 0.5 * np.einsum("fix,fix,i->f", moved, moved, found.all_masses)
    np.testing.assert_allclose(pieces.kinetic, kinetic, rtol=1e-5)
    as_is = read_velocities(path, reference=None)
    np.testing.assert_allclose(as_is.values, velocities)
    trajectory.save_hdf5(str(tmp_path / "positions.h5"))
    with pytest.raises(ValueError, match="expected velocities in"):
        read_velocities(tmp_path / "positions.h5")
    with pytest.raises(ValueError, match="shape"):
        velocity_autocorrelation(velocities[..., :2], 0.01)
