# SPDX-License-Identifier: MIT
"""The average of the weights follows them closely, and the better of both is kept."""

import logging
import math

import pytest
import torch
from training_helpers import checkpoint, ethanol, fit, read_log, short, weights
from training_helpers import tiny_config as network

pytest.importorskip("lightning")

from openmm_allegro.training import averaging, graph_step
from openmm_allegro.training.averaging import AveragedWeights, share_of_next
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.graphs import GraphTraining, train_together
from openmm_allegro.training.record import MONITOR, better_weights


def averaged(values, decay):
    """The moving average of numbers, by its definition."""
    average = values[0]
    for step, value in enumerate(values[1:], start=1):
        average += share_of_next(step, decay) * (value - average)
    return average


@pytest.mark.parametrize("steps", [1, 10, 1296])
def test_the_average_lags_by_a_fiftieth_of_the_steps(steps):
    """Of weights that move at a constant speed, as long as the window grows."""
    found = averaged([float(step) for step in range(steps + 1)], 0.999999)
    assert steps - found == pytest.approx(steps / 50, rel=1e-9)


def test_the_window_ends_with_the_decay():
    assert share_of_next(0, 0.99) == 1.0
    assert share_of_next(10_000, 0.99) == pytest.approx(0.01)
    found = averaged([float(step) for step in range(20_000)], 0.99)
    assert 19_999 - found == pytest.approx(0.99 / 0.01)


def test_the_callback_takes_these_steps():
    module = torch.nn.Linear(1, 1, bias=False)
    callback = AveragedWeights(0.9)
    values = [float(x) for x in torch.randn(500, generator=torch.manual_seed(0))]
    averages = torch.optim.swa_utils.AveragedModel(module, **callback._kwargs)
    for value in values:
        torch.nn.init.constant_(module.weight, value)
        averages.update_parameters(module)
    found = averages.module.weight.item()
    assert found == pytest.approx(averaged(values, 0.9), abs=1e-5)


def test_the_better_weights_are_chosen():
    def scored(value):
        def measure():
            if not math.isfinite(value):
                raise ValueError("expected finite predictions")
            return {MONITOR: value}

        return measure

    def chosen(*scores, best=1.0, both=False):
        weights, metrics = better_weights(*map(scored, scores), best, both=both)
        return weights, metrics[MONITOR]

    assert chosen(0.5, 0.4) == ("averaged", 0.5)  # which is the best so far
    assert chosen(0.5, 0.4, both=True) == ("current", 0.4)
    assert chosen(2.0, 0.4) == ("current", 0.4)
    assert chosen(2.0, 3.0) == ("averaged", 2.0)
    assert chosen(math.nan, 3.0) == ("current", 3.0)
    assert chosen(2.0, math.inf) == ("averaged", 2.0)
    with pytest.raises(ValueError, match="finite"):
        chosen(math.nan, math.nan)


@pytest.fixture
def lagging(monkeypatch):
    """Let averages stay where they begin."""
    for module in (averaging, graph_step):
        monkeypatch.setattr(
            module, "share_of_next", lambda steps, decay: float(steps == 0)
        )


def test_current_weights_are_saved_in_the_place_of_a_lagging_average(
    tmp_path, lagging, caplog
):
    """And a training of graphs does the same."""
    config = short(max_epochs=3, schedule="cosine")
    with caplog.at_level(logging.INFO, "openmm_allegro.training.record"):
        model = fit(tmp_path / "plain", config)
    assert model.provenance["weights"] == "current"
    state = checkpoint(tmp_path / "plain")["current_model_state"]
    for name, value in weights(model).items():
        assert torch.equal(value, state[f"energy.network.{name}"].double())
    row = read_log(tmp_path / "plain")[-1]
    metrics = evaluate(model, ethanol()[16:])["metrics"]
    assert metrics["forces_rmse"] == pytest.approx(row["forces_rmse"], rel=1e-3)
    assert "epoch 2" in caplog.text
    assert "current weights, better than the averaged ones" in caplog.text
    sets = ethanol()[:16], ethanol()[16:]
    graph = GraphTraining(network(), config, *sets, tmp_path / "graph")
    (other,) = train_together([graph], every=1)
    assert other.provenance["weights"] == "current"
    for name, value in weights(other).items():
        torch.testing.assert_close(value, weights(model)[name], rtol=1e-3, atol=1e-4)
    assert read_log(tmp_path / "graph")[-1][MONITOR] == pytest.approx(
        row[MONITOR], rel=1e-3
    )
