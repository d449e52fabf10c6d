# SPDX-License-Identifier: MIT
"""Van Hove functions and the non-Gaussian parameter of walks, mixtures and gases."""

import numpy as np
import pytest
from analysis_helpers import CUBIC, TRICLINIC, make_trajectory, random_walk, uniform_gas
from scipy.stats import chi

from openmm_allegro.analysis import (
    non_gaussian_parameter,
    radial_distributions,
    van_hove_distinct,
    van_hove_self,
)


def test_a_random_walk_is_gaussian():
    coefficient, time_step = 2e-3, 0.5
    walk = random_walk(1500, 40, coefficient * time_step, np.random.default_rng(101))
    found = van_hove_self(walk, time_step, [1.0, 5.0], 0.8, bin_width=0.02)
    np.testing.assert_allclose(found.lag_times, [1.0, 5.0])
    for t, value, error in zip(found.lag_times, found.values, found.error, strict=True):
        edges = np.append(found.r - 0.01, found.r[-1] + 0.01)
        exact = np.diff(chi(3).cdf(edges / np.sqrt(2 * coefficient * t))) / 0.02
        some = exact > 0.1
        z = ((value - exact) / np.maximum(error, 1e-9))[some]
        assert np.abs(z).max() < 5
        assert np.sum(value) * 0.02 == pytest.approx(1, abs=1e-9)

    alpha = non_gaussian_parameter(walk, time_step, max_lag=10.0)
    assert np.abs(alpha.values / alpha.error).max() < 4.5
    assert alpha.error[0] < 0.02


def test_two_kinds_of_walkers_are_not_gaussian():
    """Half with variance 1 and half with 4: α₂ = 8.5 / 2.5² - 1."""
    rng = np.random.default_rng(102)
    walk = random_walk(2000, 40, 1e-3, rng)
    walk[:, 20:] *= 2
    found = non_gaussian_parameter(walk, 1.0, max_lag=20.0)
    z = (found.values - (8.5 / 2.5**2 - 1)) / found.error
    assert np.abs(z).max() < 4.5
    with pytest.raises(ValueError, match="shape"):
        non_gaussian_parameter(walk[0], 1.0)


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_distinct_part_of_a_gas_is_flat_and_of_a_pair_spreads(cell):
    rng = np.random.default_rng(103)
    gas = random_walk(300, 50, 1e-3, rng) + uniform_gas(cell, 1, 50, rng)
    trajectory = make_trajectory(gas, cell, ["Ar"] * 50)
    found = van_hove_distinct(
        trajectory, "all", "all", [0.0, 10.0], r_max=0.9, bin_width=0.1
    )
    z = (found.values - 1)[:, 2:] / found.error[:, 2:]
    assert np.abs(z).max() < 6
    (g,) = radial_distributions(
        trajectory, {"": ("all", "all")}, r_max=0.9, bin_width=0.1
    ).values()
    every = van_hove_distinct(
        trajectory, "all", "all", [0.0], r_max=0.9, bin_width=0.1, n_origins=300
    )
    np.testing.assert_allclose(every.values[0], g.g, rtol=0.02, atol=1e-9)

    # Where one atom was, its partner sits 10 steps later: a hole filled from behind.
    path = random_walk(300, 1, 1e-4, rng) + 1.0
    follower = np.concatenate([path[:10], path[:-10]])
    train = make_trajectory(np.concatenate([path, follower], axis=1), cell, ["Na", "O"])
    found = van_hove_distinct(
        train, "element Na", "element O", [10.0], r_max=0.5, bin_width=0.05
    )
    density = 1 / abs(np.linalg.det(cell))
    assert found.values[0, 0] * density * 4 / 3 * np.pi * 0.05**3 > 0.95
    with pytest.raises(ValueError, match="lag times from 0"):
        van_hove_distinct(train, [0], [1], [299.0], r_max=0.5)
    with pytest.raises(ValueError, match="one pair"):
        van_hove_distinct(train, [0], [0], [1.0], r_max=0.5)
    with pytest.raises(ValueError, match="bin_width"):
        van_hove_self(path, 1.0, [1.0], 0.1, bin_width=0.2)


def test_distinct_part_of_unwrapped_frames_in_a_breathing_cell():
    """Images far from the origin are those in the cell of their own frame."""
    rng = np.random.default_rng(104)
    cells = CUBIC * (1 + 0.02 * rng.normal(size=(40, 1, 1)))
    inside = rng.random((40, 20, 3)) @ cells
    images = rng.integers(-9, 10, (40, 20, 3)) @ cells
    found = [
        van_hove_distinct(
            make_trajectory(positions, cells, ["Ar"] * 20),
            "all",
            "all",
            [3.0],
            r_max=1.3,
            bin_width=0.1,
        )
        for positions in (inside, inside + images)
    ]
    # A pair in a thousand may change its bin by float32's rounding.
    np.testing.assert_allclose(
        found[0].values[0, 4:], found[1].values[0, 4:], atol=0.03
    )
