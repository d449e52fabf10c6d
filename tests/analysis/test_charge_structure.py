# SPDX-License-Identifier: MIT
"""S_zz(q): charges at random, pairs, a crystal, and a field that screens perfectly."""

import numpy as np
import pytest
from analysis_helpers import (
    CUBIC,
    ORTHORHOMBIC,
    TRICLINIC,
    autoregressive,
    make_trajectory,
    uniform_gas,
)
from scipy.constants import Boltzmann, elementary_charge, epsilon_0

from openmm_allegro.analysis import charge_structure_factor

KELVIN = 300.0
# e²/(ε0 k_B T) in nm, by hand: 1.602e-19² / (8.854e-12 × 1.381e-23 × 300) / 1e-9
LENGTH = elementary_charge**2 / (epsilon_0 * Boltzmann * KELVIN) / 1e-9


def deviations(estimate, exact):
    return (estimate.value - exact) / estimate.error


def assert_within_errors(estimate, exact):
    z = deviations(estimate, exact)
    assert np.abs(z).max() < 5
    assert np.mean(z**2) < 3


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_charges_at_random_have_their_mean_square(cell):
    rng = np.random.default_rng(61)
    charges = np.tile([2.0, -1.0, -1.0, 0.0], 20)
    trajectory = make_trajectory(
        uniform_gas(cell, 100, 80, rng), cell, ["Mg", "Cl", "Cl", "Ar"] * 20
    )
    found = charge_structure_factor(trajectory, charges, KELVIN, q_max=12.0)
    assert found.uncorrelated == 1.5
    assert_within_errors(found.factor, 1.5)
    assert not found.few and found.independent > 50
    # Σ z² / V alone screens as an ideal gas of ions would: κ²/q²
    kappa = LENGTH * 80 * 1.5 / abs(np.linalg.det(cell))
    assert_within_errors(found.screening, kappa / found.q**2)


def test_pairs_are_dipoles_at_small_q():
    rng = np.random.default_rng(62)
    length, charge, n = 0.1, 0.5, 50
    first = uniform_gas(CUBIC, 150, n, rng)
    arms = rng.normal(size=first.shape)
    arms *= length / np.linalg.norm(arms, axis=-1, keepdims=True)
    positions = np.stack([first, first + arms], axis=2).reshape(150, 2 * n, 3)
    trajectory = make_trajectory(positions, CUBIC, ["Na", "Cl"] * n)
    charges = np.tile([charge, -charge], n)
    found = charge_structure_factor(trajectory, charges, KELVIN, q_max=16.0)
    wave = np.sinc(found.q * length / np.pi)
    assert_within_errors(found.factor, charge**2 * (1 - wave))
    # 1 - 1/ε of free dipoles μ: (n / V) μ² / (3 ε0 k_B T), the ε - 1 of a thin gas
    dipoles = LENGTH * n / 27 * (charge * length) ** 2 / 3
    assert deviations(found.limit, dipoles) == pytest.approx(0, abs=3)
    assert found.limit.error < 0.2 * dipoles
    assert found.fit_end == pytest.approx(2 * 2 * np.pi / 3, rel=1e-5)


def test_a_crystal_scatters_at_its_own_vectors_alone():
    """Rock salt: |ρ|² = N² z² at (h, k, l) of odd numbers, here 3 cells a side."""
    sites = np.stack(np.meshgrid(*[np.arange(6)] * 3, indexing="ij"), -1).reshape(-1, 3)
    charges = 0.8 * np.where(sites.sum(axis=1) % 2, -1, 1)
    symbols = ["Na" if z > 0 else "Cl" for z in charges]
    trajectory = make_trajectory([0.5 * sites] * 10, CUBIC, symbols)
    found = charge_structure_factor(
        trajectory, charges, KELVIN, q_max=12.0, bin_width=0.4, vectors_per_bin=1000
    )
    bragg = np.abs(found.q - 2 * np.pi * np.sqrt(3) * 3 / 3) < 0.2
    assert bragg.sum() == 1
    np.testing.assert_allclose(found.factor.value[~bragg], 0, atol=1e-9)
    # (3, 3, 3) in its four directions, among the vectors of that bin, ± counted once
    grid = np.arange(-6, 7)
    numbers = np.sum(np.stack(np.meshgrid(grid, grid, grid), -1) ** 2, axis=-1)
    bins = (np.sqrt(numbers) * 2 * np.pi / 3 / 0.4).astype(int)
    among = np.sum(bins == int(np.sqrt(27) * 2 * np.pi / 3 / 0.4)) / 2
    assert found.factor.value[bragg] * among == pytest.approx(4 * 216 * 0.64)
    assert found.limit.value == pytest.approx(0, abs=1e-6)


def screened_charges(cell, side, kappa, n_frames, rng):
    """Charges of sites on a grid whose every wave has the variance of a screened one.

    By Debye and Hückel, ⟨|ρ|²⟩ = (ε0 V k_B T / e²) q² κ² / (q² + κ²).
    """
    numbers = np.fft.fftfreq(side, 1 / side)
    grid = np.stack(np.meshgrid(numbers, numbers, numbers, indexing="ij"), -1)
    squares = np.sum((2 * np.pi * grid @ np.linalg.inv(cell).T) ** 2, axis=-1)
    variance = np.abs(np.linalg.det(cell)) / LENGTH * squares / (1 + squares / kappa**2)
    noise = np.fft.fftn(rng.normal(size=(n_frames, *[side] * 3)), axes=(1, 2, 3))
    waves = noise * np.sqrt(variance / side**3)
    charges = np.fft.ifftn(waves, axes=(1, 2, 3)).real.reshape(n_frames, -1)
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1)
    return sites.reshape(-1, 3) / side @ cell, charges


@pytest.mark.parametrize("cell", [ORTHORHOMBIC, TRICLINIC], ids=["box", "triclinic"])
def test_a_field_that_screens_perfectly(cell):
    rng = np.random.default_rng(63)
    kappa = 30.0
    sites, charges = screened_charges(cell, 6, kappa, 400, rng)
    trajectory = make_trajectory([sites] * 400, cell, ["Ar"] * 216)
    found = charge_structure_factor(trajectory, charges, KELVIN, q_max=7.0)
    assert_within_errors(found.screening, 1 / (1 + (found.q / kappa) ** 2))
    assert deviations(found.limit, 1) == pytest.approx(0, abs=3)
    assert found.limit.error < 0.2
    expected = np.polynomial.Polynomial([1, -1 / kappa**2, 1 / kappa**4])
    fitted = np.polynomial.Polynomial(found.line)
    squares = np.linspace(found.q[0], found.fit_end, 9) ** 2
    np.testing.assert_allclose(fitted(squares), expected(squares), atol=0.2)
    stream = (trajectory[i : i + 70] for i in range(0, 400, 70))
    again = charge_structure_factor(stream, charges, KELVIN, q_max=7.0)
    np.testing.assert_allclose(again.factor.value, found.factor.value, rtol=1e-9)


def test_slow_waves_have_wide_errors():
    """Of one wave that decays in 100 frames, 200 frames hold two values."""
    rng = np.random.default_rng(64)
    sites, charges = screened_charges(CUBIC, 4, 30.0, 1, rng)
    charges = np.array([autoregressive(200, 100, rng) for _ in sites]).T
    trajectory = make_trajectory([sites] * 200, CUBIC, ["Ar"] * 64)
    found = charge_structure_factor(trajectory, charges, KELVIN, q_max=7.0)
    assert found.few and found.independent < 20
    assert abs(found.factor.value[0] - 1) < 2 * found.factor.error[0]


def test_what_does_not_fit_is_refused():
    rng = np.random.default_rng(65)
    trajectory = make_trajectory(uniform_gas(CUBIC, 20, 4, rng), CUBIC, ["Ar"] * 4)
    for charges in (np.ones(3), np.ones((20, 3)), np.ones((19, 4)), np.ones((21, 4))):
        with pytest.raises(ValueError, match="expected charges of"):
            charge_structure_factor(trajectory, charges, KELVIN)
    with pytest.raises(ValueError, match="above 0 K"):
        charge_structure_factor(trajectory, np.ones(4), 0.0)
    with pytest.raises(ValueError, match=r"--bin-width, .*--q-max"):
        charge_structure_factor(trajectory, np.ones(4), KELVIN, bin_width=40)
    with pytest.raises(ValueError, match="found the smallest"):
        charge_structure_factor(trajectory, np.ones(4), KELVIN, q_max=5.0, fit_end=1)
