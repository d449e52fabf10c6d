# SPDX-License-Identifier: MIT
"""Runs with the native force that stop anywhere are resumed to the last bit."""

import signal

import numpy as np
import openmm
import pytest
from helpers import water_model
from mixed_helpers import cluster, organic_model, solvated
from openmm import unit
from openmm_helpers import make_topology
from run_helpers import Killer, check_same, check_signals, send, start, start_killed

from openmm_allegro import AllegroPotential
from openmm_allegro.simulate import execute
from openmm_allegro.simulate.checkpoint import forget_pairs

pytestmark = pytest.mark.small

NATIVE = {"backend": "native"}


def waters(water_box, *models, **options):
    """Eight molecules, whose list of pairs is built anew now and then."""
    symbols, positions, box = water_box
    topology = make_topology(symbols[:24], box, waters=True)
    system = AllegroPotential(models).create_system(
        topology, skin=0.3, **NATIVE, **options
    )
    return topology, positions[:24], system


def capped(water_box):
    """An acetyl group that ends in a cap, the rest of the droplet classical."""
    droplet = cluster(solvated())
    system = AllegroPotential(organic_model()).create_mixed_system(
        droplet.topology, droplet.system, range(6), link="cap", **NATIVE
    )
    return droplet.topology, droplet.positions, system


SYSTEMS = {
    "one": lambda box: waters(box, water_model()),
    "committee": lambda box: waters(box, water_model(), water_model(seed=1)),
    "table": lambda box: waters(box, water_model(), two_body="table"),
    "capped": capped,
}
OPTIONS = {"temperature": 600 * unit.kelvin, "velocity_interval": 0}
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "platform", "threads", "number", "integrator"),
    [
        ("one", "CPU", 2, signal.SIGTERM, "langevin-middle"),
        # OpenMM's own forces repeat themselves to rounding in several threads
        ("capped", "CPU", 1, signal.SIGTERM, "langevin-middle"),
        ("one", "Reference", 1, signal.SIGINT, "langevin-middle"),
        pytest.param(
            "committee", "CPU", 2, signal.SIGTERM, "langevin-middle", marks=SLOW
        ),
        pytest.param("one", "CPU", 1, signal.SIGTERM, "langevin-middle", marks=SLOW),
        pytest.param("one", "CPU", 2, signal.SIGTERM, "nose-hoover", marks=SLOW),
        pytest.param("one", "CPU", 2, signal.SIGTERM, "andersen", marks=SLOW),
        pytest.param("table", "CPU", 2, signal.SIGTERM, "langevin-middle", marks=SLOW),
        pytest.param(
            "capped", "Reference", 2, signal.SIGINT, "langevin-middle", marks=SLOW
        ),
    ],
)
def test_a_signal(water_box, tmp_path, name, platform, threads, number, integrator):
    system = SYSTEMS[name](water_box)
    options = OPTIONS | {"platform": platform, "threads": threads}
    options["integrator"] = integrator
    check_signals(system, tmp_path, number, **options)


@pytest.mark.parametrize("threads", [pytest.param(1, marks=SLOW), 2])
def test_a_barostat(water_box, tmp_path, threads):
    """It is stopped between its moves, and when it has tuned them."""
    system = SYSTEMS["one"](water_box)
    options = OPTIONS | {"ensemble": "npt", "barostat_interval": 2, "threads": threads}
    whole = start(system, tmp_path / "whole", **options)
    for step in (13, 47):
        stop = [Killer(step, send(signal.SIGTERM))]
        with pytest.raises(SystemExit):
            start(system, tmp_path / "x", reporters=stop, resume=True, **options)
    check_same(start(system, tmp_path / "x", resume=True, **options), whole)


def test_kills_and_checkpoints_by_the_clock(water_box, tmp_path, monkeypatch):
    system = SYSTEMS["one"](water_box)
    options = OPTIONS | {"checkpoint_interval": None, "threads": 2}
    whole = start(system, tmp_path / "whole", **options)
    monkeypatch.setattr(execute, "_SAVE_AFTER", 1e-9)
    start_killed(system, tmp_path / "x", 33, **options)
    check_same(start(system, tmp_path / "often", **options), whole)
    paths = start(system, tmp_path / "x", resume=True, **options)
    assert '"resumed_at": [\n    30\n  ]' in paths["record"].read_text()
    check_same(paths, whole)


def test_the_list_of_pairs_leaves_no_trace(water_box):
    """Built anew at every step or when it has to be, with two threads."""
    _, positions, system = SYSTEMS["one"](water_box)
    ends = []
    for builds_at_each_step in (True, False):
        integrator = openmm.LangevinMiddleIntegrator(900, 1, 0.001)
        integrator.setRandomNumberSeed(1)
        platform = openmm.Platform.getPlatformByName("CPU")
        context = openmm.Context(system, integrator, platform, {"Threads": "2"})
        context.setPositions(positions)
        context.setVelocitiesToTemperature(900, 1)
        for _ in range(30):
            integrator.step(1)
            if builds_at_each_step:
                forget_pairs(context)
        state = context.getState(positions=True, energy=True)
        ends.append(
            [*state.getPositions(asNumpy=True)._value, state.getPotentialEnergy()]
        )
    for one, other in zip(*ends, strict=True):
        assert np.all(one == other)
