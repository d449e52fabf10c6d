# SPDX-License-Identifier: MIT
"""Contexts of native forces: many, side by side, in threads, made anew."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openmm
import pytest
from openmm_helpers import context_of, evaluate

from openmm_allegro.plugin.engine import Engine


def resident():
    """Memory of the process, bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(system, positions, number, platform="Reference"):
    """Bytes by which the process grows while Contexts are made and deleted."""
    before = resident()
    for _ in range(number):
        evaluate(context_of(system, positions, platform))
    return resident() - before


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="it keeps what is freed")
@pytest.mark.skipif("TSAN_OPTIONS" in os.environ, reason="it keeps what is freed")
def test_deleted_contexts_leave_nothing_behind(waters):
    """A leak shows each time, what else the process does not."""
    system, positions, _ = waters
    assert min(growth(system, positions, 15) for _ in range(4)) < 0.1e6


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_400_deleted_contexts_leave_nothing_behind(platform):
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
import test_contexts as t
system, positions, _ = t.waters.__wrapped__()
t.growth(system, positions, 20, {platform!r})
print(t.growth(system, positions, 400, {platform!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=os.path.dirname(__file__),
    )
    assert int(done.stdout) < 1e6, done.stderr


def steps(system, positions, seed, number=30):
    """Last positions of a short run of one thread, and its Context."""
    integrator = openmm.LangevinMiddleIntegrator(300, 1, 0.0005)
    integrator.setRandomNumberSeed(seed)
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, integrator, platform, {"Threads": "1"})
    context.setPositions(positions)
    context.setVelocitiesToTemperature(300, seed)
    integrator.step(number)
    state = context.getState(positions=True)
    return state.getPositions(asNumpy=True)._value


def test_contexts_in_threads_do_not_meet(waters):
    """Each runs as it does alone, to the last bit."""
    system, positions, _ = waters
    seeds = (1, 2, 3)
    alone = [steps(system, positions, seed) for seed in seeds]
    with ThreadPoolExecutor(len(seeds)) as pool:
        together = list(pool.map(lambda seed: steps(system, positions, seed), seeds))
    np.testing.assert_array_equal(together, alone)


def test_engines_in_threads_do_not_meet(waters):
    """The same force, whose models they share."""
    system, positions, box = waters
    force = system.getForce(0)
    frames = positions + np.random.default_rng(0).normal(
        0, 0.005, (8, *positions.shape)
    )

    def all_forces(threads):
        engine = Engine(force, threads=threads)
        return [engine.run(frame, box)[1] for frame in frames]

    alone = [all_forces(threads) for threads in (1, 2)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(all_forces, (1, 2, 1, 2)))
    np.testing.assert_array_equal(together[:2], alone)
    np.testing.assert_array_equal(together[2:], alone)


def test_contexts_side_by_side(waters):
    """Interleaved, with positions of their own and more than one of a thread."""
    system, positions, _ = waters
    moved = positions + np.random.default_rng(1).normal(0, 0.003, positions.shape)
    expected = [evaluate(context_of(system, each)) for each in (positions, moved)]
    contexts = [context_of(system, each) for each in (positions, moved)]
    for _ in range(3):
        for context, (energy, forces) in zip(contexts, expected, strict=True):
            found = evaluate(context)
            assert found[0] == energy
            np.testing.assert_array_equal(found[1], forces)


@pytest.mark.parametrize("keeps_state", [True, False])
def test_a_context_that_is_made_anew(waters, keeps_state):
    system, positions, _ = waters
    context = context_of(system, positions)
    expected = evaluate(context)
    context.reinitialize(preserveState=keeps_state)
    if not keeps_state:
        context.setPositions(positions)
    again = evaluate(context)
    assert again[0] == expected[0]
    np.testing.assert_array_equal(again[1], expected[1])


def test_force_groups(waters):
    """The model is computed where its group is asked for, and there alone."""
    system, positions, _ = waters
    other = openmm.XmlSerializer.clone(system)
    other.getForce(0).setForceGroup(5)
    bond = openmm.HarmonicBondForce()
    bond.addBond(0, 1, 0.05, 1000.0)
    other.addForce(bond)
    context = context_of(other, positions)
    model, forces = evaluate(context, groups={5})
    assert (model, forces.tolist()) == (
        evaluate(context_of(system, positions))[0],
        evaluate(context_of(system, positions))[1].tolist(),
    )
    rest, _ = evaluate(context, groups={0})
    assert evaluate(context)[0] == pytest.approx(model + rest, rel=1e-12)


def test_multiple_time_steps(waters):
    """RESPA with as many steps of each group is the one of both together."""
    system, positions, _ = waters
    ends = []
    for groups in ([(0, 1)], [(0, 1), (1, 1)], [(0, 1), (1, 4)]):
        other = openmm.XmlSerializer.clone(system)
        rest = openmm.CustomExternalForce("20*x^2")
        for index in range(other.getNumParticles()):
            rest.addParticle(index, [])
        rest.setForceGroup(len(groups) - 1)
        other.addForce(rest)
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(other, openmm.MTSIntegrator(0.0005, groups), platform)
        context.setPositions(positions)
        context.getIntegrator().step(10)
        state = context.getState(positions=True)
        ends.append(state.getPositions(asNumpy=True)._value)
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-9)
    np.testing.assert_allclose(ends[2], ends[0], atol=1e-4)
