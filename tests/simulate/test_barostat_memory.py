# SPDX-License-Identifier: MIT
"""A barostat in a new Context goes on as the one before, however it was tuned."""

import numpy as np
import openmm
import pytest

from openmm_allegro.simulate import barostat
from openmm_allegro.simulate.barostat import BarostatWatch, barostat_of, recall

FREQUENCY = 3


def fluid(spacing, number=2, pressure=1.0, kelvin=300):
    """A lattice (nm) of number³ particles that repel one another; bar and K."""
    system, side = openmm.System(), number * spacing
    system.setDefaultPeriodicBoxVectors((side, 0, 0), (0, side, 0), (0, 0, side))
    force = openmm.CustomNonbondedForce("5*(0.45/r)^12")
    force.setNonbondedMethod(force.CutoffPeriodic)
    force.setCutoffDistance(0.45)
    for _ in range(number**3):
        system.addParticle(20.0)
        force.addParticle([])
    system.addForce(force)
    system.addForce(openmm.MonteCarloBarostat(pressure, kelvin, FREQUENCY))
    system.getForce(1).setRandomNumberSeed(5)
    integrator = openmm.LangevinMiddleIntegrator(kelvin, 1, 0.001)
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, platform)
    context.setPositions(spacing * np.array(list(np.ndindex(*[number] * 3))))
    return context


def advance(context, watch, attempts):
    """Volumes after each attempt."""
    volumes = []
    for _ in range(attempts):
        context.getIntegrator().step(FREQUENCY)
        watch.look()
        volumes.append(context.getState().getPeriodicBoxVolume()._value)
    return volumes


@pytest.mark.parametrize(
    ("start", "attempts", "direction"),
    [((0.6,), 7, 0), ((0.45, 3, 3e3, 0.01), 130, -1), ((3.0,), 400, 1)],
)
def test_the_same_moves_follow(start, attempts, direction):
    """Whose size shrank in a dense fluid and grew in a gas, up to its bound."""
    first = fluid(*start)
    watch = BarostatWatch(first)
    advance(first, watch, attempts)
    first.getIntegrator().step(2)  # between two attempts
    memory, kept = watch.state_dict(), first.createCheckpoint()
    changes = [-1 if box is None else 1 for box in memory["changes"]]
    assert np.sign(sum(changes)) == direction
    second = fluid(*start)
    recall(second, memory, FREQUENCY * attempts + 2)
    volumes = []
    for context in (first, second):
        context.loadCheckpoint(kept)  # with random numbers, which Contexts share
        watch = BarostatWatch(context, memory)
        context.getIntegrator().step(1)
        watch.look()
        volumes.append(advance(context, watch, 60))
    assert volumes[0] == volumes[1]
    assert len(set(volumes[0])) > 2


def test_nothing_else_changes():
    """Positions, velocities, box, parameters, time and random numbers."""
    states = []
    for memory in (None, {"changes": [None], "attempted": 8, "accepted": 3}):
        context = fluid(0.5)
        context.setVelocitiesToTemperature(300, 1)
        if memory:
            recall(context, memory, 1)
        states.append(context.getState(positions=True, velocities=True))
        assert barostat_of(context).getFrequency() == FREQUENCY
        assert context.getIntegrator().getIntegrationForceGroups() == -1
        assert dict(context.getParameters())["MonteCarloPressure"] == 1.0
        assert context.getTime()._value == 0 and context.getStepCount() == 0
    for get in ("getPositions", "getVelocities", "getPeriodicBoxVectors"):
        one, other = (getattr(state, get)(asNumpy=True)._value for state in states)
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("attempted", "accepted"), [(9, 9), (40, 10), (40, 30), (41, 17), (100_000, 30_000)]
)
def test_attempts_that_are_repeated_change_no_size(attempted, accepted):
    """As many as there were, or in proportion."""
    memory = barostat.Memory([], attempted, accepted)
    outcomes = [outcome for _, outcome in barostat._attempts(memory, 20_000)]
    count = np.arange(1, len(outcomes) + 1)
    parts = np.cumsum(outcomes) / count
    assert sum(outcomes) / len(outcomes) == accepted / attempted
    assert len(outcomes) == min(attempted, 20_000)
    assert ((parts >= 0.25) & (parts <= 0.75))[count >= 10].all()
