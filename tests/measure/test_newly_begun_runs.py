# SPDX-License-Identifier: MIT
"""Numbers of runs that have hardly begun: errors, and warnings that name the cause."""

import numpy as np
import pytest

from openmm_allegro.measure.kinetic import Kinetic, compare_temperatures
from openmm_allegro.measure.measurement import Measurement, amount

pytestmark = pytest.mark.small


def test_an_integral_that_ends_where_its_function_crosses_zero_has_not_ended():
    """C = exp(-t) cos(a t), whose negative part beyond the last lag is missing."""
    from openmm_allegro.analysis.dynamics.correlation import green_kubo

    rate, step = 1.57, 0.025
    truth = 1 / (1 + rate**2)
    noise = np.random.default_rng(1).normal(1, 0.03, (10, 1))
    for longest, finished in ((1.0, False), (8.0, True)):
        time = np.arange(0, longest + step / 2, step)
        sums = noise * np.exp(-time) * np.cos(rate * time)
        result = green_kubo(sums, np.ones_like(sums), step, factor=1.0)
        value, error = result.coefficient
        assert result.finished == finished
        assert abs(value - truth) < (1.5 if finished else 1.0) * error
        assert (error > 0.2 * value) != finished


def test_the_error_of_a_temperature_is_within_its_spread_in_time():
    """Rapid noise of 23 K upon a rise by 42 K, as of 64 waters that are warmed."""
    from openmm_allegro.analysis.statistics import slow_mean

    random = np.random.default_rng(2)
    series = np.linspace(282, 324, 418) + np.repeat(random.normal(0, 20, 209), 2)
    mean, error = slow_mean(series)
    assert mean == pytest.approx(303, abs=3)
    assert 5 < error < series.std()


def test_elements_of_one_run_are_compared():
    random = np.random.default_rng(3)

    def compare(oxygen, *warnings):
        known = {
            name: Kinetic("a", atoms, random.normal(kelvin, 20, 400))
            for name, atoms, kelvin in (
                ("O", [0, 3], oxygen),
                ("H", [1, 2, 4, 5], 303.0),
                ("water", [0, 1, 2], 400.0),  # of the same atoms, and so not compared
            )
        }
        measured = Measurement([], {}, {}, {}, print, warnings=list(warnings))
        return compare_temperatures(measured, known).warnings

    (said,) = compare(330.0)
    assert said.startswith("O: the kinetic temperature") and "above that of H" in said
    assert compare(303.0) == []
    told = "O: the kinetic temperature is another than that of all atoms"
    assert compare(330.0, told) == [told]


def test_numbers_of_things_have_no_exponent():
    assert amount(100893, None) == "100,893"
    assert amount(np.int64(7), None) == "7"
