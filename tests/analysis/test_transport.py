# SPDX-License-Identifier: MIT
"""Unwrapping, displacements and diffusion: random walks of known coefficient."""

import numpy as np
import pytest
from analysis_helpers import (
    CUBIC,
    ORTHORHOMBIC,
    TRICLINIC,
    make_trajectory,
    random_walk,
    uniform_gas,
    wrap,
)

from openmm_allegro.analysis import diffusion, mean_square_displacement, unwrap
from openmm_allegro.analysis.dynamics.linear import linear_start


@pytest.mark.parametrize("cell", [ORTHORHOMBIC, TRICLINIC], ids=["ortho", "triclinic"])
def test_unwrap_recovers_a_wrapped_walk(cell):
    rng = np.random.default_rng(9)
    walk = random_walk(400, 30, 0.02, rng)
    walk += uniform_gas(cell, 1, 30, rng) - walk[0]
    assert np.abs((walk - walk[0]) @ np.linalg.inv(cell)).max() > 2
    wrapped = make_trajectory(wrap(walk, cell), cell, ["Ar"] * 30)
    # Each crossing adds the float32 rounding of the cell and of the coordinates.
    np.testing.assert_allclose(unwrap(wrapped), walk, atol=2e-5)
    already = make_trajectory(walk, cell, ["Ar"] * 30)
    np.testing.assert_allclose(unwrap(already), walk, atol=2e-5)


@pytest.mark.parametrize("cell", [ORTHORHOMBIC, TRICLINIC], ids=["ortho", "triclinic"])
def test_unwrap_keeps_cartesian_steps_in_a_changing_cell(cell):
    """The toroidal scheme's defining property, which fractional steps do not have."""
    rng = np.random.default_rng(10)
    n_frames = 300
    cells = cell * rng.normal(1, 0.01, (n_frames, 1, 1))
    steps = np.diff(random_walk(n_frames, 20, 0.005, rng), axis=0)
    wrapped = [wrap(uniform_gas(cells[:1], 1, 20, rng)[0], cells[0])]
    for step, current in zip(steps, cells[1:], strict=True):
        wrapped.append(wrap(wrapped[-1] + step, current))
    trajectory = make_trajectory(wrapped, cells, ["Ar"] * 20)
    found = unwrap(trajectory)
    np.testing.assert_allclose(found[0], wrapped[0], atol=1e-6)
    np.testing.assert_allclose(np.diff(found, axis=0), steps, atol=5e-6)


def test_msd_of_uniform_motion_and_of_a_double_loop():
    velocity = np.array([0.3, -0.2, 0.1])
    path = np.arange(50)[:, None, None] * velocity + 7.0
    lags, msd = mean_square_displacement(path)
    np.testing.assert_allclose(msd, lags**2 * np.sum(velocity**2), atol=1e-10)

    walk = random_walk(40, 3, 0.1, np.random.default_rng(11)) + 100.0
    lags, msd = mean_square_displacement(walk, max_lag=30)
    direct = [np.mean(np.sum((walk[m:] - walk[: 40 - m]) ** 2, -1)) for m in lags]
    np.testing.assert_allclose(msd, direct, atol=1e-10)
    with pytest.raises(ValueError, match="max_lag"):
        mean_square_displacement(walk, max_lag=40)
    with pytest.raises(ValueError, match="shape"):
        mean_square_displacement(walk[0])


def test_msd_of_a_random_walk_grows_as_six_d_t():
    coefficient, n_frames, n_atoms = 0.01, 500, 200
    walk = random_walk(n_frames, n_atoms, coefficient, np.random.default_rng(12))
    lags, msd = mean_square_displacement(walk, max_lag=20)
    # Relative variance 2/3 per independent displacement of a three-dimensional walk.
    independent = n_atoms * (n_frames - 1) / lags[1:]
    sigma = np.sqrt(2 / 3 / independent)
    assert np.all(np.abs(msd[1:] / (6 * coefficient * lags[1:]) - 1) < 4 * sigma)


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_diffusion_of_a_random_walk(cell):
    """D = 2e-3 nm²/ps = 2e-5 cm²/s within three of the errors reported."""
    n_frames, time_step = 400, 0.5
    walk = random_walk(n_frames, 100, 2e-3 * time_step, np.random.default_rng(13))
    trajectory = make_trajectory(
        wrap(walk, cell), cell, ["Li"] * 100, time_step=time_step
    )
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    result = diffusion(trajectory, "element Li", remove_drift=False)
    after = np.random.get_state()[1]  # noqa: NPY002
    np.testing.assert_array_equal(after, state)

    assert abs(result.coefficient - 2e-5) < 3 * result.error
    # From single steps alone it would be sqrt(2 / (3 * 400 * 100)), 0.004.
    assert 0.004 < result.error / result.coefficient < 0.03
    assert abs(result.intercept) < 0.05
    _, msd = mean_square_displacement(walk)
    index = np.rint(result.lag_times / time_step).astype(int)
    np.testing.assert_allclose(result.msd, msd[index], rtol=1e-4)
    assert np.all(np.diff(result.msd_error) > 0)

    again = diffusion(trajectory, "element Li", remove_drift=False, time_step=time_step)
    assert (again.coefficient, again.error) == (result.coefficient, result.error)
    # Twice the time between frames is half the diffusion coefficient.
    slow = diffusion(trajectory, "all", remove_drift=False, time_step=2 * time_step)
    assert slow.coefficient == pytest.approx(result.coefficient / 2, rel=0.01)


def test_reported_error_is_the_scatter_of_repeats():
    """Over eight walks the mean square of (D - true) / error is that of chi squared."""
    z = []
    for seed in range(8):
        walk = random_walk(200, 50, 1e-3, np.random.default_rng(100 + seed))
        trajectory = make_trajectory(wrap(walk, CUBIC), CUBIC, ["Li"] * 50)
        result = diffusion(trajectory, "all", remove_drift=False)
        z.append((result.coefficient - 1e-5) / result.error)
    # 99.8 % interval of the mean of 8 squared standard normal numbers.
    assert 0.10 < np.mean(np.square(z)) < 3.3


def test_the_error_holds_for_atoms_that_hop_rarely():
    """The error of Brownian motion would be three times too small, and z² ten."""
    z, exact = [], 0.02 * 0.35**2 / 6 * 1e-2
    for seed in range(12):
        rng = np.random.default_rng(200 + seed)
        arms = rng.normal(size=(300, 24, 3))
        arms *= 0.35 / np.linalg.norm(arms, axis=-1, keepdims=True)
        walk = np.cumsum(arms * (rng.random((300, 24, 1)) < 0.02), axis=0)
        walk += 0.05 * rng.normal(size=walk.shape)
        trajectory = make_trajectory(walk, 30 * np.eye(3), ["Li"] * 24)
        result = diffusion(trajectory, "all", remove_drift=False)
        z.append((result.coefficient - exact) / result.error)
    # 99.8 % interval of the mean of 12 squared standard normal numbers.
    assert 0.18 < np.mean(np.square(z)) < 2.75


def test_blocks_of_origins_reach_the_longest_lag():
    """With few origins of the longest lag, blocks are cut from those."""
    walk = random_walk(60, 8, 1e-3, np.random.default_rng(17))
    trajectory = make_trajectory(wrap(walk, CUBIC), CUBIC, ["Li"] * 8)
    result = diffusion(trajectory, "all", max_lag=57.0, n_blocks=5)
    assert np.isfinite(result.msd_error).all()
    assert np.isfinite(result.error)
    with pytest.raises(
        ValueError, match=r"at least 62 frames .* found 60; .* fewer --blocks"
    ):
        diffusion(trajectory, "all", n_blocks=31)


def test_drift_of_the_centre_of_mass_is_removed():
    rng = np.random.default_rng(14)
    elements = ["Li"] * 20 + ["Cl"] * 20
    walk = random_walk(200, 40, 1e-3, rng)
    masses = np.array([6.941] * 20 + [35.453] * 20)
    walk -= np.average(walk, axis=1, weights=masses)[:, None]
    drift = np.arange(200)[:, None, None] * np.array([0.02, -0.01, 0.03])

    def found(paths, **options):
        wrapped = make_trajectory(wrap(paths, CUBIC), CUBIC, elements)
        return diffusion(wrapped, "element Li", **options)

    still = found(walk, remove_drift=False)
    removed = found(walk + drift)
    left = found(walk + drift, remove_drift=False)
    np.testing.assert_allclose(removed.msd, still.msd, rtol=1e-3)
    assert removed.coefficient == pytest.approx(still.coefficient, rel=0.01)
    # What was left in adds (v t)² to the mean square displacement.
    extra = left.msd - still.msd
    expected = 0.0014 * left.lag_times**2
    assert np.polyfit(expected, extra, 1)[0] == pytest.approx(1, abs=0.1)


def test_bad_frames_are_errors():
    walk = random_walk(40, 5, 1e-3, np.random.default_rng(15))
    trajectory = make_trajectory(wrap(walk, CUBIC), CUBIC, ["Li"] * 5)
    with pytest.raises(ValueError, match="at least 20 frames, found 10"):
        diffusion(trajectory[:10], "all")
    with pytest.raises(ValueError, match="max_lag"):
        diffusion(trajectory, "all", max_lag=100.0)
    with pytest.raises(ValueError, match="3 lag times"):
        diffusion(trajectory, "all", fit_start=19.0)
    with pytest.raises(ValueError, match="time step"):
        diffusion(trajectory, "all", time_step=0.0)
    frozen = make_trajectory([walk[0]] * 40, CUBIC, ["Li"] * 5)
    with pytest.raises(ValueError, match="move independently"):
        diffusion(frozen, "all")
    uneven = trajectory[:]
    uneven.time = np.delete(np.arange(41.0), 20)
    with pytest.raises(ValueError, match="intervals from 1 to 2 ps"):
        diffusion(uneven, "all")
    # Given a time step, the times of the file do not matter.
    assert diffusion(uneven, "all", time_step=1.0).coefficient > 0


def test_times_late_in_a_run_are_uniform_despite_float32():
    walk = random_walk(60, 5, 1e-3, np.random.default_rng(16))
    trajectory = make_trajectory(wrap(walk, CUBIC), CUBIC, ["Li"] * 5)
    late = 1e5 + 0.1 * np.arange(60)
    trajectory.time = late.astype(np.float32)
    result = diffusion(trajectory, "all")
    assert result.lag_times[0] == pytest.approx(0.1, rel=0.01)


def test_a_walk_of_one_atom_is_diffusive_at_once():
    """Slopes of few displacements scatter widely, and low ones must not seem certain.

    Beyond 4 errors is one in 16,000; some ten later starts are looked at in each.
    """
    rng, lags, late = np.random.default_rng(29), np.arange(1, 21), 0
    for _ in range(150):
        _, msd = mean_square_displacement(random_walk(100, 1, 1e-3, rng), max_lag=20)
        late += linear_start(lags, msd[1:], 100, 1) > 0
    assert late <= 1
