# SPDX-License-Identifier: MIT
"""D3 inside OpenMM against the library called by hand, its own gradient, its images."""

import numpy as np
import openmm
import pytest
from conftest import energy_and_forces

from openmm_allegro.classical.dispersion import (
    HARTREE_TO_KJ_PER_MOL,
    NM_TO_BOHR,
    d3_force,
)
from openmm_allegro.classical.fingerprint import fingerprint

interface = pytest.importorskip("dftd3.interface")


def system_of(symbols, box=None, functional="pbe", **options):
    system = openmm.System()
    for _ in symbols:
        system.addParticle(1.0)
    if box is not None:
        system.setDefaultPeriodicBoxVectors(*box)
    periodic = box is not None
    system.addForce(d3_force(symbols, functional, periodic=periodic, **options))
    return system


@pytest.mark.parametrize("three_body", [False, True])
@pytest.mark.parametrize("periodic", [False, True])
def test_equals_the_library(water_box, periodic, three_body):
    symbols, positions, box = water_box
    cutoff = 1.0 if three_body else 3.0  # triples of a large cutoff take seconds
    numbers = np.array([{"O": 8, "H": 1}[s] for s in symbols])
    lattice = box * NM_TO_BOHR if periodic else None
    directions = np.array([periodic] * 3)
    model = interface.DispersionModel(
        numbers, positions * NM_TO_BOHR, lattice, directions
    )
    reach = min(40.0, cutoff * NM_TO_BOHR)
    model.set_realspace_cutoff(cutoff * NM_TO_BOHR, reach, reach, 2.0, 2.0)
    damping = interface.RationalDampingParam(method="pbe", atm=three_body)
    expected = float(model.get_dispersion(damping, grad=False)["energy"])
    system = system_of(
        symbols, box if periodic else None, three_body=three_body, cutoff=cutoff
    )
    energy, _ = energy_and_forces(system, positions)
    # PythonForce hands positions over in single precision
    assert energy == pytest.approx(expected * HARTREE_TO_KJ_PER_MOL, rel=1e-5)
    assert energy < -1.0


def test_forces_are_the_gradient(water_box):
    symbols, positions, box = water_box
    system = system_of(symbols, box, cutoff=1.5)
    _, forces = energy_and_forces(system, positions)
    direction = np.random.default_rng(3).normal(size=positions.shape)
    step = 2e-4
    high, low = (
        energy_and_forces(system, positions + sign * step * direction)[0]
        for sign in (1, -1)
    )
    slope = -(high - low) / (2 * step)
    assert (forces * direction).sum() == pytest.approx(slope, rel=0.01)
    assert abs(forces).max() > 1.0


def test_any_image_is_the_same_and_so_is_a_copy(water_box):
    symbols, positions, box = water_box
    system = system_of(symbols, box, cutoff=1.5)
    energy, forces = energy_and_forces(system, positions)
    shifts = np.random.default_rng(0).integers(-3, 4, positions.shape) @ box
    text = openmm.XmlSerializer.serialize(system)
    again = openmm.XmlSerializer.deserialize(text)
    moved, moved_forces = energy_and_forces(again, positions + shifts)
    assert moved == pytest.approx(energy, rel=1e-5)
    np.testing.assert_allclose(moved_forces, forces, atol=1e-3 * abs(forces).max())


def test_its_settings_are_part_of_the_fingerprint(water_box):
    symbols, _, box = water_box
    prints = [
        fingerprint(system_of(symbols, box, **options), symbols)
        for options in (
            {},
            {},
            {"functional": "revpbe"},
            {"damping": "zero"},
            {"cutoff": 2.0},
            {"three_body": True},
        )
    ]
    assert prints[0] == prints[1]
    assert len({p["hash"] for p in prints}) == 5


@pytest.mark.parametrize(
    ("symbols", "options", "message"),
    [
        (["O", "Am"], {}, "expected elements from H to Pu, found Am"),
        ([], {}, "found no atoms"),
        (["O"], {"functional": "none"}, "expected a functional .* found 'none'"),
        (["O"], {"damping": "tang"}, "expected damping of .*'bj'.*'tang'"),
        (["O"], {"cutoff": 0.0}, "expected a cutoff above 0 nm, found 0.0"),
    ],
)
def test_bad_input(symbols, options, message):
    with pytest.raises(ValueError, match=message):
        system_of(symbols, **options)
