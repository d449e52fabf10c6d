# SPDX-License-Identifier: MIT
"""Drift, temperature and bonds of runs with known faults."""

import numpy as np
import pytest
from analysis_helpers import CUBIC, autoregressive, make_trajectory

from openmm_allegro.analysis import bond_lengths, check_temperature, drift


def test_drift_is_found_with_an_honest_error():
    times = 0.1 * np.arange(800)
    inside = []
    for seed in range(300):
        noise = autoregressive(800, 5, np.random.default_rng(seed))
        found = drift(times, 7.0 + 0.03 * times + noise)
        inside.append(abs(found.value - 0.03) < found.error)
    assert 0.59 < np.mean(inside) < 0.77
    assert drift(times, 2 * times).value == pytest.approx(2.0)
    with pytest.raises(ValueError, match="at least 10 frames, found 9"):
        drift(times[:9], times[:9])


def test_canonical_temperatures_pass_and_others_do_not():
    rng = np.random.default_rng(121)
    times = np.arange(3000.0)
    spread = 300 * np.sqrt(2 / 550)
    good = check_temperature(times, rng.normal(300, spread, 3000), 300, 550)
    assert abs(good.deviation) < 3
    assert abs(good.variance_ratio.value - 1) < 3 * good.variance_ratio.error
    assert abs(good.drift.value) < 3 * good.drift.error
    scaled = check_temperature(times, rng.normal(300, spread / 3, 3000), 300, 550)
    assert scaled.variance_ratio.value < 0.2
    heated = check_temperature(times, 300 + 0.01 * times, 300, 550)
    assert heated.drift.value == pytest.approx(0.01)
    # 20 K too hot, yet canonical in how it fluctuates.
    hot = check_temperature(times, rng.normal(320, spread, 3000), 300, 550)
    assert hot.deviation > 10
    assert abs(hot.variance_ratio.value - 1) < 3 * hot.variance_ratio.error
    with pytest.raises(ValueError, match="degree of freedom"):
        check_temperature(times, times, 300, 0)


def test_a_broken_bond_is_found_through_the_boundary():
    steps = np.zeros((40, 4, 3))
    steps[:, 1, 0] = 0.1
    steps[:, 2] = 1.0
    steps[:, 3] = [1.0, 1.0, 1.1]
    steps[25:30, 3, 2] = 1.2
    trajectory = make_trajectory((steps - 0.05) % 3, CUBIC, ["O", "H", "O", "H"])
    pairs = [[0, 1], [2, 3]]
    found = bond_lengths(trajectory, pairs)
    np.testing.assert_allclose(found.mean, [0.1, 0.1125], atol=1e-5)
    np.testing.assert_allclose(found.longest, [0.1, 0.2], atol=1e-5)
    np.testing.assert_array_equal(found.broken, [False, True])
    assert (found.longest_frame[1], found.first_break) == (25, 25)
    halves = bond_lengths(iter([trajectory[:22], trajectory[22:]]), pairs)
    assert halves.first_break == 25
    np.testing.assert_allclose(halves.mean, found.mean)
    assert bond_lengths(trajectory, pairs, limit=2.5).first_break is None
    with pytest.raises(ValueError, match="at least one bond"):
        bond_lengths(trajectory)
    with pytest.raises(ValueError, match="limit above 1"):
        bond_lengths(trajectory, pairs, limit=0.5)
