# SPDX-License-Identifier: MIT
"""One declaration of a setting: its check, its option, its row in the manual."""

import argparse
import dataclasses
import doctest

import pytest

from openmm_allegro.utils import settings
from openmm_allegro.utils.config import from_mapping
from openmm_allegro.utils.settings import (
    add_options,
    check_settings,
    given_options,
    meaning_of,
    setting,
    settings_table,
)


@dataclasses.dataclass(frozen=True)
class Bath:
    """A thermostat of no simulation."""

    kind: str = setting("langevin", about="Thermostat", choices=("langevin", "none"))
    temperature_k: tuple[float, ...] = setting(
        (300.0,), about="Temperature", unit="K", minimum=0, option="temperature"
    )
    friction: float | None = setting(None, about="Rate", unit="1/ps", above=0, below=9)
    steps: int = setting(5, about="Steps", minimum=1, maximum=10)
    minimize: bool = setting(True, about="Leave the minimisation out")
    note: str = "not a setting"

    def __post_init__(self):
        check_settings(self, "bath")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "x"}, r"bath: expected kind of \('langevin', 'none'\), found 'x'"),
        ({"temperature_k": (300, -1)}, "temperature_k of at least 0, found -1"),
        ({"temperature_k": 300}, "temperature_k: expected a list, found 300"),
        ({"friction": 0}, "expected friction above 0, found 0"),
        ({"friction": 9}, "expected friction below 9, found 9"),
        ({"friction": True}, "friction: expected float, found True"),
        ({"steps": 11}, "steps of at least 1 and at most 10, found 11"),
        ({"steps": 1.5}, "steps: expected int, found 1.5"),
    ],
)
def test_out_of_bounds(values, message):
    with pytest.raises(ValueError, match=message):
        Bath(**values)


def test_none_is_allowed_where_declared():
    assert Bath(friction=None).friction is None
    with pytest.raises(ValueError, match="steps: expected int, found None"):
        Bath(steps=None)


def parsed(*arguments):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, Bath)
    return given_options(parser.parse_args(arguments), Bath)


def test_options_become_fields():
    assert parsed() == {}
    given = parsed("--temperature", "300,3000", "--friction", "2", "--no-minimize")
    assert given == {
        "temperature_k": (300.0, 3000.0),
        "friction": 2.0,
        "minimize": False,
    }
    assert Bath(**given) == from_mapping(Bath, given, "bath")
    with pytest.raises(argparse.ArgumentError, match="found '3,x'"):
        parsed("--temperature", "3,x")
    with pytest.raises(argparse.ArgumentError, match="invalid choice: 'y'"):
        parsed("--kind", "y")


def test_help_and_manual_say_the_same():
    parser = argparse.ArgumentParser()
    add_options(parser, Bath, ["steps", "temperature_k"])
    text = " ".join(parser.format_help().split())
    assert "Temperature, K (default 300)" in text and "--kind" not in text
    table = settings_table(Bath)
    assert "| `temperature_k` | 300 | K | at least 0 | Temperature |" in table
    assert "| `friction` |  | 1/ps | above 0 and below 9 | Rate |" in table
    assert "not a setting" not in table
    assert meaning_of(Bath, "steps").maximum == 10


def test_example():
    assert doctest.testmod(settings).failed == 0
