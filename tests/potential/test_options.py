# SPDX-License-Identifier: MIT
"""Options of the force are declared once; everything that takes them agrees."""

import dataclasses
import inspect
import re

import pytest

from openmm_allegro import AllegroPotential, forces
from openmm_allegro.potential.module import PRECISIONS, force_module
from openmm_allegro.potential.options import ForceOptions
from openmm_allegro.utils.settings import settings_of

DEFAULTS = dataclasses.asdict(ForceOptions())


@pytest.mark.parametrize(
    ("function", "missing"),
    [
        (AllegroPotential.create_system, set()),
        (AllegroPotential.create_mixed_system, set()),
        (AllegroPotential.add_to_system, set()),
        (force_module, {"backend"}),
    ],
)
def test_arguments(function, missing):
    """Names, defaults and the list of parameters in the docstring."""
    parameters = inspect.signature(function).parameters
    defaults = {n: parameters[n].default for n in DEFAULTS if n in parameters}
    assert defaults == {n: v for n, v in DEFAULTS.items() if n not in missing}
    documented = re.findall(r"^ +([\w, ]+?)(?: : .*)?$", function.__doc__, re.MULTILINE)
    names = {name for line in documented for name in line.split(", ")}
    assert set(parameters) - {"self"} <= names


def test_names_of_choices_are_those_that_are_served():
    meanings = settings_of(ForceOptions)
    assert meanings["precision"].choices == tuple(PRECISIONS)
    assert meanings["backend"].choices == forces.BACKENDS


def test_options_of_openmmml():
    openmmml = pytest.importorskip("openmm_allegro.interop.openmmml")
    assert set(DEFAULTS) < set(openmmml._OPTIONS)


def test_skin_of_none_is_the_default():
    assert ForceOptions().skin is None
    assert ForceOptions(skin=0).skin == 0.0
    with pytest.raises(ValueError, match=r"skin of at least 0 Å, found -1\.0"):
        ForceOptions(skin=-1.0)


def test_meaning_is_in_the_help():
    assert "skin : float | None, Å\n        Reach of the" in ForceOptions.__doc__
