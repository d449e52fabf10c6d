# SPDX-License-Identifier: MIT
"""Works of switching λ between oscillators, and the free energy that they give."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import openmm
import pytest
from openmm import unit

if not all(map(importlib.util.find_spec, ("openmmtools", "pymbar", "mdtraj"))):
    pytest.skip("needs the extra multistate", allow_module_level=True)

from lambda_helpers import switched, two_oscillators
from replica_helpers import oscillators

from openmm_allegro.alchemical import switching_free_energy
from openmm_allegro.alchemical.starts import read_start
from openmm_allegro.alchemical.works import read_works

KILLED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from lambda_helpers import switched
switched(sys.argv[2], switches=12, switch_steps=400)
"""


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    output = tmp_path_factory.mktemp("switching") / "oscillators"
    switched(output, switches=60)
    return output


def test_free_energy_of_switches_is_that_of_oscillators(driven):
    exact = two_oscillators()[-1]
    found = switching_free_energy(driven)
    assert 0 < found.error < 1.5
    assert abs(found.value - exact) < 4 * found.error
    assert found.forward.value > found.reverse.value - 3 * found.forward.error
    # the second law, on the mean: work is at least the free energy
    assert found.works["forward"].mean() > exact > -found.works["reverse"].mean()
    assert abs(found.reduced.slope.value - 1) < 4 * found.reduced.slope.error
    assert not found.warnings
    assert {len(work) for work in found.works.values()} == {60}


def test_instant_switches_are_differences_of_energy(tmp_path):
    """Their work is E(λ=1) - E(λ=0) of the structures that they start from."""
    made = two_oscillators()
    paths = switched(tmp_path / "x", made, switches=3, switch_steps=0)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(made[2], openmm.VerletIntegrator(0.001), platform)
    for direction, end in (("forward", "mm"), ("reverse", "ml")):
        works = read_works(paths["works"])[direction]
        for number, work in enumerate(works):
            step = 80 + 40 * number
            start = read_start(tmp_path / f"x-{end}.starts", step)
            context.setPositions(start.positions)
            energies = []
            for value in (0.0, 1.0):
                context.setParameter("lambda_interpolate", value)
                state = context.getState(energy=True)
                energies.append(state.getPotentialEnergy()._value)
            difference = energies[1] - energies[0]
            sign = 1 if direction == "forward" else -1
            assert work == pytest.approx(sign * difference, abs=1e-9)


def test_slow_switches_do_the_work_of_the_free_energy(tmp_path):
    """Dissipation falls with the inverse of the time of switching."""
    exact = two_oscillators()[-1]
    excess = {}
    for steps in (20, 1000):
        output = tmp_path / f"{steps}"
        options = {"switches": 12, "switch_steps": steps, "directions": "forward"}
        paths = switched(output, **options)
        excess[steps] = read_works(paths["works"])["forward"].mean() - exact
    assert abs(excess[1000]) < 0.4 * excess[20]


def test_one_direction_warns_of_its_bias(tmp_path):
    made = two_oscillators(last=60000.0)
    options = {"switches": 8, "switch_steps": 5, "directions": "forward"}
    switched(tmp_path / "x", made, **options)
    found = switching_free_energy(tmp_path / "x")
    assert found.reverse is None and found.reduced.overlap is None
    assert found.value == found.forward.value
    text, few = found.warnings
    assert "at least 10 independent forward works" in few
    assert "found 1." in text or "found 2." in text or "found 3." in text
    assert "too high" in text


def test_kill_and_resume_give_the_same_works(tmp_path):
    """To the last bit, on the Reference platform."""
    options = {"switches": 12, "switch_steps": 400}
    script = tmp_path / "script.py"
    script.write_text(KILLED)
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, script, Path(__file__).parents[1], killed]
    )
    works = Path(f"{killed}.works.csv")
    while process.poll() is None and not (
        works.exists() and len(works.read_text().splitlines()) > 4
    ):
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = works.read_text()
    assert 4 < len(before.splitlines()) < 25
    with pytest.raises(FileExistsError, match="resume=True"):
        switched(killed, **options)
    with pytest.raises(ValueError, match="switch_steps 400 rather than 300"):
        switched(killed, switches=12, switch_steps=300, resume=True)
    switched(killed, resume=True, **options)
    reference = tmp_path / "reference"
    switched(reference, **options)
    after = works.read_text()
    assert after == Path(f"{reference}.works.csv").read_text()
    assert after.startswith(before.rstrip("\n"))
    record = json.loads(Path(f"{killed}.json").read_text())
    assert record["finished"] and record["completed_switches"] == 24
    # more of them, later
    switched(killed, resume=True, switches=13, switch_steps=400)
    assert len(read_works(works)["reverse"]) == 13


def test_missing_start_is_named(tmp_path):
    switched(tmp_path / "x", switches=2)
    (tmp_path / "x.chk").unlink()
    (tmp_path / "x-mm.starts" / "0000000120.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"0000000120\.npz"):
        switched(tmp_path / "x", switches=2, resume=True)


def test_unstable_switch_is_an_error(tmp_path):
    topology, positions, system, _ = two_oscillators()
    force = system.getForce(0)
    force.setEnergyFunction(
        "500*(x^2+y^2+z^2)+lambda_interpolate*sqrt(0.01-lambda_interpolate)"
    )
    for index in reversed(range(1, force.getNumGlobalParameters())):
        force.setGlobalParameterName(index, f"unused{index}")
    made = topology, positions, system, 0.0
    with pytest.raises(RuntimeError, match="unstable forward switch number 0"):
        switched(tmp_path / "x", made, switches=2, directions="forward")
    assert "stopped" in json.loads((tmp_path / "x.json").read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"switches": 1}, "switches of at least 2"),
        ({"directions": "sideways"}, "directions of"),
        ({"interval": 0}, "interval of at least 1"),
        ({"timestep": 1.0}, "a quantity in femtosecond"),
        ({"pressure": 1 * unit.bar}, "a periodic System"),
    ],
)
def test_bad_settings_of_switches(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        switched(tmp_path / "x", **options)
    assert not list(tmp_path.iterdir())


def test_no_switches_without_lambda(tmp_path):
    with pytest.raises(ValueError, match="expected a System with the global parameter"):
        switched(tmp_path / "x", (*oscillators(), 0.0))
