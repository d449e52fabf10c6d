# SPDX-License-Identifier: MIT
"""Runs over torch that stop between two checkpoints are resumed to the last bit."""

import signal

import pytest
from openmm import unit
from openmm_helpers import make_topology
from run_helpers import Killer, check_same, check_signals, send, start

from openmm_allegro import AllegroPotential
from openmm_allegro.simulate import execute

# Those of native forces, in test_native_restarts, are as many and fast.
pytestmark = pytest.mark.slow

# hot, so that the list of pairs is built anew now and then
OPTIONS = {"temperature": 600 * unit.kelvin, "velocity_interval": 0}


@pytest.fixture(scope="module")
def water(model, water_box):
    """Topology, positions and System of eight molecules with our force."""
    symbols, positions, box = water_box
    topology = make_topology(symbols[:24], box, waters=True)
    system = AllegroPotential(model).create_system(
        topology, backend="pythonforce", skin=0.3
    )
    return topology, positions[:24], system


@pytest.mark.parametrize(
    ("number", "platform"), [(signal.SIGTERM, "CPU"), (signal.SIGINT, "Reference")]
)
def test_a_signal(water, tmp_path, platform, number):
    check_signals(water, tmp_path, number, platform=platform, **OPTIONS)


@pytest.mark.parametrize("threads", [1, 2])
def test_checkpoints_by_the_clock(water, tmp_path, monkeypatch, threads):
    """A run that writes them, stopped or not, ends as one that does not."""
    options = OPTIONS | {"checkpoint_interval": None, "threads": threads}
    whole = start(water, tmp_path / "whole", **options)
    monkeypatch.setattr(execute, "_SAVE_AFTER", 1e-9)
    often = start(water, tmp_path / "often", **options)
    check_same(often, whole)
    stop = [Killer(33, send(signal.SIGTERM))]
    with pytest.raises(SystemExit):
        start(water, tmp_path / "x", reporters=stop, **options)
    check_same(start(water, tmp_path / "x", resume=True, **options), whole)
