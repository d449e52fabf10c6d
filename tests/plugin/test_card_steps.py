# SPDX-License-Identifier: MIT
"""Steps of the native force on a card: those of the processor, whatever is done to it.

Where there is no card, OpenCL on a processor (PoCL) plays one.
"""

import numpy as np
import openmm
import pytest
from helpers import water_model
from mixed_helpers import organic_model, solvated
from native_card_helpers import PRECISIONS, check, counts, on_card, on_processor
from openmm import unit
from openmm_helpers import evaluate, lattice_waters, make_topology

from openmm_allegro import AllegroPotential
from openmm_allegro.simulate.platform import describe_hardware

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("precision", PRECISIONS)
def test_equals_the_processor(name, waters, precision):
    system, positions, _ = waters
    context = on_card(system, name, positions, precision)
    assert describe_hardware(context)["native_force"] == "device"
    alone = context.getState(energy=True).getPotentialEnergy()._value
    found = evaluate(context)
    assert alone == found[0]
    # OpenMM's positions are float in single precision alone
    error = 1e-4 if precision == "single" else 1e-5
    check(found, on_processor(system, positions), error)


def test_the_same_in_another_context_and_after_xml(name, waters):
    """To the last bit."""
    system, positions, _ = waters
    text = openmm.XmlSerializer.serialize(system)
    contexts = [
        on_card(each, name, positions)
        for each in (system, openmm.XmlSerializer.deserialize(text))
    ]
    for _ in range(2):  # in turn
        first, second = map(evaluate, contexts)
        assert first[0] == second[0]
        np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("lean", [0.0, 0.2])
def test_a_box_that_changes(name, waters, lean):
    """As barostats change it: in its volume, its edges, or its angles."""
    system, positions, box = waters
    system = openmm.XmlSerializer.clone(system)
    leaning = box.copy()
    leaning[1, 0] = leaning[2, 0] = leaning[2, 1] = lean
    system.setDefaultPeriodicBoxVectors(*leaning)
    context = on_card(system, name, positions)
    for scale in ([1.02, 1.02, 1.02], [1.0, 1.05, 0.97]):
        other = leaning * np.array(scale)
        moved = positions @ np.linalg.inv(box) @ other
        context.setPeriodicBoxVectors(*other)
        context.setPositions(moved)
        check(evaluate(context), on_processor(system, moved, other))


def test_volume_moves_of_a_barostat(name, waters):
    system, positions, _ = waters
    other = openmm.XmlSerializer.clone(system)
    other.addForce(openmm.MonteCarloBarostat(1.0, 300.0, 1))
    context = on_card(other, name, positions)
    context.setVelocitiesToTemperature(300.0, 1)
    context.getIntegrator().step(8)
    state = context.getState(positions=True, energy=True, forces=True)
    vectors = state.getPeriodicBoxVectors(asNumpy=True)._value
    found = state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value
    at = state.getPositions(asNumpy=True)._value
    check(found, on_processor(system, at, vectors))


def test_a_step_is_six_launches_and_waits_for_nothing(name, waters):
    system, positions, _ = waters
    context = on_card(system, name, positions)
    context.getIntegrator().step(3)
    before = counts(name)
    context.getIntegrator().step(4)
    launches, uploads, downloads, _ = counts(name) - before
    assert launches <= 4 * 6
    assert (uploads, downloads) == (0, 0)


def test_deleted_contexts_leave_no_buffers(name, waters):
    system, positions, _ = waters
    before = counts(name)[3]
    evaluate(on_card(system, name, positions))
    assert counts(name)[3] == before


def test_an_error_is_raised_in_one_of_the_next_steps(name, waters):
    """At once where an energy is asked for; the Context goes on."""
    system, positions, _ = waters
    context = on_card(system, name, positions)
    expected = evaluate(context)
    wrong = positions.copy()
    wrong[4, 1] = np.nan
    message = "expected finite positions, found NaN or infinity"
    context.setPositions(wrong)
    with pytest.raises(openmm.OpenMMException, match=message):
        context.getState(energy=True)
    context.setPositions(wrong)
    with pytest.raises(openmm.OpenMMException, match=message):
        context.getIntegrator().step(4)
    context.setPositions(positions)
    assert evaluate(context)[0] == expected[0]


def test_goes_on_from_a_checkpoint(name, waters):
    system, positions, _ = waters
    context = on_card(system, name, positions)
    context.setVelocitiesToTemperature(300.0, 2)
    context.getIntegrator().step(5)
    checkpoint = context.createCheckpoint()
    ends = []
    for each in (context, on_card(system, name, positions)):
        each.loadCheckpoint(checkpoint)
        each.getIntegrator().step(5)
        state = each.getState(positions=True)
        ends.append(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    np.testing.assert_array_equal(*ends)


def test_the_mean_of_a_committee(name, waters):
    _, positions, box = waters
    symbols, _, _ = lattice_waters()
    potential = AllegroPotential([water_model(seed) for seed in (1, 2)])
    system = potential.create_system(make_topology(symbols, box), backend="native")
    check(evaluate(on_card(system, name, positions)), on_processor(system, positions))


def test_a_two_body_table(name, waters):
    """It is made when the Context is."""
    _, positions, box = waters
    topology = make_topology(lattice_waters()[0], box)
    system = AllegroPotential(water_model()).create_system(
        topology, backend="native", two_body="table"
    )
    check(evaluate(on_card(system, name, positions)), on_processor(system, positions))


def test_atoms_without_a_box(name, waters):
    _, positions, _ = waters
    topology = make_topology(lattice_waters()[0][:27])
    system = AllegroPotential(water_model()).create_system(topology, backend="native")
    few = positions[:27]
    check(evaluate(on_card(system, name, few)), on_processor(system, few))


def test_atoms_that_openmm_reorders(name):
    """It does so every 250 steps; beside them a region with caps, in another order."""
    whole = solvated()
    system = AllegroPotential(organic_model()).create_mixed_system(
        whole.topology,
        whole.system,
        [5, 0, 2, 4, 3, 1],
        link="cap",
        backend="native",
    )
    context = on_card(system, name, whole.positions)
    context.getIntegrator().step(1)
    before = counts(name)
    context.getIntegrator().step(260)
    # the particles, and the ends of caps
    assert (counts(name) - before)[1] == 2
    at = context.getState(positions=True).getPositions(asNumpy=True)._value
    check(evaluate(context), on_processor(system, at), 1e-4)
