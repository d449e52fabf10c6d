# SPDX-License-Identifier: MIT
"""One declaration of a setting: its check, its option, its row in the manual."""

import argparse
import dataclasses
import doctest

import numpy as np
import pytest

from openmm_allegro.utils import settings
from openmm_allegro.utils.config import from_mapping
from openmm_allegro.utils.settings import (
    add_options,
    argument_names,
    check_settings,
    documented,
    given_options,
    option_of,
    setting,
    setting_of,
    settings_of,
    settings_table,
)


@dataclasses.dataclass(frozen=True)
class Times:
    """Settings of which one has no default."""

    times: tuple[float, ...] = setting(about="Times", unit="ps")


@dataclasses.dataclass(frozen=True)
class Bath:
    """A thermostat of no simulation."""

    kind: str = setting("langevin", about="Thermostat", choices=("langevin", "none"))
    temperature_k: tuple[float, ...] = setting(
        (300.0,), about="Temperature", unit="K", minimum=0, option="temperature"
    )
    friction: float | None = setting(None, about="Rate", unit="1/ps", above=0, below=9)
    steps: int = setting(5, about="Steps", minimum=1, maximum=10)
    minimize: bool = setting(True, about="Minimise first")
    note: str = "not a setting"

    def __post_init__(self):
        check_settings(self, "bath")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "x"}, r"bath: expected kind of \('langevin', 'none'\), found 'x'"),
        ({"temperature_k": (300, -1)}, "temperature_k of at least 0, found -1"),
        ({"temperature_k": 300}, "temperature_k: expected a list, found 300"),
        ({"friction": 0}, "expected friction above 0 and below 9 1/ps, found 0"),
        ({"friction": 9}, "expected friction above 0 and below 9 1/ps, found 9"),
        ({"friction": True}, "bath: expected a number for friction, found True"),
        (
            {"friction": float("nan")},
            "finite friction above 0 and below 9 1/ps, found nan",
        ),
        ({"temperature_k": [300, float("inf")]}, "finite temperature_k of at least 0"),
        ({"steps": 11}, "steps of at least 1 and at most 10, found 11"),
        ({"steps": 1.5}, "bath: expected an integer for steps, found 1.5"),
    ],
)
def test_out_of_bounds(values, message):
    with pytest.raises(ValueError, match=message):
        Bath(**values)


def test_none_is_allowed_where_declared():
    assert Bath(friction=None).friction is None
    with pytest.raises(
        ValueError, match="bath: expected an integer for steps, found None"
    ):
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


def test_fields_without_a_default_are_required_where_that_is_asked_for():
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, Times, require=True)
    assert parser.parse_args(["--times", "1"]).times == (1.0,)
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parser.parse_args([])
    parser = argparse.ArgumentParser()
    add_options(parser, Times)
    assert "times" not in parser.parse_args([])


def test_help_and_manual_say_the_same():
    parser = argparse.ArgumentParser()
    add_options(parser, Bath, ["steps", "temperature_k"])
    text = " ".join(parser.format_help().split())
    assert " temperature, K (default 300)" in text and "--kind" not in text
    add_options(parser, Bath, ["minimize"])
    assert "--no-minimize do not minimise first" in " ".join(
        parser.format_help().split()
    )
    table = settings_table(Bath)
    assert "| `temperature_k` | 300 | K | at least 0 | Temperature |" in table
    assert "| `friction` |  | 1/ps | above 0 and below 9 | Rate |" in table
    assert "not a setting" not in table
    assert settings_of(Bath)["steps"].maximum == 10


@documented
@dataclasses.dataclass(frozen=True)
class Ice:
    """A thermostat that cools.

    Raises
    ------
    ValueError
        If it is warm.
    """

    temperature_k: tuple[float, ...] = setting_of(
        Bath, "temperature_k", default=(200.0,), maximum=273.0
    )
    kinds: dict[str, float] = setting({}, about="Amounts")


def test_a_field_as_elsewhere_with_changes():
    assert Ice().temperature_k == (200.0,) and Ice().kinds == {}
    with pytest.raises(
        ValueError, match=r"^expected temperature_k of at least 0 and at"
    ):
        check_settings(Ice(temperature_k=(300.0,)))
    assert option_of(Ice, "temperature_k") == "--temperature"
    assert argument_names(Ice) == {"temperature": "temperature_k", "kinds": "kinds"}


def test_fields_are_in_the_docstring():
    assert Ice.__doc__.splitlines()[2:9] == [
        "    Parameters",
        "    ----------",
        "    temperature_k : tuple[float, ...], K",
        "        Temperature (default 200).",
        "    kinds : dict[str, float]",
        "        Amounts.",
        "",
    ]


def test_numbers_of_numpy():
    assert Bath(steps=np.int64(3), friction=np.float32(0.5)).friction == 0.5
    assert type(Bath(steps=np.int64(3)).steps) is int


@dataclasses.dataclass(frozen=True)
class Count:
    """A count of a program that has 31 bits for it."""

    seed: int = setting(0, about="Seed", minimum=0)


def test_integers_of_31_bits():
    check_settings(Count(2**31))
    check_settings(Count(2**31 - 1), bits=31)
    with pytest.raises(ValueError, match=r"seed of at least 0 and below 2\^31, found"):
        check_settings(Count(2**31), bits=31)


def test_example():
    assert doctest.testmod(settings).failed == 0
