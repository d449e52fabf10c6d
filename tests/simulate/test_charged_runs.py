# SPDX-License-Identifier: MIT
"""Runs of models with charges: minimised, at constant pressure, stopped and resumed."""

import json
import signal

import pytest
from charged_helpers import charged_water
from openmm import unit
from openmm_helpers import BACKEND, make_topology
from run_helpers import Killer, check_same, send, start

from openmm_allegro import AllegroPotential

OPTIONS = {
    "temperature": 300 * unit.kelvin,
    "ensemble": "npt",
    "barostat_interval": 2,
    "velocity_interval": 0,
}


def waters(water_box, total_charge=0.0, backend=BACKEND):
    """Eight molecules."""
    symbols, positions, box = water_box
    topology = make_topology(symbols[:24], box, waters=True)
    system = AllegroPotential(charged_water()).create_system(
        topology, skin=0.3, backend=backend, total_charge=total_charge
    )
    return topology, positions[:24], system


@pytest.mark.parametrize(
    "backend", ["native", pytest.param("pythonforce", marks=pytest.mark.slow)]
)
def test_stopped_and_resumed(water_box, tmp_path, backend):
    """To the last bit, and only with the same total charge."""
    system = waters(water_box, backend=backend)
    whole = start(system, tmp_path / "whole", **OPTIONS)
    record = json.loads(whole["record"].read_text())
    assert (record["charges"], record["total_charge"]) == ("learned", 0.0)
    assert record["charge_alpha"] == pytest.approx(2 / 3.5)
    stop = [Killer(33, send(signal.SIGTERM))]
    with pytest.raises(SystemExit):
        start(system, tmp_path / "x", reporters=stop, resume=True, **OPTIONS)
    with pytest.raises(ValueError, match=r"total_charge 0\.0 rather than 1\.0"):
        other = waters(water_box, total_charge=1.0, backend=backend)
        start(other, tmp_path / "x", resume=True, **OPTIONS)
    check_same(start(system, tmp_path / "x", resume=True, **OPTIONS), whole)
