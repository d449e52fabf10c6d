# SPDX-License-Identifier: MIT
"""Watchdogs bark exactly when a limit is crossed, and do what they were asked to."""

import json
import logging
import math

import ase.io
import numpy as np
import openmm
import pytest
import torch
from helpers import sibling
from mixed_helpers import ACETYL, cluster, organic_model, solvated
from openmm_helpers import make_topology
from watchdog_helpers import approaching, events, particles, simulate, state_of

from openmm_allegro import AllegroPotential, read_structures
from openmm_allegro.potential.committee_module import committee_module
from openmm_allegro.simulate.watchdogs.watchdog import (
    StopSimulation,
    Watchdog,
    Watchdogs,
)
from openmm_allegro.utils.config import from_mapping

GAS = 8.31446261815324e-3  # kJ/(mol K)
STRENGTH, LENGTH, AMPLITUDE = 2000.0, 0.1, 0.01  # kJ/(mol nm²), nm, nm


def oscillator():
    """A compressed bond that is let go, and its period in steps."""
    topology, system = particles(["H", "O"])
    atoms = list(topology.atoms())
    topology.addBond(*atoms)
    bond = openmm.HarmonicBondForce()
    bond.addBond(0, 1, LENGTH, STRENGTH)
    system.addForce(bond)
    period = 2 * math.pi * math.sqrt(1.0 / STRENGTH)  # the reduced mass is 1
    positions = np.array([[0, 0, 0], [0, 0, LENGTH - AMPLITUDE]])
    return simulate(topology, system, positions, timestep=period / 1000), 1000


def watch(simulation, folder, **settings):
    """A watchdog that is among the simulation's reporters."""
    settings = {"interval": 1} | settings
    watchdog = Watchdog(Watchdogs(**settings), simulation, folder / "run")
    simulation.reporters.append(watchdog)
    return watchdog


def warn(kind):
    return {"actions": {kind: "warn"}}


def test_pair_that_comes_closer(tmp_path):
    """Once when it comes within the distance, and once more after it has left.

    In a box of 1 nm the next image comes after 1000 steps.
    """
    simulation = approaching(box=np.eye(3))
    watchdog = watch(simulation, tmp_path, closest={"O-H": 2.005}, **warn("closest"))
    simulation.step(1300)
    assert [int(row["step"]) for row in events(watchdog)] == [100, 1100]
    row = events(watchdog)[0]
    assert list(row) == ["step", "time_ps", "watchdog", "action", "message"]
    assert float(row["time_ps"]) == pytest.approx(0.1)
    assert (row["watchdog"], row["action"]) == ("closest", "warn")
    for words in ("H-O", "2.0050 Å", "atoms 0 and 1 at 2.0000 Å", "1 pairs"):
        assert words in row["message"]


def test_pairs_have_limits_of_their_own(tmp_path):
    simulation = approaching(["H", "H"])
    watchdog = watch(simulation, tmp_path, closest={"H-O": 2.5, "H-H": 1.505})
    simulation.step(149)
    assert not events(watchdog)
    simulation.step(1)
    assert [row["step"] for row in events(watchdog)] == ["150"]


@pytest.mark.parametrize(("stretch", "fires"), [(1.22, True), (1.2223, False)])
def test_bond_of_an_oscillator(tmp_path, stretch, fires):
    """Stretch it from r - a to r + a, by a factor of 0.11/0.09 = 1.2222."""
    simulation, period = oscillator()
    watchdog = watch(simulation, tmp_path, bond_stretch=stretch)
    simulation.context.setPositions([[0, 0, 0], [0, 0, LENGTH - AMPLITUDE]])
    watchdog.check(state_of(simulation), 0)
    simulation.step(2 * period)
    found = [int(row["step"]) for row in events(watchdog)]
    if not fires:
        assert not found
        return
    reached = math.acos((LENGTH - stretch * (LENGTH - AMPLITUDE)) / AMPLITUDE)
    first = math.ceil(reached / (2 * math.pi) * period)
    assert found == pytest.approx([first, first + period], abs=1)
    assert "H(0)-O(1)" in events(watchdog)[0]["message"]


def test_bonds_across_the_box_and_from_a_given_start(tmp_path):
    topology, system = particles(["O", "H"], np.eye(3))
    topology.addBond(*topology.atoms())
    start = np.array([[0.02, 0.1, 0.1], [0.12, 0.1, 0.1]])
    wrapped = np.array([[0.02, 0.1, 0.1], [0.91, 0.1, 0.1]])  # 0.11 nm apart
    simulation = simulate(topology, system, wrapped)
    for stretch, count in ((1.11, 0), (1.09, 1)):
        settings = Watchdogs(bond_stretch=stretch)
        watchdog = Watchdog(settings, simulation, tmp_path / f"{stretch}", start)
        watchdog.check(state_of(simulation), 0)
        assert len(events(watchdog)) == count


@pytest.mark.parametrize("remover", [False, True])
def test_temperature(tmp_path, remover):
    """T = Σ m v² / (f R), with f = 3 N, or 3 N - 3."""
    topology, system = particles(["H", "H"], mass=3.0)
    if remover:
        system.addForce(openmm.CMMotionRemover(10**6))
    freedom = 3 if remover else 6
    speed = math.sqrt(freedom * GAS * 400 / (2 * 3.0))
    velocities = np.array([[0, speed, 0], [0, -speed, 0]])
    simulation = simulate(topology, system, np.eye(2, 3), velocities)
    sane = watch(simulation, tmp_path, temperature_k=(399.9, 400.1))
    simulation.step(3)
    assert not events(sane)
    for number, limits in enumerate([(0, 399.9), (400.1, 1000)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        watchdog = watch(simulation, folder, temperature_k=limits)
        with pytest.raises(StopSimulation, match=r"temperature at step .* found 400 K"):
            simulation.step(1)
        simulation.reporters.remove(watchdog)
        assert events(watchdog)[0]["action"] == "stop"


def test_energy(tmp_path):
    """k (r - r0)² / 2 of a bond, shared by two atoms; above it, and off the first."""
    simulation, period = oscillator()
    highest = STRENGTH * AMPLITUDE**2 / 2 / 2
    inside = highest * math.cos(math.pi / 3) ** 2  # a sixth of a period after the start
    low = watch(simulation, tmp_path, energy_per_atom=(-1, inside), **warn("energy"))
    (tmp_path / "jump").mkdir()
    jump = watch(
        simulation,
        tmp_path / "jump",
        energy_jump=highest - inside,
        actions={"energy_jump": "warn"},
    )
    for watchdog in (low, jump):
        watchdog.check(state_of(simulation), 0)
    simulation.step(period // 2)
    steps = [[int(row["step"]) for row in events(w)] for w in (low, jump)]
    # down within the limit after a sixth, above it again from a third to two thirds
    assert steps[0] == pytest.approx([0, period / 3], abs=2)
    assert steps[1] == pytest.approx([period / 6], abs=2)
    found = float(events(low)[0]["message"].split()[-1])
    assert found == pytest.approx(highest, rel=1e-6)


def test_nan_always_stops(tmp_path):
    topology, system = particles(["H", "H"])
    for number, what in enumerate(("Positions", "Velocities")):
        simulation = simulate(topology, system, np.eye(2, 3), np.zeros((2, 3)))
        watchdog = Watchdog(Watchdogs(), simulation, tmp_path / str(number))
        watchdog.check(state_of(simulation), 0)
        values = np.eye(2, 3)
        values[1, 2] = np.nan
        getattr(simulation.context, f"set{what}")(values)
        with pytest.raises(StopSimulation, match=f"nan .*{what.lower()}.*index 1"):
            watchdog.check(state_of(simulation), 1)
        assert [row["watchdog"] for row in events(watchdog)] == ["nan"]
        assert not watchdog.frames.exists()


def test_deviation_of_a_committee(model, water_box, tmp_path):
    symbols, positions = water_box[0][:9], water_box[1][:9]
    topology = make_topology(symbols)
    both = [sibling(model, seed, num_layers=1) for seed in (3, 7)]
    module = committee_module(both, symbols, periodic=False)
    expected = module.deviation(torch.tensor(positions)).numpy()
    system = AllegroPotential(both).create_system(topology, backend="native")
    simulation = simulate(topology, system, positions)
    for factor, count in ((1.001, 0), (0.999, 1)):
        limit = float(expected.max() * factor)
        folder = tmp_path / str(factor)
        folder.mkdir()
        watchdog = watch(simulation, folder, deviation=limit)
        watchdog.check(state_of(simulation), 0)
        assert len(events(watchdog)) == count
    message = events(watchdog)[0]["message"]
    assert f"at atom {expected.argmax()}, 1 atoms" in message


def test_what_the_actions_do(tmp_path):
    """The frame is read back; a stop comes again at the same step, without a line."""
    box = np.diag([1.0, 1.1, 1.2])
    for action in ("warn", "frame", "stop"):
        folder = tmp_path / action
        folder.mkdir()
        simulation = approaching(box=box)
        watchdog = watch(
            simulation, folder, closest={"H-O": 2.005}, actions={"closest": action}
        )
        if action == "stop":
            with pytest.raises(StopSimulation, match=r"closest at step 100 \(0.1 ps\)"):
                simulation.step(200)
            with pytest.raises(StopSimulation, match="step 100"):
                watchdog.check(state_of(simulation), 100)
            assert simulation.currentStep == 100
        else:
            simulation.step(200)
        assert [row["action"] for row in events(watchdog)] == [action]
        assert watchdog.frames.exists() == (action != "warn")
        if action != "warn":
            (structure,) = read_structures(watchdog.frames, labels=False)
            assert structure.symbols == ("H", "O") and structure.periodic.all()
            np.testing.assert_allclose(structure.cell, 10 * box)
            expected = [[1, 2, 1], [3, 2, 1]]
            np.testing.assert_allclose(structure.positions, expected, atol=1e-7)
            info = ase.io.read(watchdog.frames, format="extxyz").info
            assert info["step"] == 100 and info["watchdog"] == "closest"
            assert info["time_ps"] == pytest.approx(0.1)


def test_all_is_written_before_a_stop(tmp_path):
    simulation = approaching()
    limits = {"closest": {"H-O": 2.005}, "temperature_k": (0, 1e-3)}
    watchdog = watch(simulation, tmp_path, interval=100, **limits)
    with pytest.raises(StopSimulation, match="temperature"):
        simulation.step(200)
    assert {row["watchdog"] for row in events(watchdog)} == {"temperature", "closest"}
    assert len(read_structures(watchdog.frames, labels=False)) == 1


def alternate(simulation, watchdog, times):
    """Bring the pair into the limit and out of it again, as many times."""
    for step in range(2 * times):
        distance = 0.3 if step % 2 else 0.1
        simulation.context.setPositions([[0, 0, 0], [distance, 0, 0]])
        watchdog.check(state_of(simulation), step)


def test_the_log_does_not_fill(tmp_path, caplog):
    simulation = approaching()
    watchdog = watch(simulation, tmp_path, closest={"H-O": 2.0}, **warn("closest"))
    with caplog.at_level(logging.WARNING, "openmm_allegro"):
        alternate(simulation, watchdog, 12)
    assert len(events(watchdog)) == 12
    assert len(caplog.records) == 2
    for number, record in zip((1, 10), caplog.records, strict=True):
        assert f"event {number} of its kind" in record.getMessage()


def test_a_resumed_watchdog_remembers(tmp_path):
    """An event that lasts is not told again; counts and the first energy stay."""
    simulation = approaching()
    options = {"closest": {"H-O": 2.5}, "energy_jump": 1.0}
    watchdog = watch(simulation, tmp_path, **options)
    simulation.step(60)
    kept = json.loads(json.dumps(watchdog.state_dict()))
    assert kept == {"counts": {"closest": 1}, "beyond": ["closest"], "first_energy": 0}
    again = Watchdog(watchdog.settings, simulation, tmp_path / "run")
    again.load_state_dict(kept)
    again.check(state_of(simulation), 61)
    assert len(events(again)) == 1
    fresh = Watchdog(watchdog.settings, simulation, tmp_path / "run")
    fresh.check(state_of(simulation), 61)
    assert len(events(fresh)) == 2


def test_nothing_happens_in_a_sane_run(tmp_path):
    """An oscillator that keeps to what was said of it."""
    simulation, period = oscillator()
    watchdog = watch(
        simulation,
        tmp_path,
        interval=10,
        temperature_k=(0, 1000),
        energy_per_atom=(-1, 0.1),
        energy_jump=0.1,
        closest={"H-O": 0.89},
        bond_stretch=1.3,
    )
    simulation.step(3 * period)
    assert not list(tmp_path.iterdir())
    assert not watchdog.state_dict()["counts"]


def test_only_atoms_of_the_model_are_near(tmp_path):
    """In a region with a cap: its pairs, not those of the cap or of the water."""
    droplet = cluster(solvated())
    system = AllegroPotential(organic_model()).create_mixed_system(
        droplet.topology, droplet.system, ACETYL, link="cap", backend="pythonforce"
    )
    simulation = simulate(droplet.topology, system, droplet.positions)
    watchdog = watch(simulation, tmp_path, closest={"H-H": 50.0, "C-H": 50.0})
    watchdog.check(state_of(simulation), 0)
    (row,) = events(watchdog)
    assert row["message"].endswith(f"{3 + 2 * 3} pairs in all")


def test_sites_without_element_are_not_near(tmp_path):
    topology, system = particles(["H", "H"])
    topology.addAtom("EP", None, list(topology.residues())[-1])
    system.addParticle(0.0)
    simulation = simulate(topology, system, [[0, 0, 0], [0.3, 0, 0], [0.01, 0, 0]])
    watchdog = watch(simulation, tmp_path, closest={"H-H": 3.1})
    watchdog.check(state_of(simulation), 0)
    assert events(watchdog)[0]["message"].endswith("at 3.0000 Å, 1 pairs in all")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"interval": 0}, "interval of at least 1, found 0"),
        ({"temperature_k": [500, 100]}, r"temperature_k .* found \(500.0, 100.0\)"),
        ({"energy_per_atom": [1.0]}, "energy_per_atom"),
        ({"energy_jump": -1}, "energy_jump of at least 0"),
        ({"bond_stretch": 1.0}, "bond_stretch above 1"),
        ({"deviation": -0.1}, "deviation of at least 0"),
        ({"closest": {"H-Oo": 1.0}}, "pairs of elements like 'H-O', found 'H-Oo'"),
        ({"closest": {"H": 1.0}}, "found 'H'"),
        ({"closest": {"H-O": 1.0, "O-H": 1.0}}, "each pair once, found 'O-H'"),
        ({"closest": {"H-O": 0}}, "closest H-O above 0 and at most 100 Å"),
        ({"actions": {"bonds": "shout"}}, r"\('warn', 'frame', 'stop'\) .*'shout'"),
        ({"actions": {"bond": "warn"}}, "found 'bond'"),
        ({"actions": {"nan": "warn"}}, "nan to stop, found 'warn'"),
        ({"deviations": 0.1}, "expected keys among interval, .* found deviations"),
    ],
)
def test_bad_settings(table, words):
    with pytest.raises(ValueError, match=words):
        from_mapping(Watchdogs, table, "run.toml [watchdogs]")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"deviation": 0.1}, "deviation: .* found 0 such forces"),
        ({"bond_stretch": 1.5}, "topology with bonds, found none"),
        ({"closest_of_training": 1.0}, "for_models"),
    ],
)
def test_what_a_simulation_lacks(tmp_path, settings, words):
    with pytest.raises(ValueError, match=words):
        watch(approaching(), tmp_path, **settings)
    with pytest.raises(ValueError, match="found 0"):
        frozen = simulate(*particles(["H"], mass=0.0), np.zeros((1, 3)))
        watch(frozen, tmp_path, temperature_k=(0, 1))
