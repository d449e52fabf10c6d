# SPDX-License-Identifier: MIT
"""Trainings with charges from start to end: resumed, refitted, compiled, refused."""

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from training_helpers import (
    ETHANOL,
    assert_same_training,
    ethanol,
    fit,
    read_log,
    short,
    tiny_config,
    training_toml,
)

pytest.importorskip("lightning")

from openmm_allegro.cli import main
from openmm_allegro.model import AllegroConfig
from openmm_allegro.modelfile import load_model
from openmm_allegro.training.config import DataConfig, TrainConfig
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.refit import energy_residuals
from openmm_allegro.training.samples import make_samples
from openmm_allegro.utils.config import from_mapping

ROOT = Path(__file__).parents[2]
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


def test_command_trains_and_evaluates_charges(tmp_path, monkeypatch, capsys, undrawn):
    monkeypatch.chdir(tmp_path)
    Path("data.extxyz").write_text(ETHANOL.read_text())
    text = training_toml(
        {"training": ["data.extxyz"], "validation_size": 4},
        {"max_epochs": 1, "batch_size": 8},
    )
    start = ", ".join(f"{element} = {q}" for element, q in START.items())
    charges = f'[model]\ncharges = "learned"\ncharge_start = {{{start}}}'
    Path("charged.toml").write_text(text.replace("[model]", charges))
    assert main(["train", "charged.toml", "--output", "run"]) == 0
    capsys.readouterr()
    options = ["--frames", "frames.csv", "--json", "errors.json"]
    model = "run/model.safetensors"
    assert main(["evaluate", model, "data.extxyz", *options]) == 0
    printed = capsys.readouterr().out
    table = printed.partition("charges, e")[2].partition("\n\n")[0]
    names = [line.split()[0] for line in table.splitlines()[1:]]
    assert names == ["C", "H", "O", "C2H6O"]
    metrics = json.loads(Path("errors.json").read_text())
    assert metrics["molecule_charges"]["C2H6O"]["mean"] == pytest.approx(0, abs=1e-9)
    assert "wave_a_e" not in Path("frames.csv").read_text()  # there is no box


def test_toml_of_the_manual_is_one_of_charges():
    text = (
        (ROOT / "docs" / "train.md").read_text("utf-8").partition("\n## Charges\n")[2]
    )
    tables = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1])
    model = from_mapping(AllegroConfig, tables["model"], "model")
    assert model.charges == "learned" and model.charge_start["O"] == -0.54
    from_mapping(DataConfig, tables["data"], "data")
    from_mapping(TrainConfig, tables["train"], "train")


@pytest.mark.slow
def test_two_processes_train_charges_as_one_does(tmp_path):
    config = charged_config()
    one = fit(tmp_path / "one", short(max_epochs=2), model=config)
    shared = short(max_epochs=2, batch_size=2, devices=2)
    two = fit(tmp_path / "two", shared, model=config)
    weights = (model.energy.parameters() for model in (one, two))
    for ours, theirs in zip(*weights, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_compiled_training_with_charges_is_the_plain_one(trained, tmp_path, compiled):
    folder, model = trained
    fit(tmp_path / "compiled", short(compile=True), model=model.config)
    plain, ours = (read_log(path) for path in (folder, tmp_path / "compiled"))
    for column in ("loss", "validation_score", "energy_rmse", "forces_rmse"):
        values = ([row[column] for row in rows] for rows in (plain, ours))
        np.testing.assert_allclose(*values, rtol=1e-3)
