# SPDX-License-Identifier: MIT
"""Deviations of committees beside their errors, where both are known."""

import json

import numpy as np
import pytest
from training_helpers import ETHANOL, ethanol, tiny_model

from openmm_allegro.cli.main import main
from openmm_allegro.modelfile import save_model
from openmm_allegro.training.calibration import calibrate, committee_result
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.reliability import reliability_plot

ELEMENTS = ("H", "C", "O")


def committee(members, samples, components, factor, seed=0):
    """Errors and deviations of Gaussian members whose spread is too small."""
    random = np.random.default_rng(seed)
    sigma = np.exp(random.normal(0.0, 0.7, samples))[:, None]
    error = factor * sigma * random.normal(size=(samples, components))
    shape = (members, samples, components)
    variances = (sigma * random.normal(size=shape)).var(axis=0, ddof=1)
    return np.linalg.norm(error, axis=1), np.sqrt(variances.sum(axis=1))


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("members", [3, 4, 10])
def test_the_scale_is_recovered(members, components):
    """Standard errors of the scales are below 1 % of 40,000 samples."""
    error, deviation = committee(members, 40_000, components, 2.5)
    result = calibrate(error, deviation, members, components)
    assert result.scale == pytest.approx(2.5, rel=0.05)
    if components * (members - 1) > 4:  # else the mean of 1/s² has no variance
        assert result.likely_scale == pytest.approx(2.5, rel=0.05)
    elif components * (members - 1) <= 2:
        assert np.isnan(result.likely_scale)
    assert result.miscalibration > 0.5
    assert result.miscalibration_scaled < result.miscalibration
    assert 0.2 < result.rank_correlation < 1


def test_deviations_of_many_members_are_calibrated_by_one_factor():
    error, deviation = committee(200, 40_000, 1, 2.5)
    result = calibrate(error, deviation, 200)
    assert result.miscalibration == pytest.approx(1.5, abs=0.05)
    assert result.miscalibration_scaled < 0.05
    for part in result.bins:
        assert part.error == pytest.approx(2.5 * part.deviation, rel=0.1)
    deviations = [part.deviation for part in result.bins]
    assert deviations == sorted(deviations)
    assert sum(part.samples for part in result.bins) == 40_000


def test_deviations_that_say_nothing():
    error = np.abs(np.random.default_rng(0).normal(size=1000))
    result = calibrate(error, np.full(1000, 0.5), 5)
    assert result.scale == pytest.approx(np.sqrt((error**2).mean()) / 0.5)
    assert np.isnan(result.rank_correlation)
    none = calibrate(error, np.zeros(1000), 5)
    assert np.isnan(none.scale) and np.isnan(none.miscalibration)


@pytest.fixture(scope="module")
def models():
    """Three models of one network whose weights differ a little."""
    import torch

    members = []
    for seed in range(3):
        model = tiny_model()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in model.energy.network.parameters():
                noise = torch.randn(weight.shape, generator=generator)
                weight += 0.01 * noise * weight.std(correction=0)
        members.append(model)
    return members


def test_a_committee_predicts_the_mean(models, tmp_path):
    results = [evaluate(model, ethanol()[:6]) for model in models]
    result = committee_result(results, ELEMENTS)
    forces = np.stack([r["arrays"]["forces_prediction"] for r in results])
    mean = result["arrays"]["forces_prediction"]
    np.testing.assert_allclose(mean, forces.mean(0))
    squares = ((forces - mean) ** 2).sum(axis=(0, 2)) / 2
    deviation = result["arrays"]["forces_deviation"]
    np.testing.assert_allclose(deviation, np.sqrt(squares), rtol=1e-6)
    error = mean - result["arrays"]["forces_reference"]
    rmse = 1000 * np.sqrt((error**2).mean())
    assert result["metrics"]["forces_rmse"] == pytest.approx(rmse)
    lengths = 1000 * np.linalg.norm(error, axis=1)
    assert result["calibration"]["forces"].error == pytest.approx(
        np.sqrt((lengths**2).mean())
    )
    pytest.importorskip("matplotlib")
    path = reliability_plot(
        result["arrays"], result["calibration"], tmp_path / "new" / "c.png"
    )
    assert path.stat().st_size > 1000
    for member in results:
        member["arrays"]["forces_reference"][:] = np.nan
    alone = committee_result(results, ELEMENTS)
    assert alone["calibration"]["forces"] is None
    assert alone["calibration"]["energy"].samples == 6
    reliability_plot(alone["arrays"], alone["calibration"], tmp_path / "energy.png")


def test_several_models_on_the_command_line(models, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    paths = [tmp_path / f"{i}.safetensors" for i in range(3)]
    for model, path in zip(models, paths, strict=True):
        save_model(model, path, with_programs=False)
    target, image = tmp_path / "errors.json", tmp_path / "calibration.png"
    arguments = ["evaluate", *map(str, paths), str(ETHANOL), "--json", str(target)]
    assert main([*arguments, "--calibration", str(image)]) == 0
    printed = capsys.readouterr().out
    for word in ("0.safetensors", "mean", "committee", "not known what the training"):
        assert word in printed
    assert image.stat().st_size > 1000
    errors = json.loads(target.read_text())
    assert list(errors["members"]) == [path.name for path in paths]
    assert list(errors["files"]) == [str(ETHANOL)]
    assert errors["files"][str(ETHANOL)]["forces_rmse"] == errors["forces_rmse"]
    assert errors["calibration"]["forces"]["samples"] == 180
    assert main(["evaluate", str(paths[0]), str(paths[1])]) == 2
    assert "files of frames" in capsys.readouterr().err
    assert main(["evaluate", str(ETHANOL), str(paths[1])]) == 2
    assert "*.safetensors" in capsys.readouterr().err
    single = ["evaluate", str(paths[0]), str(ETHANOL), "--calibration", "x.png"]
    assert main(single) == 2
    assert "several models" in capsys.readouterr().err
