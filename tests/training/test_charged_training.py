# SPDX-License-Identifier: MIT
"""Trainings with charges from start to end: resumed, refitted, compiled, refused."""

import dataclasses

import pytest
import torch
from training_helpers import (
    assert_same_training,
    ethanol,
    fit,
    short,
    tiny_config,
)

pytest.importorskip("lightning")

from openmm_allegro.modelfile import load_model
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.refit import energy_residuals
from openmm_allegro.training.samples import make_samples

START = {"H": 0.1, "C": -0.1, "O": -0.4}


def charged_config(charges="learned"):
    return tiny_config(charges=charges, charge_start=START)


@pytest.fixture(scope="module", params=["learned", "constant"])
def trained(request, tmp_path_factory):
    """Folder of a training of four epochs, and its model."""
    folder = tmp_path_factory.mktemp(request.param)
    return folder, fit(folder, short(), model=charged_config(request.param))


def test_charged_training_learns_charges(trained):
    folder, model = trained
    start = model.energy.charges.start.detach()
    before = torch.tensor([START[e] for e in model.config.elements]).double()
    assert 1e-4 < (start - before).abs().max() < 0.5
    stored = load_model(folder / "model.safetensors")
    assert torch.equal(stored.energy.charges.start, start)
    assert evaluate(stored, ethanol()[16:])["metrics"]["forces_rmse"] < 4000


def test_refit_leaves_no_offset_of_the_final_charges(trained):
    _, model = trained
    samples = make_samples(ethanol()[:16], model.config, torch.float32)
    assert model.provenance["refitted_shifts"]["accepted"]
    assert abs(energy_residuals(model, samples, "cpu").offset()) < 0.01


def test_resumed_charged_training_is_the_same(trained, tmp_path):
    folder, model = trained
    settings = short(max_epochs=2)
    fit(tmp_path / "parts", settings, model=model.config)
    longer = dataclasses.replace(settings, max_epochs=4)
    fit(tmp_path / "parts", longer, model=model.config, resume=True)
    assert_same_training(folder, tmp_path / "parts")
