# SPDX-License-Identifier: MIT
"""Dipole moments of molecules: numbers by hand, and how they are distributed."""

import numpy as np
import pytest
from analysis_helpers import autoregressive
from report_helpers import salt_water, walk

from openmm_allegro.analysis import molecular_dipoles

# SPC/E's, of its angle and lengths 0.1 nm: 2.35 D.
ANGLE = np.radians(109.47 / 2)


def turning(n_waters, n_frames, rng):
    """Trajectory of SPC/E waters in any direction, wrapped by atom, and the waters."""
    topology = salt_water(n_waters, 0)
    trajectory = walk(topology, n_frames)
    water = 0.1 * np.array(
        [
            [0, 0, 0],
            [np.cos(ANGLE), np.sin(ANGLE), 0],
            [np.cos(ANGLE), -np.sin(ANGLE), 0],
        ]
    )
    turns, _ = np.linalg.qr(rng.normal(size=(n_frames, n_waters, 3, 3)))
    places = trajectory.xyz[:, ::3][:, :, None] + water @ turns
    trajectory.xyz = (places.reshape(n_frames, -1, 3) % 2.0).astype(np.float32)
    return trajectory, np.arange(3 * n_waters).reshape(-1, 3)


def test_spce_has_its_moment():
    trajectory, waters = turning(8, 30, np.random.default_rng(81))
    charges = np.tile([-0.8476, 0.4238, 0.4238], 8)
    found = molecular_dipoles(trajectory, charges, waters)
    # 2 × 0.4238 e × 0.1 nm × cos(54.735°) = 0.04893 e nm
    assert found.mean.value == pytest.approx(0.04893 * 48.032, rel=1e-3)
    assert found.spread == pytest.approx(0, abs=1e-3)
    assert found.charge == pytest.approx((0, 0), abs=1e-12)
    assert np.sum(found.density) * 0.05 == pytest.approx(1)
    assert found.dipole[np.argmax(found.density)] == pytest.approx(2.35, abs=0.03)


def test_charges_that_change_are_those_of_their_frames():
    rng = np.random.default_rng(82)
    trajectory, waters = turning(8, 60, rng)
    scale = 1 + 0.1 * rng.normal(size=(60, 8, 1))
    charges = (scale * [-0.8476, 0.4238, 0.4238]).reshape(60, -1)
    found = molecular_dipoles(trajectory, charges, waters, bin_width=0.1)
    assert found.mean.value == pytest.approx(2.350 * scale.mean(), rel=1e-3)
    assert found.spread == pytest.approx(2.350 * scale.std(), rel=1e-3)
    # A Gaussian about it
    exact = np.exp(-0.5 * ((found.dipole - 2.35) / 0.235) ** 2) / 0.235 / 2.5066
    assert np.abs(found.density - exact).max() < 0.35
    stream = (trajectory[i : i + 25] for i in range(0, 60, 25))
    again = molecular_dipoles(stream, charges, waters, bin_width=0.1)
    np.testing.assert_allclose(again.density, found.density)
    with pytest.raises(ValueError, match="of 60 frames, found those of 61"):
        more = np.concatenate([charges, charges[:1]])
        molecular_dipoles(trajectory, more, waters)
    with pytest.raises(ValueError, match="expected charges of 24 atoms"):
        molecular_dipoles(trajectory, charges[:, 1:], waters)


def test_a_charged_molecule_is_taken_about_its_centre_of_mass():
    """H alone has the charge: 16/18 of the way from the middle of the hydrogens."""
    trajectory, waters = turning(4, 20, np.random.default_rng(83))
    found = molecular_dipoles(trajectory, np.tile([0, 0.5, 0.5], 4), waters)
    oxygen, hydrogen = 15.9994, 1.00794
    share = oxygen / (oxygen + 2 * hydrogen)
    expected = share * 0.1 * np.cos(ANGLE) * 48.032
    assert found.mean.value == pytest.approx(expected, rel=1e-3)
    assert found.charge.value == pytest.approx(1)
    assert found.charge_spread == pytest.approx(0, abs=1e-12)


def test_slow_moments_have_wide_errors():
    rng = np.random.default_rng(84)
    trajectory, waters = turning(4, 200, rng)
    scale = 1 + 0.1 * autoregressive(200, 100, rng)[:, None, None]
    charges = (scale * np.tile([-0.8476, 0.4238, 0.4238], (4, 1))).reshape(200, -1)
    found = molecular_dipoles(trajectory, charges, waters)
    assert found.few and found.independent < 20
    assert abs(found.mean.value - 2.35) < 2 * found.mean.error
