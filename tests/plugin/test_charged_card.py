# SPDX-License-Identifier: MIT
"""Models with charges on a card: steps of the native force are the processor's."""

import functools

import numpy as np
import openmm
import pytest
from charged_helpers import charged_water
from helpers import water_model
from native_card_helpers import PRECISIONS, check, counts, on_card, on_processor
from openmm_helpers import evaluate, lattice_waters, make_topology

from openmm_allegro import AllegroPotential
from openmm_allegro.mixing.link_atoms import Cap
from openmm_allegro.potential.force import model_force
from openmm_allegro.potential.options import ForceOptions

pytestmark = pytest.mark.slow

SYMBOLS, POSITIONS, BOX = lattice_waters()
TOTAL = -1.0  # e


@functools.cache
def model(charges):
    return charged_water(charges)


def system_of(models, box=BOX, **options):
    return AllegroPotential(models).create_system(
        make_topology(SYMBOLS, box), backend="native", total_charge=TOTAL, **options
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("charges", ["learned", "constant"])
def test_equals_the_processor(name, charges, precision):
    """Energy alone, for which one pass is enough, is that with forces."""
    system = system_of(model(charges))
    context = on_card(system, name, POSITIONS, precision)
    alone = context.getState(energy=True).getPotentialEnergy()._value
    found = evaluate(context)
    assert alone == found[0]
    error = 1e-4 if precision == "single" else 1e-5
    check(found, on_processor(system, POSITIONS), error)
    again = evaluate(on_card(system, name, POSITIONS, precision))
    assert again[0] == found[0]
    np.testing.assert_array_equal(again[1], found[1])


@pytest.mark.parametrize("lean", [0.0, 0.2])
def test_a_box_that_changes(name, lean):
    """Its mesh too; from volume moves of a barostat as well."""
    leaning = BOX.copy()
    leaning[1, 0] = leaning[2, 0] = leaning[2, 1] = lean
    system = system_of(model("learned"), leaning)
    system.addForce(openmm.MonteCarloBarostat(1.0, 300.0, 1))
    context = on_card(system, name, POSITIONS @ np.linalg.inv(BOX) @ leaning)
    for scale in ([1.02, 1.02, 1.02], [1.0, 1.5, 0.97]):
        other = leaning * np.array(scale)
        moved = POSITIONS @ np.linalg.inv(BOX) @ other
        context.setPeriodicBoxVectors(*other)
        context.setPositions(moved)
        check(evaluate(context), on_processor(system, moved, other))
    context.setVelocitiesToTemperature(300.0, 1)
    context.getIntegrator().step(8)
    state = context.getState(positions=True, energy=True, forces=True)
    vectors = state.getPeriodicBoxVectors(asNumpy=True)._value
    found = state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value
    at = state.getPositions(asNumpy=True)._value
    check(found, on_processor(system, at, vectors))


def test_launches_of_a_step(name):
    """It waits for nothing, and its tables are kept."""
    for charges, most in (("learned", 17), ("constant", 14)):
        context = on_card(system_of(model(charges)), name, POSITIONS)
        context.getIntegrator().step(3)
        before = counts(name)
        context.getIntegrator().step(4)
        launches, uploads, downloads, _ = counts(name) - before
        assert launches <= 4 * most
        assert (uploads, downloads) == (0, 0)


def test_a_committee_and_a_table(name):
    """Members have charges of their own."""
    system = system_of([model("learned"), model("constant"), charged_water(seed=6)])
    check(evaluate(on_card(system, name, POSITIONS)), on_processor(system, POSITIONS))
    system = system_of(model("learned"), two_body="table")
    check(evaluate(on_card(system, name, POSITIONS)), on_processor(system, POSITIONS))


def test_atoms_without_a_box(name):
    system = system_of(model("learned"), None)
    check(evaluate(on_card(system, name, POSITIONS)), on_processor(system, POSITIONS))


@pytest.mark.parametrize("images", ["all", "nearest", "none"])
def test_a_region_with_caps(name, images):
    """Of a part of the atoms; those that have no images stay together."""
    atoms, count = [0, 1, 9, 10, 11], len(SYMBOLS)
    positions = POSITIONS.copy()
    positions[9:12] += BOX[0]
    force = model_force(
        [model("learned")],
        [*(SYMBOLS[i] for i in atoms), "H"],
        ForceOptions(backend="native", total_charge=TOTAL),
        atoms=[*atoms, count],
        caps=[Cap(0, 2, 0.8)],
        periodic=True,
        images=images,
    )
    system = AllegroPotential(water_model()).create_system(
        make_topology(SYMBOLS, BOX), backend="native"
    )
    system.removeForce(0)
    system.addForce(force)
    context = on_card(system, name, positions)
    check(evaluate(context), on_processor(system, positions))
    context.getIntegrator().step(3)
    at = context.getState(positions=True).getPositions(asNumpy=True)._value
    check(evaluate(context), on_processor(system, at))


def test_a_mesh_that_is_too_large_is_refused(name):
    context = on_card(system_of(model("constant")), name, POSITIONS)
    long = BOX * [[1.0], [1.0], [2000.0]]
    context.setPeriodicBoxVectors(*long)
    context.setPositions(POSITIONS)
    with pytest.raises(openmm.OpenMMException, match=r"at most 1024 points of a mesh"):
        context.getState(energy=True)
