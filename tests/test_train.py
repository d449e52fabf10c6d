# SPDX-License-Identifier: MIT
"""Short trainings of a tiny network: they learn, repeat, resume and refuse."""

import dataclasses
import hashlib
import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from training_helpers import (
    ETHANOL,
    LIQUID,
    ethanol,
    liquid,
    read_log,
    tiny_config,
    without,
)

pytest.importorskip("lightning")

from openmm_allegro import lightning_module
from openmm_allegro import train as train_module
from openmm_allegro.evaluate import evaluate
from openmm_allegro.model import AllegroEnergy
from openmm_allegro.modelfile import load_model
from openmm_allegro.train import DataConfig, TrainConfig, read_data, train

MEASURED = [
    c
    for c in lightning_module.TrainingRecord.COLUMNS
    if c not in ("seconds", "stress_rmse")
]


def short(**changes):
    values = dict(
        max_epochs=4,
        batch_size=4,
        learning_rate=0.02,
        warmup_steps=0,
        schedule="constant",
        ema_decay=0.9,
    )
    return TrainConfig(**(values | changes))


def fit(output, config, *, model=None, training=None, **options):
    """16 frames of ethanol to train on, 4 to validate on: four steps an epoch."""
    return train(
        model or tiny_config(),
        config,
        ethanol()[:16] if training is None else training,
        ethanol()[16:],
        output,
        progress=False,
        **options,
    )


def weights(model):
    return dict(model.energy.network.state_dict())


def same(first, second):
    return set(first) == set(second) and all(
        torch.equal(first[name], second[name]) for name in first
    )


def checkpoint(folder):
    path = max((folder / "checkpoints").glob("*.ckpt"))
    return torch.load(path, weights_only=True)


def assert_same_training(first, second):
    """Same rows, same best model, same last weights and same averages of them."""
    rows = [
        [[row[c] for c in MEASURED] for row in read_log(folder)]
        for folder in (first, second)
    ]
    assert rows[0] == rows[1]
    models = [load_model(folder / "model.safetensors") for folder in (first, second)]
    assert models[0].provenance["epoch"] == models[1].provenance["epoch"]
    assert same(*(weights(m) for m in models))
    states = [checkpoint(folder) for folder in (first, second)]
    for key in ("state_dict", "current_model_state"):
        assert (key in states[0]) == (key in states[1])
        if key in states[0]:
            assert same(states[0][key], states[1][key])


class Crash(Exception):
    pass


def crash_at(monkeypatch, call):
    """Let the making of the batch with this number fail; an epoch makes 4 and 1."""
    calls = iter(range(call))
    collate = train_module.collate

    def failing(*args):
        if next(calls, None) is None:
            raise Crash
        return collate(*args)

    monkeypatch.setattr(train_module, "collate", failing)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    config = short(max_epochs=40, energy_weight=10.0)
    model = fit(folder, config, provenance={"data": "ethanol"})
    return folder, model, config


def test_overwrite_starts_anew(tmp_path):
    """And what another epoch number had left behind is gone."""
    data = ethanol()[:6]
    arguments = data[:4], data[4:], tmp_path / "run"
    train(tiny_config(), short(max_epochs=3), *arguments, progress=False)
    with pytest.raises(FileExistsError, match="--force"):
        train(tiny_config(), short(max_epochs=2), *arguments, progress=False)
    train(
        tiny_config(), short(max_epochs=2), *arguments, overwrite=True, progress=False
    )
    assert [int(row["epoch"]) for row in read_log(tmp_path / "run")] == [0, 1]
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 1
    with pytest.raises(ValueError, match="found both"):
        train(
            tiny_config(),
            short(),
            *arguments,
            overwrite=True,
            resume=True,
            progress=False,
        )


def test_errors_fall(finished):
    rows = read_log(finished[0])
    first, last = rows[0], rows[-1]
    assert last["loss"] < 0.25 * first["loss"]
    assert last["validation_score"] < 0.4 * first["validation_score"]
    assert last["forces_rmse"] < 0.6 * first["forces_rmse"]
    assert last["energy_rmse"] < 0.6 * first["energy_rmse"]


def test_log_has_a_row_of_finite_numbers_for_each_epoch(finished):
    rows = read_log(finished[0])
    assert [row["epoch"] for row in rows] == list(range(40))
    assert [row["step"] for row in rows] == list(range(4, 164, 4))
    assert all(math.isfinite(row[column]) for row in rows for column in MEASURED)
    assert all(math.isnan(row["stress_rmse"]) for row in rows)  # no such labels
    assert (np.diff([row["seconds"] for row in rows]) >= 0).all()


def test_returned_model_is_the_file_and_the_best_of_the_log(finished):
    folder, model, _ = finished
    rows = read_log(folder)
    best = min(rows, key=lambda row: row["validation_score"])
    assert same(weights(model), weights(load_model(folder / "model.safetensors")))
    assert model.provenance["epoch"] == best["epoch"]
    metrics = evaluate(model, ethanol()[16:])["metrics"]
    for column in ("energy_mae", "energy_rmse", "forces_mae", "forces_rmse"):
        assert model.provenance["validation"][column] == best[column]
        # trained in float32, evaluated in float64; the energies are of -470 eV/atom
        assert metrics[column] == pytest.approx(best[column], rel=1e-3)


def test_provenance(finished):
    _, model, config = finished
    record = model.provenance
    assert record["data"] == "ethanol"
    assert record["train"] == dataclasses.asdict(config)
    assert record["training_structures"] == 16 and record["validation_structures"] == 4
    assert record["periodic"] == "none"
    assert record["package_version"] and record["torch_version"] == torch.__version__
    assert model.kind == "total" and model.dtype == "float32"
    json.dumps(record)


def test_loss_of_an_epoch_is_its_own(tmp_path):
    """With a rate of nearly nothing the loss stays what the first weights give."""
    config = short(max_epochs=2, learning_rate=1e-12, ema_decay=0.0, energy_weight=3.0)
    model = fit(tmp_path / "run", config)
    metrics = evaluate(model, ethanol()[:16])["metrics"]
    expected = 3.0 * metrics["energy_rmse"] ** 2 + metrics["forces_rmse"] ** 2
    for row in read_log(tmp_path / "run"):
        assert row["loss"] == pytest.approx(expected * 1e-6, rel=1e-3)


def test_score_is_the_loss_of_the_validation_set(finished):
    for row in read_log(finished[0]):
        expected = 10.0 * row["energy_rmse"] ** 2 + row["forces_rmse"] ** 2
        assert row["validation_score"] == pytest.approx(expected * 1e-6)


def test_last_incomplete_batch_counts_by_its_size(tmp_path):
    config = short(max_epochs=1, learning_rate=1e-12, ema_decay=0.0, batch_size=7)
    model = fit(tmp_path / "run", config)
    metrics = evaluate(model, ethanol()[:16])["metrics"]
    expected = metrics["energy_rmse"] ** 2 + metrics["forces_rmse"] ** 2
    (row,) = read_log(tmp_path / "run")
    assert row["step"] == 3
    assert row["loss"] == pytest.approx(expected * 1e-6, rel=1e-3)


def test_order_of_samples_depends_on_seed_and_epoch():
    def order(seed, epoch):
        sampler = lightning_module.EpochOrder(50, seed)
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


@pytest.mark.parametrize("changes", [{}, {"ema_decay": 0.0, "dtype": "float64"}])
def test_resume_with_more_epochs_is_one_training(tmp_path, changes):
    fit(tmp_path / "whole", short(**changes))
    fit(tmp_path / "parts", short(max_epochs=2, **changes))
    fit(tmp_path / "parts", short(**changes), resume=True)
    assert_same_training(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "cosine", "warmup_steps": 6},
        {"schedule": "plateau", "plateau_patience": 0, "learning_rate": 1e-7},
        {"early_stop_patience": 1, "learning_rate": 0.2, "ema_decay": 0.0},
    ],
    ids=["cosine", "plateau", "early stop"],
)
@pytest.mark.parametrize("call", [12, 14], ids=["in an epoch", "in a validation"])
def test_resume_after_a_crash_is_one_training(tmp_path, monkeypatch, changes, call):
    config = short(max_epochs=6, **changes)
    fit(tmp_path / "whole", config)
    if config.schedule == "plateau":  # else the test says nothing
        assert len(set(rates(tmp_path / "whole")[1:4])) == 3
    with monkeypatch.context() as patch, pytest.raises(Crash):
        crash_at(patch, call)
        fit(tmp_path / "parts", config)
    assert [row["epoch"] for row in read_log(tmp_path / "parts")] == [0, 1]
    load_model(tmp_path / "parts" / "model.safetensors")
    fit(tmp_path / "parts", config, resume=True)
    assert_same_training(tmp_path / "whole", tmp_path / "parts")


def test_resume_after_a_row_without_a_checkpoint(tmp_path, monkeypatch):
    """Killed between the row of an epoch and its checkpoint, and within a row."""
    fit(tmp_path / "whole", short())

    def fail(self):
        if self.current_epoch == 2:
            raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(lightning_module.TrainingModule, "on_validation_epoch_end", fail)
        fit(tmp_path / "parts", short())
    log = tmp_path / "parts" / "log.csv"
    assert len(read_log(tmp_path / "parts")) == 3
    log.write_text(log.read_text() + "1,16,0.0")
    fit(tmp_path / "parts", short(), resume=True)
    assert_same_training(tmp_path / "whole", tmp_path / "parts")


KILLED = """
import sys
from pathlib import Path
from test_train import fit, short
fit(Path(sys.argv[1]), short(max_epochs=100_000, batch_size=1))
"""


def test_resume_after_a_kill(tmp_path):
    folder = tmp_path / "killed"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)],
        cwd=Path(__file__).parent,
        env=environment,
    )
    try:
        deadline = time.monotonic() + 60
        while not (folder / "checkpoints").exists() or len(read_log(folder)) < 3:
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    before = read_log(folder)
    load_model(folder / "model.safetensors")
    config = short(max_epochs=len(before) + 2, batch_size=1)
    fit(folder, config, resume=True)
    rows = read_log(folder)
    assert [row["epoch"] for row in rows] == list(range(len(before) + 2))
    fit(tmp_path / "whole", config)
    assert_same_training(tmp_path / "whole", folder)


def test_resuming_a_finished_training_gives_its_model(tmp_path):
    model = fit(tmp_path / "run", short(max_epochs=2))
    again = fit(tmp_path / "run", short(max_epochs=2), resume=True)
    assert same(weights(model), weights(again))
    assert len(read_log(tmp_path / "run")) == 2


def test_an_existing_training_is_not_overwritten(finished):
    folder = finished[0]
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(
        FileExistsError, match=r"expected a new folder .* found one with"
    ):
        fit(folder, short())
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_nothing_to_resume(tmp_path):
    with pytest.raises(
        ValueError, match=r"expected a checkpoint to resume from .* found"
    ):
        fit(tmp_path / "run", short(), resume=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"model": tiny_config(cutoff=2.5)}, r"cutoff = 2\.5 where it has 3\.0"),
        ({"model": tiny_config(num_layers=2)}, "num_layers = 2 where it has 1"),
        ({"training": ethanol()[:8]}, "mean_neighbors = .* where it has"),
    ],
)
def test_resume_refuses_another_model_or_other_data(finished, options, found):
    log = (finished[0] / "log.csv").read_bytes()
    with pytest.raises(
        ValueError, match=f"model and data of .* resume it, found {found}"
    ):
        fit(finished[0], short(max_epochs=60), resume=True, **options)
    assert (finished[0] / "log.csv").read_bytes() == log


@pytest.mark.parametrize(
    ("training", "validation", "config", "message"),
    [
        ([], ethanol()[:1], short(), "training: expected at least one structure"),
        (ethanol()[:1], [], short(), "validation: expected at least one structure"),
        (
            [ethanol()[0], without(ethanol()[1], "energy")],
            ethanol()[2:3],
            short(),
            "training structure 1: expected an energy and forces, found no energy",
        ),
        (
            ethanol()[:1],
            [without(ethanol()[1], "forces")],
            short(),
            "validation structure 0: expected an energy and forces, found no forces",
        ),
        (
            ethanol()[:1],
            ethanol()[1:2],
            short(stress_weight=2.0),
            r"expected stresses because stress_weight is 2\.0, found none",
        ),
    ],
)
def test_unusable_data(tmp_path, training, validation, config, message):
    with pytest.raises(ValueError, match=message):
        train(tiny_config(), config, training, validation, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unknown_element(tmp_path):
    with pytest.raises(ValueError, match=r"expected only the elements .* found O"):
        fit(tmp_path / "run", short(), model=tiny_config(("H", "C")))
    assert not (tmp_path / "run").exists()


def test_diverging_training_ends_with_a_message(tmp_path):
    with pytest.raises(ValueError, match=r"expected a finite loss, found .* epoch 0"):
        fit(tmp_path / "run", short(learning_rate=1e30))


def test_stress_alone_trains_the_weights(tmp_path):
    only = dict(energy_weight=0.0, forces_weight=0.0, stress_weight=1e4)
    config = short(max_epochs=5, ema_decay=0.0, batch_size=2, **only)
    frames = liquid()
    model = train(
        tiny_config(), config, frames[:2], frames[2:], tmp_path / "run", progress=False
    )
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
    train(tiny_config(), config, frames, frames, tmp_path / "run", progress=False)
    assert math.isfinite(read_log(tmp_path / "run")[0]["loss"])


def rates(folder):
    return [row["learning_rate"] for row in read_log(folder)]


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
    train(tiny_config(), short(max_epochs=1), frames, frames, tmp_path / "run")
    shown = "".join(capfd.readouterr())
    assert "Epoch 0" in shown and "F_rmse_meV=" in shown and "E_rmse_meV=" in shown


def test_read_data_holds_out_validation_frames():
    config = DataConfig((ETHANOL.name,), validation_size=5, split_seed=3)
    training, validation, record = read_data(config, ETHANOL.parent)
    assert (len(training), len(validation)) == (15, 5)
    energies = [s.energy for s in (*training, *validation)]
    assert sorted(energies) == sorted(s.energy for s in ethanol())
    digest = hashlib.sha256(ETHANOL.read_bytes()).hexdigest()
    assert record == {
        "training_files": {ETHANOL.name: digest},
        "validation_size": 5,
        "split_seed": 3,
    }


def test_read_data_from_separate_files():
    config = DataConfig((ETHANOL.name,), (LIQUID.name,), (LIQUID.name,))
    training, validation, record = read_data(config, ETHANOL.parent)
    assert (len(training), len(validation)) == (20, 4)
    assert set(record) == {"training_files", "validation_files", "test_files"}


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (DataConfig((ETHANOL.name,)), ValueError, "expected validation files or a val"),
        (DataConfig(("no.xyz",), validation_size=1), FileNotFoundError, "no.xyz"),
        (
            DataConfig((ETHANOL.name,), test=("no.xyz",), validation_size=1),
            FileNotFoundError,
            "no.xyz",
        ),
        (
            DataConfig((ETHANOL.name,), validation_size=21),
            ValueError,
            r"at most 20 structures, found \[21",
        ),
        (
            DataConfig((), validation_size=1),
            ValueError,
            r"expected training files, found",
        ),
    ],
)
def test_read_data_refuses(config, error, message):
    with pytest.raises(error, match=message):
        read_data(config, ETHANOL.parent)
