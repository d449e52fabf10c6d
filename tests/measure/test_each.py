# SPDX-License-Identifier: MIT
"""What becomes of items that cannot be measured."""

import pytest

from openmm_allegro.measure.diffusion import DiffusionSettings
from openmm_allegro.measure.measurement import each
from openmm_allegro.utils.config import SettingError


def longest(_, length):
    if length < 5:
        raise SettingError(f"expected max_lag below {length}, found 5", "max_lag")
    return length


def test_a_setting_that_was_asked_for_is_an_error():
    """Even where the data of another item allows it."""
    runs = {"a": 10, "b": 3}
    with pytest.raises(ValueError, match="b: expected max_lag below 3, found 5"):
        each(runs, longest, DiffusionSettings(max_lag=5.0))
    results, failed = each(runs, longest, DiffusionSettings())
    assert results == {"a": 10} and failed == {"b": "expected max_lag below 3, found 5"}
    results, failed = each(runs, longest, DiffusionSettings(viscosity=1.0))
    assert "b" in failed


def test_without_a_result_the_first_reason_is_the_error():
    with pytest.raises(ValueError, match=r"^expected max_lag below 3"):
        each({"b": 3}, longest, DiffusionSettings(max_lag=5.0))
    with pytest.raises(ValueError, match=r"^expected max_lag below 3"):
        each({"b": 3, "c": 2}, longest, DiffusionSettings())
