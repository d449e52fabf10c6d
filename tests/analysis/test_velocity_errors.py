# SPDX-License-Identifier: MIT
"""Errors of C(0) by Ornstein-Uhlenbeck velocities, and kinetic temperatures."""

import numpy as np
import pytest
from scipy.constants import gas_constant
from scipy.signal import lfilter

from openmm_allegro.analysis import green_kubo_diffusion, velocity_autocorrelation
from openmm_allegro.analysis.dynamics.velocities import (
    Velocities,
    kinetic_temperatures,
)

TIME_STEP, TAU = 0.1, 2.0
DECAY = np.exp(-TIME_STEP / TAU)


def velocities_of(n_frames, n_atoms, rng):
    """Velocities of unit variance that decay as exp(-t / τ)."""
    kicks = rng.normal(size=(n_frames, n_atoms, 3))
    kicks[1:] *= np.sqrt(1 - DECAY**2)
    return lfilter([1], [1, -DECAY], kicks, axis=0)


def exact_error(n_frames, n_atoms):
    """Standard error of C(0): v² of an atom is correlated as exp(-2 t / τ)."""
    lags = np.arange(1, n_frames)
    terms = (1 - lags / n_frames) * DECAY ** (2 * lags)
    return np.sqrt(6 / n_atoms * (1 + 2 * terms.sum()) / n_frames)


@pytest.mark.parametrize(
    "n_frames, most", [(100, 9), pytest.param(1000, 1.5, marks=pytest.mark.slow)]
)
def test_errors_of_mean_squares_hold_the_truth(n_frames, most):
    """Blocks of a short run are as correlated as it is: half of the error or less."""
    rng, exact = np.random.default_rng(8), exact_error(n_frames, 8)
    found = [
        velocity_autocorrelation(
            velocities_of(n_frames, 8, rng), TIME_STEP, max_lag=2 * TIME_STEP
        )
        for _ in range(60)
    ]
    values = np.array([one.values[0] for one in found])
    errors = np.array([one.error[0] for one in found])
    assert np.std(values) == pytest.approx(exact, rel=0.3)
    assert 1 < np.sqrt(np.mean(errors**2)) / exact < most
    # 68 % are the aim, of which 60 seeds leave 5 % to chance.
    assert np.mean(np.abs(values - 3) < errors) > 0.6
    assert np.mean(np.abs(values - 3) < 2 * errors) > 0.9
    # What blocks lack scales all of the function.
    assert all(np.all(one.error[1:] > 0.5 * one.error[0]) for one in found)


def test_a_coefficient_holds_that_kinetic_energy_fluctuates_slowly():
    """Atoms at a temperature that changes slowly: D is proportional to it."""
    rng = np.random.default_rng(9)
    fast = lfilter([1], [1, -0.5], rng.normal(size=(2000, 20, 3)), axis=0)
    level = 1 + 0.2 * np.sin(np.linspace(0, 2 * np.pi * 1.5, 2000))
    steady = green_kubo_diffusion(fast, TIME_STEP, max_lag=4.0)
    moving = green_kubo_diffusion(fast * level[:, None, None], TIME_STEP, max_lag=4.0)
    assert steady.coefficient.error < 0.1 * steady.coefficient.value
    assert moving.coefficient.error > 0.25 * moving.coefficient.value
    assert moving.running_error[0] == 0


def test_temperatures_of_elements_and_of_all():
    """Each element has the freedom that a centre of mass at rest leaves it."""
    rng, kt = np.random.default_rng(10), 1e-3 * gas_constant * 300.0
    masses = np.array([40.0, 10.0, 10.0, 1.0, 0.0])
    values = rng.normal(size=(10_000, 5, 3))
    values *= np.sqrt(kt / np.where(masses, masses, np.inf))[:, None]

    def of(atoms, values):
        kinetic = 0.5 * np.einsum("fix,fix,i->f", values, values, masses)
        some = values[:, atoms], masses[atoms], np.array(atoms), 1.0, 1.0
        return Velocities(*some, kinetic, masses)

    for atoms in ([0], [1, 2], [0, 1, 2, 3, 4]):
        some, whole = kinetic_temperatures(of(atoms, values), drift=True)
        assert some.mean() == pytest.approx(300, rel=0.03)
        assert whole.mean() == pytest.approx(300, rel=0.03)
    moving = np.einsum("fix,i->fx", values, masses) / masses.sum()
    at_rest = values - moving[:, None] * (masses > 0)[:, None]
    for atoms in ([0], [1, 2], [3], [0, 1, 2, 3, 4]):
        some, whole = kinetic_temperatures(of(atoms, at_rest))
        assert some.mean() == pytest.approx(300, rel=0.03)
        assert whole.mean() == pytest.approx(300, rel=0.03)
    some, _ = kinetic_temperatures(of([0], at_rest), constraints=0)
    _, fewer = kinetic_temperatures(of([0], at_rest), constraints=1)
    assert fewer.mean() == pytest.approx(300 * 9 / 8, rel=0.03)
    with pytest.raises(ValueError, match="atoms with mass"):
        kinetic_temperatures(of([4], values))
