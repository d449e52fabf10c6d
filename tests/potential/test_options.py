# SPDX-License-Identifier: MIT
"""Options of the force are declared once; everything that takes them agrees."""

import dataclasses
import inspect
import re

import openmm
import pytest
from openmm_helpers import make_topology

from openmm_allegro import AllegroPotential, forces
from openmm_allegro.classical.fingerprint import fingerprint
from openmm_allegro.potential import force, potential
from openmm_allegro.potential.module import PRECISIONS, force_module
from openmm_allegro.potential.options import ForceOptions
from openmm_allegro.utils.settings import settings_of

DEFAULTS = dataclasses.asdict(ForceOptions())


@pytest.mark.parametrize(
    ("function", "missing", "others"),
    [
        (AllegroPotential.create_system, set(), {}),
        # of the region, by default as the force field has it
        (AllegroPotential.create_mixed_system, set(), {"total_charge": None}),
        (AllegroPotential.add_to_system, set(), {}),
        (force_module, {"backend"}, {}),
    ],
)
def test_arguments(function, missing, others):
    """Names, defaults and the list of parameters in the docstring."""
    parameters = inspect.signature(function).parameters
    defaults = {n: parameters[n].default for n in DEFAULTS if n in parameters}
    expected = {n: v for n, v in DEFAULTS.items() if n not in missing} | others
    assert defaults == expected
    documented = re.findall(r"^ +([\w, ]+?)(?: : .*)?$", function.__doc__, re.MULTILINE)
    names = {name for line in documented for name in line.split(", ")}
    assert set(parameters) - {"self"} <= names


class Arrived(Exception):
    """Ends a method where its options have arrived."""


@pytest.mark.parametrize("method", ["create", "mix", "add"])
@pytest.mark.parametrize("option", DEFAULTS)
def test_each_option_arrives(model, water_box, monkeypatch, method, option):
    """Each value that a user gives reaches the force."""
    choices = settings_of(ForceOptions)[option].choices
    value = next(c for c in choices or [0.25] if c != DEFAULTS[option])
    arrived = {}

    def make_force(models, symbols, options, **_):
        arrived.update(dataclasses.asdict(options))
        raise Arrived

    for module in (potential, force):
        monkeypatch.setattr(module, "model_force", make_force)
    symbols, _, box = water_box
    topology = make_topology(symbols, box)
    mm_system = openmm.System()
    for atom in topology.atoms():
        mm_system.addParticle(atom.element.mass)
    if method == "add":
        provenance = {"baseline": fingerprint(mm_system, symbols)}
        model = dataclasses.replace(model, kind="delta", provenance=provenance)
    allegro = AllegroPotential(model)
    with pytest.raises(Arrived):
        if method == "create":
            allegro.create_system(topology, **{option: value})
        elif method == "mix":
            allegro.create_mixed_system(
                topology, mm_system, [0, 1, 2], **{option: value}
            )
        else:
            allegro.add_to_system(topology, mm_system, **{option: value})
    assert arrived == DEFAULTS | {option: value}


def test_names_of_choices_are_those_that_are_served():
    meanings = settings_of(ForceOptions)
    assert meanings["precision"].choices == tuple(PRECISIONS)
    assert meanings["backend"].choices == ("auto", *forces.BACKENDS, "native")


def test_options_of_openmmml():
    openmmml = pytest.importorskip("openmm_allegro.interop.openmmml")
    assert set(DEFAULTS) < set(openmmml._OPTIONS)


def test_skin_of_none_is_the_default():
    assert ForceOptions().skin is None
    assert ForceOptions(skin=0).skin == 0.0
    with pytest.raises(ValueError, match=r"skin of at least 0 and .*, found -1"):
        ForceOptions(skin=-1.0)


def test_meaning_is_in_the_help():
    assert "skin : float | None, Å\n        Reach of the" in ForceOptions.__doc__
