# SPDX-License-Identifier: MIT
"""What the operator for cards takes and refuses, and what it asks of a device."""

import pytest
import torch
from card_helpers import ProcessorEngine, play_card
from gpu_step import ListDevice
from helpers import random_atoms, tiny_config, tiny_energy

from openmm_allegro.kernels.inference.card_arguments import check_stream
from openmm_allegro.kernels.inference.fold import fold

CONFIG = tiny_config(l_max=1, num_layers=1)
ATOMS = ("particles", "ends", "ratios", "periodic")


def evaluate(**arguments):
    atoms = [arguments.pop(name) for name in ATOMS]
    return torch.ops.openmm_allegro.evaluate_atoms(atoms=atoms, **arguments)


@pytest.fixture
def arguments():
    """Of ten atoms, of which the last is a cap."""
    atoms = random_atoms("triclinic")
    program = fold(tiny_energy(CONFIG), torch.float32)
    return {
        "positions": 0.1 * atoms.positions[:9],
        "box": 0.1 * atoms.cell,
        "programs": [*program, atoms.types],
        "particles": torch.arange(9),
        "ends": torch.tensor([[0, 1]]),
        "ratios": torch.tensor([0.7], dtype=torch.float64),
        "periodic": atoms.periodic,
        "skin": 0.5,
        "needs_card": True,
        "member": -1,
        "wait": False,
        "handle": torch.empty(0, dtype=torch.int64),
    }


def freed(tensor):
    tensor = tensor.clone()
    tensor.untyped_storage().resize_(0)
    return tensor


WRONG = {
    "too few positions": ("positions", lambda x: x[:8], "9 rows or more, found"),
    "flat positions": ("positions", lambda x: x.flatten(), "three columns"),
    "whole numbers": ("positions", lambda x: x.long(), "float32 or float64"),
    "freed": ("positions", freed, "in memory"),
    "sparse": ("positions", torch.Tensor.to_sparse, "Could not run"),
    "two box vectors": ("box", lambda x: x[:2], "3 rows, found"),
    "freed box": ("box", freed, "in memory"),
    "no program": ("programs", lambda x: [], "4 tensors of each program"),
    "half a program": ("programs", lambda x: x[:-1], "4 tensors of each program"),
    "a short program": (
        "programs",
        lambda x: [x[0][:-1], *x[1:]],
        "expected a program with",
    ),
    "types out of range": (
        "programs",
        lambda x: [*x[:3], x[3] + 3],
        "types from 0 to 2, found 3 to 5",
    ),
    "too few types": ("programs", lambda x: [*x[:3], x[3][:-1]], "shape"),
    "negative particles": ("particles", lambda x: x - 1, "particles from 0"),
    "other particles": ("particles", lambda x: x.int(), "particles of torch.int64"),
    "no particles": ("particles", lambda x: x[:0], "shape"),
    "ends out of range": ("ends", lambda x: x + 2**40, "ends from 0"),
    "an end that is no particle": ("ends", lambda x: x + 9, "11 rows or more"),
    "too many ratios": ("ratios", lambda x: x.repeat(2), "ratios of"),
    "no number": ("ratios", lambda x: x * torch.nan, "finite ratios"),
    "one direction": ("periodic", lambda x: x[:1], "periodic of"),
    "a negative skin": ("skin", lambda x: -1.0, "skin of 0 Å or more"),
}


@pytest.mark.parametrize("about", WRONG)
def test_wrong_arguments_are_refused(about, arguments, monkeypatch):
    play_card(monkeypatch, ProcessorEngine)
    name, change, message = WRONG[about]
    changed = arguments | {name: change(arguments[name])}
    with pytest.raises((ValueError, RuntimeError, NotImplementedError), match=message):
        evaluate(**changed)
    handle = evaluate(**arguments)[3]
    if name in ("positions", "box"):  # of a later call, too
        with pytest.raises(Exception, match=message):
            evaluate(**changed | {"handle": handle})


def test_a_handle_of_another_shape_begins_anew(arguments, monkeypatch):
    play_card(monkeypatch, ProcessorEngine)
    ProcessorEngine.opened = 0
    for other in (torch.zeros(7), torch.tensor([2**40]), freed(torch.zeros(2))):
        evaluate(**arguments | {"handle": other})
    assert ProcessorEngine.opened == 3


def test_a_step_becomes_no_graph(monkeypatch):
    """Replayed, it would neither find the pairs again nor say what is wrong."""
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match=r"CUDA graph, .*; leave out .*Graphs"):
        check_stream()
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    check_stream()


@pytest.mark.parametrize("count", [9, 5000])
def test_launches_and_waits_of_a_step(arguments, monkeypatch, count):
    """At most six, and none once the first list is there."""
    devices = []

    def device():
        devices.append(ListDevice())
        return devices[-1]

    play_card(monkeypatch, device=device)
    if count > 9:
        box = 4.0 * torch.eye(3, dtype=torch.float64)
        random = torch.Generator().manual_seed(0)
        positions = torch.rand((count, 3), generator=random, dtype=torch.float64) * 4.0
        types = torch.arange(count) % 3
        arguments |= {
            "positions": positions,
            "box": box,
            "programs": [*arguments["programs"][:3], types],
            "particles": torch.arange(count),
            "ends": torch.empty((0, 2), dtype=torch.int64),
            "ratios": torch.empty(0, dtype=torch.float64),
        }
    (made,) = [evaluate(**arguments)]
    (device,) = devices
    for number in range(3):
        before = len(device.names), device.waits
        moved = arguments["positions"] + 0.03 * (number == 1)
        made = evaluate(**arguments | {"positions": moved, "handle": made[3]})
        names = device.names[before[0] :]
        assert len(names) <= 6 and device.waits == before[1]
        assert ("bin" in names) == (count > 9)
    assert len(devices) == 1
