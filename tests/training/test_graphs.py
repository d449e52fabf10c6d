# SPDX-License-Identifier: MIT
"""Steps as CUDA graphs are the steps without them; the CPU takes the same code."""

import pytest
import torch
from training_helpers import ethanol, short, tiny_config

from openmm_allegro.training.graphs import GraphTraining, train_together

# Devices, and whether the step is compiled.
CASES = (
    pytest.param("cpu", False, marks=pytest.mark.slow),
    pytest.param("cuda", False, marks=pytest.mark.gpu),
    pytest.param("cuda", True, marks=pytest.mark.gpu),
)
STEPS = 6


def make(folder, device, *, compile=False, epochs=3):
    return GraphTraining(
        tiny_config(),
        short(max_epochs=epochs, batch_size=4, device=device, compile=compile),
        ethanol()[:8],
        ethanol()[8:12],
        folder,
    )


def losses_and_weights(training, step):
    """Sum of the losses after each of some steps, and the averaged weights at last."""
    losses = []
    for _ in range(STEPS):
        step()
        if training.graph.stream is not None:
            torch.cuda.synchronize()
        losses.append(float(training.graph.loss))
    weights = training.graph.averaged.parameters()
    return losses, [weight.detach().cpu() for weight in weights]


@pytest.mark.parametrize(("device", "compile"), CASES)
def test_replays_are_the_steps_without_a_graph(tmp_path, device, compile):
    replayed = make(tmp_path / "replayed", device, compile=compile)
    taken = make(tmp_path / "taken", device, compile=compile)

    def take():
        with torch.cuda.stream(taken.graph.stream):
            taken.graph._take()

    losses, weights = losses_and_weights(replayed, replayed.graph.replay)
    others, other_weights = losses_and_weights(taken, take)
    # To the last bit on a CPU; a GPU's sums have no order of their own.
    tolerance = 0.0 if device == "cpu" else 1e-5
    assert losses == pytest.approx(others, rel=tolerance, abs=0.0)
    for weight, other in zip(weights, other_weights, strict=True):
        torch.testing.assert_close(weight, other, rtol=tolerance, atol=tolerance)
    assert int(replayed.graph.steps_done) == int(taken.graph.steps_done) == STEPS


@pytest.mark.gpu
def test_losses_of_a_gpu_are_those_of_a_cpu(tmp_path):
    rows = [
        losses_and_weights(training, training.graph.replay)[0]
        for training in (make(tmp_path / name, name) for name in ("cpu", "cuda"))
    ]
    assert rows[1] == pytest.approx(rows[0], rel=1e-4)


@pytest.mark.gpu
def test_trainings_side_by_side_are_those_alone(tmp_path):
    """Each has a stream of its own, and a resumed one has the same tensors."""
    together = [make(tmp_path / f"together{n}", "cuda") for n in range(2)]
    train_together(together, every=1)
    alone = make(tmp_path / "alone", "cuda")
    train_together([alone], every=1)
    for training in together:
        for key, value in alone.graph.tensors().items():
            other = training.graph.tensors()[key]
            torch.testing.assert_close(other, value, rtol=1e-4, atol=1e-5)
    again = GraphTraining(
        tiny_config(),
        short(max_epochs=3, batch_size=4, device="cuda"),
        ethanol()[:8],
        ethanol()[8:12],
        tmp_path / "alone",
        resume=True,
    )
    assert again.done
    for key, value in alone.graph.tensors().items():
        torch.testing.assert_close(again.graph.tensors()[key], value, rtol=0, atol=0)
