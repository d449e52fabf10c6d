# SPDX-License-Identifier: MIT
"""Several processes take the steps that one takes with larger batches."""

import dataclasses
import logging

import pytest
import torch
from training_helpers import ethanol, fit, liquid, read_log, short, weights, without

from openmm_allegro.training import devices
from openmm_allegro.training.config import TrainConfig
from openmm_allegro.training.devices import (
    SharedBatches,
    check_devices,
    gather,
    shared_part,
)
from openmm_allegro.training.module import EpochOrder


@pytest.mark.parametrize("count", [3, 8, 9, 11, 12, 13])
@pytest.mark.parametrize("number", [2, 3])
def test_batches_of_all_processes_are_those_of_the_order(count, number):
    """No structure twice, none left out, and no process without any."""
    order = EpochOrder(count, seed=4)
    for epoch in (0, 5):
        order.set_epoch(epoch)
        parts = [SharedBatches(order, 2, rank, number) for rank in range(number)]
        assert len({len(part) for part in parts}) == 1
        steps = list(zip(*parts, strict=True))
        assert len(steps) == len(parts[0])
        assert all(part for step in steps for part in step)
        taken = [i for step in steps for part in step for i in part]
        assert sorted(taken) == list(range(count))
        whole = list(order)
        for step, batches in enumerate(steps[:-1]):
            batch = {i for part in batches for i in part}
            assert batch == set(whole[step * 2 * number : (step + 1) * 2 * number])


def test_validation_batches_come_back_in_order(monkeypatch):
    for count, number in ((9, 2), (3, 2), (2, 2), (7, 3)):
        parts = [shared_part(count, 2, rank, number) for rank in range(number)]
        assert all(parts)
        monkeypatch.setattr(devices, "collect", lambda _, parts=parts: parts)
        assert [i for batch in gather([]) for i in batch] == list(range(count))


def test_what_cannot_be_shared(monkeypatch):
    with pytest.raises(ValueError, match=r"compile = false .* found devices = 2"):
        TrainConfig(devices=2, compile=True)
    with pytest.raises(ValueError, match="expected devices of at most 1, the number o"):
        check_devices(short(devices=2), "cpu", (8, 1))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"at most 1, the number of GPUs, found 2"):
        check_devices(short(devices=2), "cuda", (8, 8))
    check_devices(short(devices=2), "cpu", (8, 8))


def test_graphs_have_one_device():
    from openmm_allegro.training.graphs import check_graphs

    with pytest.raises(ValueError, match=r"one device .* found devices = 2"):
        check_graphs("run", short(devices=2), ethanol()[:8], ethanol()[8:10])


def mixed():
    """Frames of two sizes, of which one has no forces."""
    frames = [*ethanol()[:5], without(ethanol()[5], "forces"), *liquid()[:1]]
    return frames, [*ethanol()[8:11], *liquid()[1:2]]


# Muon, whose steps show a difference of the gradients by their direction alone.
MUON = {"optimizer": "muon", "learning_rate": 0.01, "momentum": 0.9, "max_epochs": 2}


def assert_equal_trainings(tmp_path, **changes):
    training, validation = mixed()
    settings = short(dtype="float64", **(MUON | changes))
    runs = {}
    for name, number in (("one", 1), ("two", 2)):
        config = dataclasses.replace(settings, devices=number, batch_size=4 // number)
        runs[name] = fit(
            tmp_path / name, config, training=training, validation=validation
        )
    rows = [read_log(tmp_path / name) for name in runs]
    for ours, theirs in zip(*rows, strict=True):
        for column in ("step", "loss", "validation_score", "forces_rmse"):
            assert ours[column] == pytest.approx(theirs[column], rel=1e-7), column
    one, two = (weights(model) for model in runs.values())
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-6, atol=1e-8)


def test_a_process_that_does_not_end_is_ended_without_an_error(monkeypatch):
    """On a busy machine it takes its time, when its training is done."""
    program = "import time; print('hello'); print('ready', flush=True); time.sleep(600)"
    monkeypatch.setattr(devices, "_PROGRAM", program)
    monkeypatch.setattr(devices, "_PATIENCE", 0.05)
    for name in ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.setenv(name, "")
    group = devices.Group(2, ())
    group.start()
    group.stop(None)
    assert group.processes[0].returncode < 0


@pytest.mark.slow  # 10 s: the second process imports torch and Lightning
def test_two_processes_are_one_with_twice_the_batch(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        assert_equal_trainings(tmp_path)
    assert "training in 2 processes" in caplog.text
    files = sorted(p.name for p in (tmp_path / "two").iterdir())
    assert files == sorted(p.name for p in (tmp_path / "one").iterdir())


@pytest.mark.slow
def test_resumed_processes_take_the_steps_of_one_without_a_break(tmp_path):
    training, validation = mixed()
    data = {"training": training, "validation": validation}
    settings = short(dtype="float64", devices=2, batch_size=2, **MUON)
    one = dataclasses.replace(settings, devices=1, batch_size=4)
    whole = fit(tmp_path / "whole", one, **data)
    first = dataclasses.replace(settings, max_epochs=1)
    fit(tmp_path / "parts", first, **data)
    resumed = fit(tmp_path / "parts", settings, resume=True, **data)
    for name, weight in weights(whole).items():
        torch.testing.assert_close(weights(resumed)[name], weight, rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_a_process_that_fails_ends_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_PROGRAM", "raise SystemExit('no memory')")
    with pytest.raises(RuntimeError, match="number 1 failed: no memory"):
        fit(tmp_path / "run", short(devices=2, batch_size=2))
