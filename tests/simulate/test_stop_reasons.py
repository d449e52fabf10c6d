# SPDX-License-Identifier: MIT
"""Why a run stopped is in its error and in its record, whatever raised it."""

import json
from types import SimpleNamespace

import numpy as np
import openmm
import pytest
import torch
from openmm_helpers import make_topology
from run_helpers import Killer

from openmm_allegro import AllegroPotential, run
from openmm_allegro.interop.ase import AllegroCalculator
from openmm_allegro.runs.minimization import minimization_words
from openmm_allegro.simulate.minimizer import minimize
from openmm_allegro.utils.reasons import reason_of

FLOWN = "Allegro: expected atoms at most 127 box lengths apart, found"
VAST = "Allegro: expected positions and box vectors within"
SMALL = "Allegro: expected at most 10000 neighbours of an atom"
KIND = "expected finite positions, found an unstable simulation after 3 steps"


@pytest.fixture(scope="module", params=["torchforce", "pythonforce", "committee"])
def water(request, model, water_box):
    """Topology, positions and System of eight molecules with our force."""
    if request.param == "torchforce":
        pytest.importorskip("openmmtorch")
    symbols, positions, box = water_box
    topology = make_topology(symbols[:24], box, waters=True)
    is_committee = request.param == "committee"
    potential = AllegroPotential([model, model] if is_committee else model)
    backend = "pythonforce" if is_committee else request.param
    system = potential.create_system(topology, backend=backend, skin=0.3)
    return topology, positions[:24], system


def throw(simulation, distance):
    """Put an atom elsewhere, as a step that is too long does."""
    context = simulation.context
    positions = context.getState(positions=True).getPositions(asNumpy=True)._value
    positions[0, 0] += distance
    context.setPositions(positions)


def shrink(simulation):
    """Make the box smaller than any, as a barostat does with a wrong model."""
    simulation.context.setPeriodicBoxVectors(*(0.02 * np.eye(3)))


class Meddler(Killer):
    """Does something to the simulation at a step."""

    def report(self, simulation, state):
        self.action(simulation)


def stop(water, output, **options):
    """Run into an error; return its message and the reason in the record."""
    settings = {"steps": 9, "report_interval": 3, "platform": "CPU", "seed": 3}
    settings |= {"minimize": False, "progress": False}
    with pytest.raises(RuntimeError) as error:
        run(*water, output, **(settings | options))
    record = json.loads(output.with_suffix(".json").read_text())
    assert "TorchScript" not in str(error.value) and "\n" not in record["stopped"]
    assert record["stopped"] in str(error.value)
    return str(error.value), record["stopped"]


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (lambda simulation: throw(simulation, 1e3), FLOWN),
        (lambda simulation: throw(simulation, 1e9), VAST),
        (shrink, SMALL),
    ],
)
def test_of_a_force(water, tmp_path, action, reason):
    message, stopped = stop(water, tmp_path / "x", reporters=[Meddler(3, action)])
    assert message.startswith(KIND)
    assert stopped.startswith(reason)
    if reason != SMALL:
        assert "has become unstable" in stopped


@pytest.mark.parametrize("water", ["pythonforce"], indirect=True)
def test_of_a_minimisation(water, tmp_path, monkeypatch):
    def minimize(context, *options):
        throw(SimpleNamespace(context=context), 1e3)
        context.getState(energy=True)

    monkeypatch.setattr(openmm.LocalEnergyMinimizer, "minimize", minimize)
    message, stopped = stop(water, tmp_path / "x", minimize=True)
    assert "unstable simulation after 0 steps" in message
    assert stopped.startswith(FLOWN)


def test_of_a_minimisation_whose_forces_are_not_finite():
    system = openmm.System()
    system.addParticle(1.0)
    force = openmm.CustomExternalForce("sqrt(x - 5)")
    force.addParticle(0)
    system.addForce(force)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions([[1, 0, 0]])
    with pytest.raises(RuntimeError, match=r"finite energy .* found .* nan kJ/mol "):
        minimize(context)


def test_torch_minimises_without_a_reporter(model, water_box, monkeypatch):
    """OpenMM reports with Python's lock, which crashes the derivatives of torch."""
    pytest.importorskip("openmmtorch")
    symbols, positions, box = water_box
    topology = make_topology(symbols[:6], box, waters=True)
    made = AllegroPotential(model).create_system(
        topology, backend="torchforce", kernel="plain"
    )
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(made, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions[:6])
    run_openmm, reporters = openmm.LocalEnergyMinimizer.minimize, []

    def run_unless_it_crashes(context, tolerance, iterations, reporter):
        reporters.append(reporter)
        if reporter is None:
            run_openmm(context, 1e-3 * tolerance, iterations)

    monkeypatch.setattr(openmm.LocalEnergyMinimizer, "minimize", run_unless_it_crashes)
    done = minimize(context)
    assert reporters == [None] and done["minimization"]["iterations"] in (0, None)
    done["minimization"]["iterations"] = None
    assert "at most 200 iterations of L-BFGS lowered" in minimization_words(done)


@pytest.mark.parametrize("water", ["pythonforce"], indirect=True)
def test_of_a_reporter(water, tmp_path):
    """With a module of its own; one with a mistake in its code keeps its class."""

    def evaluate(simulation):
        raise torch.jit.Error(
            "The following operation failed in the TorchScript interpreter.\n"
            "Traceback of TorchScript (most recent call last):\n  File 'a.py'  in b\n"
            "RuntimeError: my own reason\n"
        )

    message, stopped = stop(water, tmp_path / "x", reporters=[Meddler(3, evaluate)])
    assert "reporters without errors" in message
    assert stopped == "my own reason"

    def mistake(simulation):
        raise TypeError("two  spaces")

    with pytest.raises(TypeError, match="two  spaces"):
        run(
            *water,
            tmp_path / "y",
            steps=9,
            report_interval=3,
            minimize=False,
            platform="CPU",
            progress=False,
            reporters=[Meddler(3, mistake)],
        )
    record = json.loads((tmp_path / "y.json").read_text())
    assert record["stopped"] == "two spaces"


@pytest.mark.parametrize("water", ["pythonforce"], indirect=True)
def test_at_the_start(water, tmp_path):
    topology, positions, system = water
    positions = positions.copy()
    positions[3:6] += 1e3  # a molecule
    with pytest.raises(ValueError, match=f"finite energy at the start, found {FLOWN}"):
        run(topology, positions, system, tmp_path / "x", progress=False)
    assert not list(tmp_path.iterdir())


def test_in_ase(model, water_box):
    ase = pytest.importorskip("ase")
    symbols, positions, box = water_box
    atoms = ase.Atoms(symbols[:24], 10 * positions[:24], cell=10 * box, pbc=True)
    atoms.positions[4] += 1e12
    atoms.calc = AllegroCalculator(model)
    with pytest.raises(
        ValueError, match=r"^atoms: expected positions within 1e\+08 Å, found 1e\+12 Å"
    ):
        atoms.get_potential_energy()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "Particle coordinate is NaN.  For more information, see https://a.b",
            "Particle coordinate is NaN.",
        ),
        ("two  sentences.  Both stay.", "two sentences. Both stay."),
        (
            "Traceback of TorchScript:\n  File 'a'\nRuntimeError: CUDA out of memory. "
            "Tried to allocate 2 MiB.\nException raised from malloc at a.cpp:1\n"
            "frame #0: b + 0x1",
            "CUDA out of memory. Tried to allocate 2 MiB.",
        ),
        ("", "OpenMMException"),
    ],
)
def test_layers_that_are_left_out(text, reason):
    assert reason_of(openmm.OpenMMException(text)) == reason
