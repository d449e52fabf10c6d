# SPDX-License-Identifier: MIT
"""Contacts of two-state processes: lifetimes and survival in closed form."""

import numpy as np
import pytest
from analysis_helpers import (
    CUBIC,
    TRICLINIC,
    make_trajectory,
    pairs_that_part,
    two_states,
    uniform_gas,
)

from openmm_allegro.analysis import contacts, survival


def test_two_state_process_has_its_closed_form():
    """Probabilities 0.05 to part and 0.02 to meet in a step of 0.5 ps."""
    rng = np.random.default_rng(71)
    states = two_states(4000, 20, 0.05, 0.02, rng)
    trajectory = pairs_that_part(states, rng, time_step=0.5)
    found = contacts(trajectory, "element Na", "element O", 0.4)
    assert len(found.starts) == np.sum(np.diff(states, axis=0, prepend=0) == 1)
    assert found.n_pairs == 400
    result = survival(found, max_lag=100.0, n_blocks=10)
    steps = np.rint(result.lag_times / 0.5)
    bound = 0.02 / 0.07
    continuous = 0.95**steps
    intermittent = bound + (1 - bound) * 0.93**steps
    for value, error, exact in (
        (result.continuous, result.continuous_error, continuous),
        (result.intermittent, result.intermittent_error, intermittent),
    ):
        assert value[0] == 1
        some = (exact > 0.01) & (steps > 0)
        assert np.abs((value - exact)[some] / error[some]).max() < 4.5
    exact = -0.5 / np.log(0.95)
    assert abs(result.lifetime.value - exact) < 3 * result.lifetime.error
    assert result.lifetime.error < 0.1 * exact
    assert result.n_breaks == np.sum(np.diff(states, axis=0) == -1)
    assert result.random == pytest.approx(states.mean() / 20)

    # Each atom only ever meets its own partner: encounters at random are few, and
    # C(t) falls to `bound` instead. Subtracting that gives the integral.
    pairs = found._replace(n_pairs=20)
    result = survival(pairs, max_lag=100.0)
    exact = 0.5 * (0.5 + np.sum(0.93 ** np.arange(1, 1000)))
    assert abs(result.residence_time.value - exact) < 3 * result.residence_time.error


def test_survival_functions_equal_the_direct_sums():
    rng = np.random.default_rng(72)
    states = two_states(60, 5, 0.2, 0.3, rng)
    trajectory = pairs_that_part(states, rng)
    found = contacts(trajectory, "element Na", "element O", 0.4)
    result = survival(found, max_lag=9.0, n_blocks=4)
    for i, lag in enumerate(result.lag_times.astype(int)):
        origins = states[: 60 - lag]
        held = np.all([states[k : 60 - lag + k] for k in range(lag + 1)], axis=0)
        assert result.continuous[i] == pytest.approx(held.sum() / origins.sum())
        again = np.sum(origins & states[lag:]) / origins.sum()
        assert result.intermittent[i] == pytest.approx(again)


def test_short_absences_and_hysteresis_heal_contacts():
    states = np.array([[1, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1] * 2]).T
    trajectory = pairs_that_part(states, np.random.default_rng(73))
    pair = "element Na", "element O"
    strict = contacts(trajectory, *pair, 0.4)
    np.testing.assert_array_equal(strict.starts, [0, 3, 8, 11, 15, 20, 23])
    np.testing.assert_array_equal(strict.stops, [2, 5, 10, 14, 17, 22, 24])
    patient = contacts(trajectory, *pair, 0.4, tolerance=1.0)
    np.testing.assert_array_equal(patient.starts, [0, 8, 20])
    np.testing.assert_array_equal(patient.stops, [5, 17, 24])
    held = contacts(trajectory, *pair, 0.4, r_out=0.7)
    np.testing.assert_array_equal([held.starts, held.stops], [[0], [24]])
    assert np.isnan(survival(held, max_lag=1.0).lifetime.value)
    with pytest.raises(ValueError, match="--shell, r_in"):
        contacts(trajectory, *pair, 0.4, r_out=0.3)
    with pytest.raises(ValueError, match=r"r_out\) above 0 and up to 3 nm"):
        contacts(trajectory, *pair, 0.4, r_out=3.1)
    with pytest.raises(ValueError, match="at least one contact"):
        survival(contacts(trajectory, *pair, 0.1))
    with pytest.raises(ValueError, match="one pair"):
        contacts(trajectory, [0], [0], 0.3)


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_like_groups_count_each_pair_once(cell):
    gas = uniform_gas(cell, 12, 30, np.random.default_rng(74))
    trajectory = make_trajectory(gas, cell, ["Ar"] * 30)
    found = contacts(trajectory, "all", "all", 0.8)
    assert found.n_pairs == 435
    assert np.all(found.pairs[:, 0] < found.pairs[:, 1])
    in_contact = np.sum(found.stops - found.starts) / (12 * 435)
    expected = 4 / 3 * np.pi * 0.8**3 / abs(np.linalg.det(cell))
    assert in_contact == pytest.approx(expected, rel=0.15)


def test_a_shell_may_fill_the_cell():
    """At exactly half the width, as `rdf` allows it too."""
    gas = uniform_gas(CUBIC, 12, 20, np.random.default_rng(75))
    trajectory = make_trajectory(gas, CUBIC, ["Ar"] * 20)
    found = contacts(trajectory, "all", "all", 1.5)
    apart = gas[:, :, None] - gas[:, None]
    apart -= 3 * np.round(apart / 3)
    near = np.linalg.norm(apart, axis=-1) < 1.5
    assert np.sum(found.stops - found.starts) == np.sum(np.triu(near, 1))


def test_contacts_that_outlast_the_longest_lag_are_told():
    """The integral of 0.98^t up to 20 steps is but a third of the whole."""
    rng = np.random.default_rng(76)
    states = two_states(2000, 20, 0.01, 0.01, rng)
    found = contacts(pairs_that_part(states, rng), "element Na", "element O", 0.4)
    pairs = found._replace(n_pairs=20)
    short = survival(pairs, max_lag=20.0)
    assert short.remaining == pytest.approx(0.98**20, abs=0.1)
    assert short.residence_time.value < 25
    assert abs(survival(pairs, max_lag=190.0).remaining) < 0.1
