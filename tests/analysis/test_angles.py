# SPDX-License-Identifier: MIT
"""Angles of lattices, molecules and random neighbours."""

import numpy as np
import pytest
from analysis_helpers import CUBIC, TRICLINIC, make_trajectory, uniform_gas

from openmm_allegro.analysis import angle_distribution


def test_simple_cubic_has_right_and_straight_angles():
    sites = np.stack(np.meshgrid(*[np.arange(6) * 0.5] * 3), -1).reshape(-1, 3)
    trajectory = make_trajectory([sites] * 10, CUBIC, ["Po"] * 216)
    found = angle_distribution(trajectory, "all", "all", "all", 0.6)
    # Of 15 pairs of six neighbours 12 are at 90 degrees and 3 at 180.
    assert found.n_angles == 10 * 216 * 15
    near = np.abs(found.angle - 90) < 3
    assert found.density[near].sum() * 2 == pytest.approx(12 / 15)
    assert found.density[-1] * 2 == pytest.approx(3 / 15)
    np.testing.assert_allclose(found.error, 0, atol=1e-12)


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_random_neighbours_follow_the_sine(cell):
    gas = uniform_gas(cell, 60, 60, np.random.default_rng(95))
    trajectory = make_trajectory(gas, cell, ["Na"] * 10 + ["O"] * 30 + ["H"] * 20)
    found = angle_distribution(
        trajectory, "element H", "element Na", "element O", 0.9, 0.7, n_bins=12
    )
    exact = (
        np.cos(np.radians(found.angle - 7.5)) - np.cos(np.radians(found.angle + 7.5))
    ) / 30
    z = (found.density - exact) / found.error
    assert np.abs(z).max() < 5
    assert np.mean(z**2) < 3
    assert found.density.sum() * 15 == pytest.approx(1)


def test_bent_molecules_across_the_boundary():
    rng = np.random.default_rng(96)
    angle = np.radians(104.5)
    shape = 0.1 * np.array([[np.cos(angle), np.sin(angle), 0], [1, 0, 0]])
    frames = []
    for _ in range(20):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        center = rng.random(3) * 3
        frames.append(np.concatenate([[center], center + shape @ turn]) % 3)
    trajectory = make_trajectory(frames, CUBIC, ["O", "H", "H"])
    found = angle_distribution(
        trajectory, "element H", "element O", "element H", 0.12, n_bins=180
    )
    assert found.angle[np.argmax(found.density)] == 104.5
    assert found.n_angles == 20
    # H-H-O: both ends of the bond have the other angle.
    found = angle_distribution(
        trajectory, "element H", "element H", "element O", 0.2, 0.12, n_bins=180
    )
    assert found.angle[np.argmax(found.density)] == pytest.approx(37.5, abs=0.6)
    assert found.n_angles == 40
    with pytest.raises(ValueError, match="two neighbours"):
        angle_distribution(trajectory, [0], [1], [2], 0.01)
    with pytest.raises(ValueError, match=r"r_ab and r_cb\) above 0 and up to 1"):
        angle_distribution(trajectory, [0], [1], [2], 1.6)
