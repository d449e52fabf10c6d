# SPDX-License-Identifier: MIT
"""Short trainings of a tiny network: they learn, log, repeat and refuse."""

import json
import logging
import math
import warnings

import numpy as np
import pytest
import torch
from training_helpers import (
    UNMEASURED,
    as_trained,
    assert_same_training,
    checkpoint,
    ethanol,
    fit,
    liquid,
    read_log,
    same,
    short,
    tiny_config,
    weights,
    without,
)

pytest.importorskip("lightning")

from openmm_allegro.model import AllegroEnergy
from openmm_allegro.modelfile import load_model
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.loss import force_loss
from openmm_allegro.training.module import EpochOrder
from openmm_allegro.training.record import COLUMNS
from openmm_allegro.training.train import TrainConfig

MEASURED = [c for c in COLUMNS if c not in UNMEASURED]


def test_errors_fall(finished):
    rows = read_log(finished[0])
    first, last = rows[0], rows[-1]
    assert last["loss"] < 0.25 * first["loss"]
    assert last["validation_score"] < 0.4 * first["validation_score"]
    assert last["forces_rmse"] < 0.6 * first["forces_rmse"]
    assert last["energy_rmse"] < 0.6 * first["energy_rmse"]


def test_log_has_a_row_of_finite_numbers_for_each_epoch(finished):
    rows = read_log(finished[0])
    assert [row["epoch"] for row in rows] == list(range(32))
    assert [row["step"] for row in rows] == list(range(4, 132, 4))
    assert all(math.isfinite(row[column]) for row in rows for column in MEASURED)
    assert all(math.isnan(row["stress_rmse"]) for row in rows)  # no such labels
    assert (np.diff([row["seconds"] for row in rows]) >= 0).all()


def test_returned_model_is_the_file_and_the_best_of_the_log(finished):
    folder, model, _ = finished
    rows = read_log(folder)
    best = min(rows, key=lambda row: row["validation_score"])
    assert same(weights(model), weights(load_model(folder / "model.safetensors")))
    assert model.stored.programs.digest == model.origin.digest
    assert model.provenance["epoch"] == best["epoch"]
    metrics = evaluate(model, ethanol()[16:])["metrics"]
    for column in ("energy_mae", "energy_rmse", "forces_mae", "forces_rmse"):
        found = model.provenance["validation"][column]
        # trained in float32, evaluated in float64; the energies are of -470 eV/atom
        assert metrics[column] == pytest.approx(found, rel=1e-3)
        if column.startswith("forces"):
            assert found == best[column]
    # its shifts were refitted after that row was written
    found = model.provenance["validation"]["energy_rmse"]
    refit = model.provenance["refitted_shifts"]
    assert refit["accepted"] == (found != best["energy_rmse"])
    assert found <= best["energy_rmse"]


def test_provenance(finished):
    _, model, config = finished
    record = model.provenance
    assert record["data"] == "ethanol"
    assert TrainConfig(**record["train"]) == config
    assert record["training_structures"] == 16 and record["validation_structures"] == 4
    assert record["periodic"] == "none"
    assert record["package_version"] and record["torch_version"] == torch.__version__
    assert model.kind == "total" and model.dtype == "float32"
    json.dumps(record)


def standing(**changes):
    """A training at a rate of nearly nothing, whose weights stay what they are."""
    return short(learning_rate=1e-12, ema_decay=0.0, **changes)


def test_loss_of_an_epoch_is_its_own(tmp_path):
    """With a rate of nearly nothing the loss stays what the first weights give."""
    config = standing(max_epochs=2, energy_weight=3.0)
    model = as_trained(fit(tmp_path / "run", config))
    metrics = evaluate(model, ethanol()[:16])["metrics"]
    expected = 3.0 * metrics["energy_rmse"] ** 2 + metrics["forces_rmse"] ** 2
    for row in read_log(tmp_path / "run"):
        assert row["loss"] == pytest.approx(expected * 1e-6, rel=1e-3)


def test_score_is_the_loss_of_the_validation_set(finished):
    for row in read_log(finished[0]):
        expected = 10.0 * row["energy_rmse"] ** 2 + row["forces_rmse"] ** 2
        assert row["validation_score"] == pytest.approx(expected * 1e-6)


@pytest.mark.parametrize(
    "compile",
    [False, pytest.param(True, marks=pytest.mark.slow)],
    ids=["plain", "compiled"],
)
def test_late_weights_make_the_loss_from_their_epoch_on(tmp_path, traced, compile):
    """With a rate of nearly nothing the errors stay, and the loss is a sum of them."""
    config = standing(
        max_epochs=3,
        energy_weight=3.0,
        late_epoch=2,
        late_weights=(500.0, 0.5, 0.0),
        compile=compile,
    )
    model = as_trained(fit(tmp_path / "run", config))
    metrics = evaluate(model, ethanol()[:16])["metrics"]
    energy, forces = ((metrics[f"{k}_rmse"] / 1000) ** 2 for k in ("energy", "forces"))
    early, late = 3.0 * energy + forces, 500.0 * energy + 0.5 * forces
    assert early != pytest.approx(late, rel=0.1)
    rows = read_log(tmp_path / "run")
    expected = [early, early, late]
    assert [r["loss"] for r in rows] == pytest.approx(expected, rel=1e-3)
    for row in rows:  # comparable all along
        score = 500.0 * row["energy_rmse"] ** 2 + 0.5 * row["forces_rmse"] ** 2
        assert row["validation_score"] == pytest.approx(score * 1e-6)


def test_late_stress_weight_needs_stresses(tmp_path):
    config = short(late_epoch=1, late_weights=(1.0, 1.0, 2.0))
    with pytest.raises(ValueError, match=r"their weight is 2\.0, found none"):
        fit(tmp_path / "run", config)


def test_validation_on_stress_alone_needs_stresses(tmp_path):
    config = short(late_epoch=1, late_weights=(0.0, 0.0, 2.0))
    frames = {
        "training": liquid()[:1],
        "validation": [without(liquid()[1], "stress")],
    }
    with pytest.raises(ValueError, match="validation: expected stresses"):
        fit(tmp_path / "run", config, **frames)


def test_validation_without_stresses_is_logged(tmp_path, caplog):
    config = short(max_epochs=1, stress_weight=2.0)
    frames = {
        "training": liquid()[:1],
        "validation": [without(liquid()[1], "stress")],
    }
    with caplog.at_level(logging.WARNING, "openmm_allegro.training.start"):
        fit(tmp_path / "run", config, **frames)
    assert "validation scores leave out stresses" in caplog.text


def test_late_stress_weight_trains_on_stresses(tmp_path):
    config = standing(
        max_epochs=2,
        batch_size=1,
        late_epoch=1,
        late_weights=(0.0, 0.0, 1e6),
    )
    structures = liquid()[:2]
    frames = {"training": structures, "validation": structures}
    model = fit(tmp_path / "run", config, **frames)
    found = evaluate(model, structures)["metrics"]["stress_rmse"] / 1000
    assert read_log(tmp_path / "run")[1]["loss"] == pytest.approx(
        1e6 * found**2, rel=1e-3
    )


def test_mean_length_of_force_errors_as_the_loss(tmp_path):
    config = standing(
        max_epochs=1,
        energy_weight=0.0,
        forces_weight=2.0,
        forces_loss="l2mae",
    )
    model = fit(tmp_path / "run", config)
    (row,) = read_log(tmp_path / "run")
    for column, structures in (
        ("loss", ethanol()[:16]),
        ("validation_score", ethanol()[16:20]),
    ):
        arrays = evaluate(model, structures)["arrays"]
        errors = arrays["forces_prediction"] - arrays["forces_reference"]
        expected = 2.0 * np.linalg.norm(errors, axis=-1).mean()
        assert row[column] == pytest.approx(expected, rel=1e-3)


def test_a_force_that_is_met_has_a_gradient():
    exact = torch.ones(2, 3, dtype=torch.float64)
    predicted = exact.clone().requires_grad_()
    loss = force_loss(predicted, exact, 1.0, short(forces_loss="l2mae"))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(predicted.grad, torch.zeros_like(exact))


def test_unknown_forces_count_for_nothing():
    reference = torch.tensor([[0.0, 0.0, 0.0], [float("nan")] * 3])
    predicted = torch.tensor([[0.0, 3.0, 4.0], [7.0, 7.0, 7.0]], requires_grad=True)
    loss = force_loss(predicted, reference, 1.0, short(forces_loss="l2mae"))
    loss.backward()
    assert loss.item() == pytest.approx(5.0, abs=1e-3)
    assert torch.isfinite(predicted.grad).all()
    assert torch.equal(predicted.grad[1], torch.zeros(3))


def test_last_incomplete_batch_counts_by_its_size(tmp_path):
    config = standing(max_epochs=1, batch_size=7)
    model = as_trained(fit(tmp_path / "run", config))
    metrics = evaluate(model, ethanol()[:16])["metrics"]
    expected = metrics["energy_rmse"] ** 2 + metrics["forces_rmse"] ** 2
    (row,) = read_log(tmp_path / "run")
    assert row["step"] == 3
    assert row["loss"] == pytest.approx(expected * 1e-6, rel=1e-3)


def test_order_of_samples_depends_on_seed_and_epoch():
    def order(seed, epoch):
        sampler = EpochOrder(50, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(o) == list(range(50)) for o in orders)
    assert len({tuple(o) for o in orders}) == 4
    assert orders[0] == order(0, 0)


def test_averaged_weights_are_validated_and_saved(tmp_path):
    model = fit(tmp_path / "run", short(max_epochs=1))
    state = checkpoint(tmp_path / "run")
    saved = {f"energy.network.{k}": v for k, v in weights(model).items()}
    average, current = state["state_dict"], state["current_model_state"]
    assert all(torch.equal(v, average[k].double()) for k, v in saved.items())
    assert not all(torch.equal(v, current[k].double()) for k, v in saved.items())


def test_seed_decides_all(tmp_path):
    torch.manual_seed(1)
    first = fit(tmp_path / "a", short(max_epochs=2, seed=5))
    torch.manual_seed(2)  # no global state enters
    second = fit(tmp_path / "b", short(max_epochs=2, seed=5))
    other = fit(tmp_path / "c", short(max_epochs=2, seed=6))
    assert_same_training(tmp_path / "a", tmp_path / "b")
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(other))


@pytest.mark.parametrize(
    ("training", "validation", "config", "message"),
    [
        ([], ethanol()[:1], short(), "training: expected at least one structure"),
        (ethanol()[:1], [], short(), "validation: expected at least one structure"),
        (
            [ethanol()[0], without(ethanol()[1], "energy")],
            ethanol()[2:3],
            short(),
            "training structure 1: expected an energy, found none; of 2 structures 1",
        ),
        (
            ethanol()[:1],
            [without(ethanol()[1], "forces")],
            short(),
            "validation: expected forces because their weight is 1, found none in",
        ),
        (
            ethanol()[:1],
            ethanol()[1:2],
            short(stress_weight=2.0),
            r"expected stresses because their weight is 2\.0, found none",
        ),
    ],
)
def test_unusable_data(tmp_path, training, validation, config, message):
    with pytest.raises(ValueError, match=message):
        fit(tmp_path / "run", config, training=training, validation=validation)
    assert not (tmp_path / "run").exists()


def test_unknown_element(tmp_path):
    with pytest.raises(ValueError, match=r"expected only the elements .* found O"):
        fit(tmp_path / "run", short(), model=tiny_config(("H", "C")))
    assert not (tmp_path / "run").exists()


def test_diverging_training_ends_with_a_message(tmp_path):
    with pytest.raises(ValueError, match=r"expected a finite loss, found .* epoch 0"):
        fit(tmp_path / "run", short(learning_rate=100.0, energy_weight=1e12))


def test_stress_alone_trains_the_weights(tmp_path):
    only = dict(energy_weight=0.0, forces_weight=0.0, stress_weight=1e4)
    config = short(max_epochs=5, ema_decay=0.0, batch_size=2, **only)
    frames = liquid()
    model = fit(tmp_path / "run", config, training=frames[:2], validation=frames[2:])
    rows = read_log(tmp_path / "run")
    assert all(math.isfinite(row["stress_rmse"]) for row in rows)
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert rows[0]["validation_score"] == pytest.approx(
        1e4 * (rows[0]["stress_rmse"] / 1000) ** 2
    )
    start = AllegroEnergy(model.config, model.statistics, config.seed).network
    assert not same(weights(model), dict(start.state_dict()))
    assert model.provenance["periodic"] == "all"


def test_frames_without_stress_among_others_with(tmp_path):
    config = short(max_epochs=1, stress_weight=10.0, batch_size=1)
    frames = [liquid()[0], without(liquid()[1], "stress")]
    fit(tmp_path / "run", config, training=frames, validation=frames)
    assert math.isfinite(read_log(tmp_path / "run")[0]["loss"])


def test_nothing_but_our_lines_on_the_console(tmp_path, capfd):
    loggers = [logging.getLogger(f"lightning.{x}") for x in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(tmp_path / "run", short(max_epochs=1))
        fit(tmp_path / "run", short(max_epochs=2), resume=True)
    assert [str(w.message) for w in caught] == []
    assert capfd.readouterr() == ("", "")
    assert [logger.level for logger in loggers] == levels


def test_progress_line_shows_validation_errors(tmp_path, capfd):
    frames = ethanol()[:2]
    fit(
        tmp_path / "run",
        short(max_epochs=1),
        training=frames,
        validation=frames,
        progress=True,
    )
    shown = "".join(capfd.readouterr())
    assert "Epoch 0" in shown and "F_rmse_meV=" in shown and "E_rmse_meV=" in shown
