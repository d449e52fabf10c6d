# SPDX-License-Identifier: MIT
"""Contexts whose model runs in the kernels for cards, played by the processor."""

import numpy as np
import openmm
import pytest
import torch
from card_helpers import play_card
from helpers import sibling
from mixed_helpers import ACETYL, cluster, organic_model, solvated
from openmm import unit
from openmm_helpers import context_of, evaluate, lattice_waters, make_topology

from openmm_allegro import AllegroPotential
from openmm_allegro.kernels.gpu.host import HostDevice
from openmm_allegro.potential.card_module import CardModule
from openmm_allegro.potential.committee_module import committee_module
from openmm_allegro.potential.options import ForceOptions

pytestmark = pytest.mark.slow  # each kind of model is compiled


@pytest.fixture(autouse=True)
def devices(monkeypatch):
    made = []

    def device():
        made.append(HostDevice())
        return made[-1]

    play_card(monkeypatch, device=device)
    return made


@pytest.fixture(scope="module")
def small(model):
    return sibling(model, 7, cutoff=3.2, num_layers=1, l_max=1)


@pytest.fixture(scope="module")
def waters():
    symbols, positions, box = lattice_waters()
    return make_topology(symbols, box, waters=True), positions, box


def both(monkeypatch, make):
    """Systems whose model runs on the card, and on the processor."""
    systems = []
    for plays_card in (True, False):
        monkeypatch.setattr(CardModule, "_plays_card", plays_card)
        systems.append(make())
    return systems


def same(contexts, groups=-1, tolerance=3e-6):
    (energy, forces), expected = (evaluate(context, groups) for context in contexts)
    scale = abs(expected[1]).max()
    assert energy == pytest.approx(expected[0], abs=1e-3)
    np.testing.assert_allclose(forces, expected[1], atol=tolerance * scale)


OPTIONS = {
    "mixed": {},
    "double": {"precision": "double"},
    "single": {"precision": "single"},
    "table": {"two_body": "table"},
    "no skin": {"skin": 0.0},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options(small, waters, name, devices):
    """Results are those of the processor's kernel; in double to rounding."""
    topology, positions, box = waters
    symbols = [atom.element.symbol for atom in topology.atoms()]
    options = ForceOptions(**OPTIONS[name])
    module = committee_module([small], symbols, options, periodic=True)
    tolerance = 1e-10 if name == "double" else 2e-6
    for step in range(3):
        arguments = torch.tensor(positions + 0.002 * step), torch.tensor(box)
        found = module.evaluate(*arguments)
        module.plays_card = False
        expected = module.evaluate(*arguments)
        module.plays_card = True
        for a, b in zip(found, expected, strict=True):
            scale = b.abs().max().item()
            torch.testing.assert_close(a, b, rtol=0.0, atol=tolerance * scale)
    assert len(devices) == 1


@pytest.mark.parametrize("backend", ["torchforce", "pythonforce"])
def test_dynamics_volume_moves_and_minimisation(small, waters, backend, monkeypatch):
    if backend == "torchforce":
        pytest.importorskip("openmmtorch")
    topology, positions, _ = waters
    options = {"backend": backend, "skin": 0.3}

    def make():
        system = AllegroPotential(small).create_system(topology, **options)
        barostat = openmm.MonteCarloBarostat(1 * unit.bar, 300 * unit.kelvin, 2)
        barostat.setRandomNumberSeed(4)
        system.addForce(barostat)
        return system

    contexts = [context_of(s, positions) for s in both(monkeypatch, make)]
    same(contexts)
    first = contexts[0]
    first.setVelocitiesToTemperature(600 * unit.kelvin, 3)
    for change in (
        lambda: first.getIntegrator().step(12),
        lambda: openmm.LocalEnergyMinimizer.minimize(first, maxIterations=5),
        lambda: first.setPositions(positions + 0.4),
        lambda: first.setPeriodicBoxVectors(*(0.9 * np.eye(3))),
    ):
        change()
        state = first.getState(positions=True)
        contexts[1].setPeriodicBoxVectors(*state.getPeriodicBoxVectors())
        contexts[1].setPositions(state.getPositions())
        same(contexts)


def test_restarts_and_contexts_side_by_side(small, waters):
    """To the last bit, whenever a list was built, and whoever ran meanwhile."""
    topology, positions, _ = waters
    system = AllegroPotential(small).create_system(
        topology, backend="pythonforce", skin=0.3
    )
    text = openmm.XmlSerializer.serialize(system)
    first, other = (context_of(system, positions) for _ in range(2))
    first.setVelocitiesToTemperature(600 * unit.kelvin, 3)
    first.getIntegrator().step(5)
    checkpoint = first.createCheckpoint()
    other.setPositions(positions[::-1])
    evaluate(other)
    first.getIntegrator().step(5)
    expected = evaluate(first)
    again = context_of(openmm.XmlSerializer.deserialize(text), positions + 0.1)
    evaluate(again)
    for context in (other, again):
        context.loadCheckpoint(checkpoint)
        context.getIntegrator().step(5)
        energy, forces = evaluate(context)
        assert energy == expected[0]
        np.testing.assert_array_equal(forces, expected[1])


@pytest.mark.parametrize("interpolate", [True, False])
def test_a_capped_committee_in_a_mixed_system(interpolate, monkeypatch, devices):
    droplet = cluster(solvated())
    organic = organic_model()
    potential = AllegroPotential([organic, sibling(organic, 4, num_layers=1)])

    def make():
        return potential.create_mixed_system(
            droplet.topology,
            droplet.system,
            ACETYL,
            link="cap",
            backend="pythonforce",
            interpolate=interpolate,
            force_group=3,
        )

    systems = both(monkeypatch, make)
    same([context_of(s, droplet.positions) for s in systems], {3}, 1e-5)
    assert len(devices) == 1
