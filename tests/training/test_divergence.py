# SPDX-License-Identifier: MIT
"""A training that has diverged ends, and says what to change; a spike is no end."""

import math

import pytest
from training_helpers import checkpoint, ethanol, fit, read_log, short, tiny_config

pytest.importorskip("lightning")

from openmm_allegro.modelfile import load_model
from openmm_allegro.training import divergence
from openmm_allegro.training.config import LossWeights, TrainConfig
from openmm_allegro.training.divergence import Divergence
from openmm_allegro.training.graphs import GraphTraining, train_together

EARLY, LATE = LossWeights(1.0, 1.0, 0.0), LossWeights(100.0, 1.0, 0.0)


def end_of(losses, weights=None):
    """Number of epochs until the end, or None."""
    check = Divergence(TrainConfig())
    for epoch, loss in enumerate(losses):
        other = Divergence(TrainConfig())
        other.load(check.state())  # as if resumed
        check = other
        try:
            check.check(loss, EARLY if weights is None else weights[epoch])
        except ValueError:
            return epoch + 1
    return None


def test_three_epochs_far_above_the_lowest_are_the_end():
    assert end_of([5.0, 1.0, 11.0, 12.0, 13.0]) == 5
    assert end_of([5.0, 1.0, 9.0, 9.0, 9.0, 9.0]) is None
    assert end_of([1.0, 11.0, 12.0, 2.0, 20.0, 30.0, 5.0]) is None  # spikes
    assert end_of([1.0, math.inf, math.inf, math.inf]) == 4


def test_losses_with_other_weights_do_not_compare():
    assert end_of([1.0] + [20.0] * 4, [EARLY] + [LATE] * 4) is None


def rising(monkeypatch):
    """Count any epoch that is no better than the best as one far above it."""
    monkeypatch.setattr(divergence, "FACTOR", 1.0)


def test_a_training_ends_with_its_best_model_kept(tmp_path, monkeypatch):
    rising(monkeypatch)
    config = short(max_epochs=50, learning_rate=1.0, optimizer="muon")
    message = r"for 3 epochs: .* has diverged; .* learning_rate below 1 or a momentum"
    with pytest.raises(ValueError, match=message):
        fit(tmp_path / "run", config)
    rows = read_log(tmp_path / "run")
    assert len(rows) < 50
    best = min(rows, key=lambda row: row["validation_score"])
    kept = load_model(tmp_path / "run" / "model.safetensors").provenance
    assert kept["epoch"] == best["epoch"]
    assert checkpoint(tmp_path / "run")["epoch"] == len(rows) - 2  # before the end


def test_trainings_of_graphs_end_alike(tmp_path, monkeypatch):
    rising(monkeypatch)
    config = short(max_epochs=50, learning_rate=1.0, optimizer="muon")
    training = GraphTraining(
        tiny_config(), config, ethanol()[:8], ethanol()[8:12], tmp_path / "run"
    )
    with pytest.raises(FloatingPointError, match=r"run: .* the training has diverged"):
        train_together([training], every=1)
