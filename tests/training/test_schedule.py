# SPDX-License-Identifier: MIT
"""The optimiser's steps: learning rates, early stop and gradient clipping."""

import math

import numpy as np
import pytest
import torch
from training_helpers import fit, rates, read_log, short

pytest.importorskip("lightning")


def test_cosine_schedule_with_warm_up(tmp_path):
    config = short(max_epochs=5, schedule="cosine", warmup_steps=10, final_rate=0.1)
    fit(tmp_path / "run", config)
    expected = []
    for step in range(4, 24, 4):
        cosine = 0.5 * (1 + math.cos(math.pi * step / 20))
        expected.append(0.02 * min(1, (step + 1) / 10) * (0.1 + 0.9 * cosine))
    np.testing.assert_allclose(rates(tmp_path / "run"), expected, rtol=1e-6)
    assert rates(tmp_path / "run")[-1] == pytest.approx(0.1 * 0.02)


def test_constant_schedule_with_warm_up(tmp_path):
    fit(tmp_path / "run", short(max_epochs=3, warmup_steps=10))
    expected = [0.02 * 5 / 10, 0.02 * 9 / 10, 0.02]
    np.testing.assert_allclose(rates(tmp_path / "run"), expected)


def test_plateau_schedule(tmp_path):
    """A rate too small to better the score falls every two epochs, to its floor."""
    config = short(
        max_epochs=9,
        learning_rate=1e-7,
        ema_decay=0.0,
        schedule="plateau",
        plateau_patience=1,
        plateau_factor=0.5,
        final_rate=0.3,
    )
    fit(tmp_path / "run", config)
    expected = [1.0] * 3 + [0.5] * 2 + [0.3] * 4
    np.testing.assert_allclose(rates(tmp_path / "run"), np.multiply(expected, 1e-7))


def test_early_stop(tmp_path):
    config = short(
        max_epochs=50, learning_rate=1e-12, ema_decay=0.0, early_stop_patience=2
    )
    fit(tmp_path / "run", config)
    assert len(read_log(tmp_path / "run")) == 3  # the best and two that are no better


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_weight_decay(tmp_path, optimizer):
    """With it the same steps leave smaller weights."""
    norms = {}
    for decay in (0.0, 5.0):
        config = short(
            max_epochs=1, optimizer=optimizer, weight_decay=decay, ema_decay=0.0
        )
        model = fit(tmp_path / f"{optimizer}_{decay}", config)
        matrices = [p for p in model.energy.parameters() if p.ndim == 2]
        norms[decay] = float(sum(p.detach().square().sum() for p in matrices)) ** 0.5
    # four steps at 0.02, but for the steps themselves and the embeddings of Muon
    assert 0.6 < norms[5.0] / norms[0.0] < 0.8


def test_averaged_weights(tmp_path, monkeypatch):
    """The model has the moving average of the steps' weights, begun with those of the
    first."""
    steps = []

    class Recorder(torch.optim.Adam):
        def step(self, closure):
            loss = super().step(closure)
            weights = [p.detach() for g in self.param_groups for p in g["params"]]
            steps.append(torch.cat([w.flatten() for w in weights]))
            return loss

    monkeypatch.setattr(torch.optim, "Adam", Recorder)
    config = short(max_epochs=1, ema_decay=0.7, dtype="float64")
    model = fit(tmp_path / "run", config)
    found = torch.cat([p.detach().flatten() for p in model.energy.parameters()])
    assert len(steps) == 4
    first, second, third = 49 / 50, 49 / 51, 49 / 52  # of the steps after the first
    rest = 1 - third, (1 - second) * (1 - third)
    shares = [(1 - first) * rest[1], first * rest[1], second * rest[0], third]
    expected = sum(share * step for share, step in zip(shares, steps, strict=True))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(found, steps[-1], rtol=1e-4)
    assert model.provenance["weights"] == "averaged"


@pytest.mark.parametrize("clip", [0.0, 1e-3])
def test_gradient_clip(tmp_path, monkeypatch, clip):
    norms = []

    class Recorder(torch.optim.Adam):
        def step(self, closure):
            def recorded():
                loss = closure()
                gradients = [p.grad for g in self.param_groups for p in g["params"]]
                norms.append(
                    float(
                        torch.cat(
                            [g.flatten() for g in gradients if g is not None]
                        ).norm()
                    )
                )
                return loss

            return super().step(recorded)

    monkeypatch.setattr(torch.optim, "Adam", Recorder)
    fit(tmp_path / "run", short(max_epochs=1, gradient_clip=clip))
    assert len(norms) == 4
    if clip:
        np.testing.assert_allclose(norms, clip, rtol=1e-3)
    else:
        assert min(norms) > 0.01
