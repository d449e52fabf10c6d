# SPDX-License-Identifier: MIT
"""A module takes the fused kernel for cards where its tensors are on one."""

import copy
import gc
import io

import numpy as np
import openmm
import pytest
import torch
from card_helpers import ProcessorEngine, play_card
from helpers import sibling
from mixed_helpers import ACETYL, cluster, organic_model, solvated
from openmm_helpers import context_of, evaluate, lattice_waters, make_topology

from openmm_allegro import AllegroPotential
from openmm_allegro.kernels.inference import on_card
from openmm_allegro.potential.card_module import CardModule
from openmm_allegro.potential.committee_module import committee_module
from openmm_allegro.potential.options import ForceOptions
from openmm_allegro.potential.torch_computation import TorchComputation
from openmm_allegro.utils.reasons import reason_of


@pytest.fixture(autouse=True)
def processor(monkeypatch):
    play_card(monkeypatch, ProcessorEngine)
    ProcessorEngine.opened = 0


@pytest.fixture(scope="module")
def small(model):
    """A model that is scripted and optimised sooner."""
    return sibling(model, 7, cutoff=3.2, num_layers=1, l_max=1)


@pytest.fixture(scope="module")
def waters():
    symbols, positions, box = lattice_waters()
    return symbols, torch.tensor(positions), torch.tensor(box)


def on_processor(module):
    """The same module, which does not take the processor for a card."""
    module = copy.deepcopy(module)
    module.plays_card = False
    return module


def close(found, expected, tolerance=1e-9):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.slow)]
)
def test_results_are_those_of_the_processor(small, waters, dtype):
    """Of all atoms, and of some; OpenMM gives positions in float32 on CUDA."""
    symbols, positions, box = waters
    positions, box = positions.to(dtype), box.to(dtype)
    for atoms in (None, [3, 4, 5, 60, 61, 62]):
        chosen = symbols if atoms is None else [symbols[i] for i in atoms]
        module = committee_module([small], chosen, atoms=atoms, periodic=True)
        there = on_processor(module)
        close(module(positions, box), there(positions, box))
        close(module.evaluate(positions, box), there.evaluate(positions, box))
    assert ProcessorEngine.opened == 2


@pytest.mark.slow
def test_a_committee_has_one_engine(small, waters):
    symbols, positions, box = waters
    members = [small, sibling(small, 8, cutoff=2.8, num_layers=1, l_max=1)]
    module = committee_module(members, symbols, periodic=True)
    there = on_processor(module)
    close(module(positions, box), there(positions, box))
    close(module.evaluate(positions, box), there.evaluate(positions, box))
    found, expected = module.deviation(positions, box), there.deviation(positions, box)
    close([found], [expected])
    assert expected.min() > 0.0 and ProcessorEngine.opened == 1
    computation = TorchComputation(module)
    assert computation.number_of_models == 2 and computation.number_of_caps == 0


@pytest.mark.slow
@pytest.mark.parametrize("interpolate", [True, False])
def test_caps_and_forces_in_a_mixed_system(monkeypatch, interpolate):
    """In OpenMM, with the force inside a CustomCVForce and without."""
    droplet = cluster(solvated())
    organic = organic_model()
    members = [organic, sibling(organic, 4, cutoff=4.0, num_layers=1)]
    found = []
    for plays_card in (True, False):
        monkeypatch.setattr(CardModule, "_plays_card", plays_card)
        system = AllegroPotential(members).create_mixed_system(
            droplet.topology,
            droplet.system,
            ACETYL,
            link="cap",
            backend="pythonforce",
            interpolate=interpolate,
            force_group=3,
        )
        found.append(evaluate(context_of(system, droplet.positions), {3}))
    assert ProcessorEngine.opened == 1
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-5)


@pytest.mark.slow
def test_each_copy_of_a_module_has_its_own_list(small, waters):
    symbols, positions, box = waters
    gc.collect()
    alive, handles = ProcessorEngine.alive, len(on_card._HANDLES)
    module = committee_module([small], symbols, periodic=True)
    expected = module(positions, box)
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    copies = [copy.deepcopy(module), torch.jit.load(buffer)]
    for number, other in enumerate([module, *copies, module]):
        for _ in range(2):
            close(other(positions, box), expected, 0.0)
        assert ProcessorEngine.opened == min(number + 1, 3)
    del module, copies, other
    gc.collect()
    assert (ProcessorEngine.alive, len(on_card._HANDLES)) == (alive, handles)


@pytest.mark.parametrize(
    "backend", ["torchforce", pytest.param("pythonforce", marks=pytest.mark.slow)]
)
def test_contexts_of_a_system(small, waters, backend):
    """Each TorchForce's Context has a list; it is given back with the Context."""
    if backend == "torchforce":
        pytest.importorskip("openmmtorch")
    symbols, positions, box = waters
    topology = make_topology(symbols, box.numpy(), waters=True)
    system = AllegroPotential(small).create_system(topology, backend=backend)
    gc.collect()
    alive = ProcessorEngine.alive
    contexts = [context_of(system, positions.numpy()) for _ in range(2)]
    results = [evaluate(context) for context in (*contexts, *contexts)]
    for energy, forces in results[1:]:
        assert energy == results[0][0]
        np.testing.assert_array_equal(forces, results[0][1])
    assert ProcessorEngine.alive == alive + (2 if backend == "torchforce" else 1)
    text = openmm.XmlSerializer.serialize(system)
    del contexts, system
    gc.collect()
    assert ProcessorEngine.alive == alive
    again = context_of(openmm.XmlSerializer.deserialize(text), positions.numpy())
    assert evaluate(again)[0] == results[0][0]
    assert ProcessorEngine.alive == alive + 1

    bad = positions.numpy().copy()
    bad[5, 1] = np.nan
    again.setPositions(bad)
    assert np.isnan(evaluate(again)[0])
    again.setPositions(positions.numpy())
    with pytest.raises(openmm.OpenMMException) as caught:
        evaluate(again)
    expected = "Allegro: expected finite positions, found NaN or infinity"
    assert reason_of(caught.value) == expected
    assert evaluate(again)[0] == results[0][0]


def test_positions_that_are_no_numbers(small, waters):
    """An error of the next step, or at once where results are waited for."""
    symbols, positions, box = waters
    module = committee_module([small], symbols, periodic=True)
    expected = module(positions, box)
    bad = positions.clone()
    bad[5, 1] = torch.nan
    assert torch.isnan(module(bad, box)[0])
    with pytest.raises(RuntimeError, match="expected finite positions"):
        module(positions, box)
    close(module(positions, box), expected, 0.0)
    with pytest.raises(RuntimeError, match="expected finite positions"):
        module.evaluate(bad, box)
    with pytest.raises(RuntimeError, match="expected finite box vectors"):
        module.evaluate(positions, box * torch.inf)
    module(bad, box)
    module.evaluate(positions, box)  # which is not to blame for the step before


def test_without_the_kernel_plain_torch_computes(small, waters, monkeypatch, caplog):
    """It is said once, and refused where the kernel was asked for."""
    symbols, positions, box = waters

    def no_device(place):
        raise ImportError("expected libnvrtc, found none")

    monkeypatch.setattr(on_card, "make_device", no_device)
    module = committee_module([small], symbols, periodic=True)
    expected = on_processor(module)(positions, box)
    for _ in range(3):
        close(module(positions, box), expected, 0.0)
    assert [r.getMessage() for r in caplog.records] == [
        "plain torch computes the model on cpu, which takes several times longer than "
        "the fused kernel: expected libnvrtc, found none"
    ]
    options = ForceOptions(kernel="fused")
    needing = committee_module([small], symbols, options, periodic=True)
    with pytest.raises(RuntimeError, match=r"kernel='fused' expects .* libnvrtc"):
        needing(positions, box)
    plain = ForceOptions(kernel="plain")
    assert not hasattr(
        committee_module([small], symbols, plain, periodic=True), "plays_card"
    )
