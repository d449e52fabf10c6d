# SPDX-License-Identifier: MIT
"""The native force with electrostatic embedding: limits, copies, threads, restarts."""

import copy

import numpy as np
import openmm
import pytest
from embedded_helpers import (
    REGION,
    box_of_waters,
    charged,
    mixed,
    nonbonded,
    set_charge,
)
from openmm_helpers import (
    check_damage_is_refused,
    context_of,
    energy_and_forces,
    evaluate,
)

from openmm_allegro.plugin.engine import Engine, is_native
from openmm_allegro.plugin.library import obstacle_of_last_context

BOX = np.diag([0.93] * 3)


def native(system):
    (force,) = filter(is_native, system.getForces())
    return force


@pytest.fixture(scope="module")
def learned():
    return charged("learned")


@pytest.fixture(scope="module")
def given(water_box):
    return box_of_waters(water_box)


@pytest.fixture(scope="module")
def system(learned, given):
    return mixed(learned, given)


def test_without_charges_around_it_is_mechanical_embedding(water_box, learned):
    """Bit for bit: where no images are, charges of the region meet each other alone."""
    given = box_of_waters(water_box, periodic=False)
    for index in range(81):
        set_charge(nonbonded(given[2]), index, 0.0)
    for total in (0.0, 1.0):
        ends = [
            energy_and_forces(
                mixed(learned, given, embedding=embedding, total_charge=total), given[1]
            )
            for embedding in ("mechanical", "electrostatic")
        ]
        assert ends[0][0] == ends[1][0]
        assert np.array_equal(ends[0][1], ends[1][1])


def test_without_charges_of_the_model_the_region_has_none(water_box, given):
    """As if the force field had none there: mechanical embedding of a local model."""
    neutral = charged("constant", start={"H": 0.0, "O": 0.0})
    energy, forces = energy_and_forces(mixed(neutral, given, total_charge=0), given[1])
    other = box_of_waters(water_box)
    for index in REGION:
        set_charge(nonbonded(other[2]), index, 0.0)
    expected = energy_and_forces(
        mixed(neutral, other, embedding="mechanical"), other[1]
    )
    assert energy == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(forces, expected[1], rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize(("charge", "is_other"), [(0.0, False), (1.0, True)])
def test_another_charge_than_the_force_field_s_is_said(given, caplog, charge, is_other):
    """Whether it was meant so or not: with it the whole box has another charge."""
    mixed(charged("constant"), given, total_charge=charge)
    words = [m for m in caplog.messages if "whole System is another" in m]
    assert len(words) == is_other
    assert all("+1 e by the model" in m for m in words)


def test_copies_and_xml(system, given):
    text = openmm.XmlSerializer.serialize(native(system))
    assert 'type="AllegroForce" version="3"' in text
    expected = energy_and_forces(system, given[1])
    for other in (copy.deepcopy(system), openmm.XmlSerializer.clone(system)):
        assert openmm.XmlSerializer.serialize(native(other)) == text
        energy, forces = energy_and_forces(other, given[1])
        assert energy == expected[0]
        assert np.array_equal(forces, expected[1])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('reach="', 'reach="-', "a reach of points"),
        ('points="', 'points="AAAA', "base64|whole numbers"),
        ('points="', 'points="AAAAAAAAAAA', "base64|points outside of the region"),
        ('images="0', 'images="1', "all images of a region among points"),
        ('version="3', 'version="4', "XML of version 1 to 3"),
    ],
)
def test_damaged_xml_is_refused(system, before, after, message):
    check_damage_is_refused(native(system), before, after, message)


def test_points_that_a_system_lacks_are_refused(system):
    smaller = openmm.System()
    for _ in range(50):  # the region is there, but not all points are
        smaller.addParticle(1.0)
    smaller.addForce(openmm.XmlSerializer.clone(native(system)))
    with pytest.raises(openmm.OpenMMException, match="which has 50, found 50"):
        context_of(smaller, np.zeros((50, 3)))


def test_threads(system, given):
    """The same bits from call to call, and the same numbers to rounding."""
    expected = Engine(native(system), 1).run(given[1], BOX)
    for threads in (2, 3):
        once, again = (
            Engine(native(system), threads).run(given[1], BOX) for _ in range(2)
        )
        for value, same, other in zip(once, again, expected, strict=True):
            assert np.array_equal(value, same)
            np.testing.assert_allclose(value, other, atol=1e-10)


def test_positions_in_any_box_and_energy_alone(system, given):
    """Whole molecules may be boxes away; forces do not change energies."""
    energy, forces = energy_and_forces(system, given[1])
    images = np.random.default_rng(0).integers(-60, 61, size=(27, 3)).repeat(3, axis=0)
    context = context_of(system, given[1] + images @ BOX)
    alone = context.getState(energy=True).getPotentialEnergy()
    found = evaluate(context)
    assert alone._value == found[0] == pytest.approx(energy, rel=1e-9)
    np.testing.assert_allclose(found[1], forces, rtol=1e-6, atol=1e-3)


def test_restart_is_exact_to_the_last_bit(system, given):
    first = context_of(system, given[1], timestep=0.0002)
    first.getIntegrator().step(3)
    checkpoint = first.createCheckpoint()
    first.getIntegrator().step(5)
    second = context_of(system, given[1], timestep=0.0002)
    second.loadCheckpoint(checkpoint)
    second.getIntegrator().step(5)
    ends = [
        one.getState(positions=True).getPositions(asNumpy=True)._value
        for one in (first, second)
    ]
    assert np.array_equal(*ends)


def test_constant_energy(given):
    """The total energy stays, while the potential one goes up and down."""
    system = mixed(charged("constant"), given)
    context = context_of(system, given[1], "CPU", timestep=0.0001)
    context.setVelocitiesToTemperature(300.0, 1)
    totals, potentials = [], []
    for _ in range(12):
        context.getIntegrator().step(5)
        state = context.getState(energy=True)
        potential = state.getPotentialEnergy()
        potentials.append(potential._value)
        totals.append((potential + state.getKineticEnergy())._value)
    assert np.ptp(totals) < 0.02 * np.ptp(potentials)


def test_cards_leave_it_to_the_processor(system, given, monkeypatch):
    context_of(system, given[1])
    assert "charges are among those of a force field" in obstacle_of_last_context()
    monkeypatch.setenv("OPENMM_ALLEGRO_CARD", "always")
    with pytest.raises(openmm.OpenMMException, match="charges are among those"):
        context_of(system, given[1])
