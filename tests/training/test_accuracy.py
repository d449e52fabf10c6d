# SPDX-License-Identifier: MIT
"""The accuracy benchmark, from reference data to its table, on a little of it."""

import csv
import dataclasses
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.io import read, write
from training_helpers import training_toml

pytest.importorskip("lightning")

from openmm_allegro.model import AllegroConfig
from openmm_allegro.modelfile import load_model
from openmm_allegro.training.compiled import CompiledLoss
from openmm_allegro.training.graphs import GraphTraining, train_together
from openmm_allegro.training.train import DataConfig, TrainConfig, read_data, train
from openmm_allegro.utils.config import read_toml

ACCURACY = Path(__file__).parents[2] / "benchmarks" / "accuracy"
ETHANOL = Path(__file__).parents[1] / "data" / "ethanol.extxyz"
TABLES = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
SCRIPTS = (
    "hardware",
    "molecules",
    "prepare",
    "run",
    "search",
    "table",
    "together",
    "variants",
)
TOGETHER = training_toml(
    {"training": ["frames.extxyz"], "validation_size": 4},
    {
        "seed": 1,
        "max_epochs": 3,
        "batch_size": 2,
        "optimizer": "muon",
        "learning_rate": 0.003,
        "weight_decay": 10.0,
        "fix_linear_chains": True,
        "warmup_steps": 5,
        "forces_loss": "l2mae",
        "ema_decay": 0.995,
        "device": "cpu",
    },
    cutoff=5.0,
    num_tensor_features=6,
    num_bessels=8,
)
ONE_BY_ONE = training_toml(
    {
        "training": ["data/ethanol_train.extxyz"],
        "test": ["data/ethanol_test.extxyz"],
        "validation_size": 4,
    },
    {"max_epochs": 2, "optimizer": "muon"},
    num_bessels=8,
)


@pytest.fixture
def load_script(monkeypatch, tmp_path):
    """A script of the benchmark as a module that works in another folder."""
    monkeypatch.syspath_prepend(ACCURACY.parent)
    monkeypatch.syspath_prepend(ACCURACY)
    monkeypatch.chdir(tmp_path)

    def load(name, *arguments):
        for other in SCRIPTS:
            monkeypatch.delitem(sys.modules, other, raising=False)
        script = importlib.import_module(name)
        for module in (script, importlib.import_module("molecules")):
            monkeypatch.setattr(module, "HERE", tmp_path, raising=False)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        return script

    yield load
    for name in SCRIPTS:
        sys.modules.pop(name, None)


def test_each_config_trains_on_950_of_split_01():
    published = json.loads((ACCURACY / "published.json").read_text())
    molecules = next(v for k, v in published.items() if k.startswith("revMD17"))
    names = {path.stem for path in ACCURACY.glob("*.toml")}
    assert names == {*molecules, "3bpa"}
    for name in names:
        config = read_toml(ACCURACY / f"{name}.toml", TABLES)
        assert config["data"].validation_size == 50
        assert all(path.startswith(f"data/{name}_") for path in config["data"].test)
        assert config["train"].seed == 1


def test_published_means():
    published = json.loads((ACCURACY / "published.json").read_text())
    molecules = next(v for k, v in published.items() if k.startswith("revMD17"))
    means = {
        name: np.mean([row[name][1] for row in molecules.values()])
        for name in ("NequIP", "Allegro")
    }
    assert means == pytest.approx({"NequIP": 3.52, "Allegro": 2.81})


def test_arrays_become_labelled_frames(load_script, monkeypatch, tmp_path):
    frames = read(ETHANOL, ":4")
    arrays = {"z": frames[0].numbers.astype("uint8")}
    for part in ("train", "test"):
        arrays[f"{part}_R"] = np.array([a.positions for a in frames], "float32")
        arrays[f"{part}_E"] = np.array([a.get_potential_energy() for a in frames])
        arrays[f"{part}_F"] = np.array([a.get_forces() for a in frames], "float32")
    np.savez(tmp_path / "ethanol_split01.npz", **arrays)
    prepare = load_script("prepare", "--rmd17", str(tmp_path))
    monkeypatch.setattr(prepare, "DATA", tmp_path / "data")
    prepare.main()
    written = read(tmp_path / "data" / "ethanol_test.extxyz", ":")
    for old, new in zip(frames, written, strict=True):
        assert new.get_potential_energy() == pytest.approx(old.get_potential_energy())
        np.testing.assert_allclose(new.get_forces(), old.get_forces(), atol=1e-6)
        np.testing.assert_allclose(new.positions, old.positions, atol=1e-6)


@pytest.fixture
def small_benchmark(tmp_path):
    (tmp_path / "data").mkdir()
    for part in ("train", "test"):
        (tmp_path / "data" / f"ethanol_{part}.extxyz").write_bytes(ETHANOL.read_bytes())
    (tmp_path / "ethanol.toml").write_text(ONE_BY_ONE)
    (tmp_path / "search").mkdir()
    base = ONE_BY_ONE.replace('"data/', '"../data/')
    (tmp_path / "search" / "base.toml").write_text(base)
    published = (ACCURACY / "published.json").read_bytes()
    (tmp_path / "published.json").write_bytes(published)
    return tmp_path


def test_training_to_table(load_script, small_benchmark, monkeypatch, capsys, undrawn):
    load_script("run", "ethanol", "--threads", "1").main()
    path = small_benchmark / "results" / "ethanol.json"
    first = json.loads(path.read_text())
    assert first["training_hours"] >= 0 and first["hardware"]["threads_used"] == 1
    assert (small_benchmark / "logs" / "ethanol.csv").read_text().count("\n") == 3
    test = first["tests"]["test"]
    assert test["frames"] == 20 and test["forces_mae"] > 0

    # what was trained is tested again, not trained again, and stays what it was
    load_script("run", "--threads", "2").main()
    assert json.loads(path.read_text()) == first
    load_script("table").main()
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith("| ethanol"))
    assert f"{test['energy_mae_mev']:.2f} / {test['forces_mae']:.2f}" in row
    assert "0.4 / 2.1 | 0.4 / 2.8" in row
    assert any(line.startswith("| mean of 1 ") for line in printed.splitlines())


def test_missing_data_is_named_before_training(load_script, small_benchmark, capsys):
    (small_benchmark / "data" / "ethanol_train.extxyz").unlink()
    with pytest.raises(SystemExit):
        load_script("run", "ethanol").main()
    assert "ethanol_train.extxyz, found nothing; see prepare" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        load_script("run", "water").main()
    assert "found ['water']" in capsys.readouterr().err


@pytest.mark.parametrize("study", ["fast", "few"])
def test_search_measures_on_validation(
    load_script, small_benchmark, monkeypatch, capsys, study
):
    search = load_script("search", "--study", study, "--only", "l_max 2")
    frames = 10 if study == "few" else 950
    there = len(read(ETHANOL, ":")) - 4  # but for those of validation
    monkeypatch.setitem(search.STUDIES, study, (frames, 3))
    monkeypatch.setattr(search, "RESULTS", small_benchmark / "search.json")
    search.main()
    row = json.loads((small_benchmark / "search.json").read_text())[study]["l_max 2"]
    assert row["forces_mae"] > 0 and row["processor_s_per_epoch"] > 0
    assert row["training_loss"] > 0 and row["validation_loss"] > 0
    assert row["changes"] == {"l_max": 2}
    assert row["frames"] == min(frames, there)
    text = capsys.readouterr().out
    assert f"{study}: {frames} frames, 3 epochs" in text
    assert f"| l_max 2 | {row['forces_mae']:.1f} |" in text


@pytest.fixture(scope="module")
def programs():
    """Traced steps by device and shapes of weights; a trace takes as long as a test."""
    return {}


@pytest.fixture
def molecule(tmp_path, monkeypatch, programs):
    """Config and data of a small training, whose step is traced once for all tests."""
    trace = CompiledLoss.trace

    def traced_once(loss, energy, batch):
        key = batch.types.device, *(weight.shape for weight in energy.parameters())
        if key not in programs:
            programs[key] = trace(loss, energy, batch)
        return programs[key]

    monkeypatch.setattr(CompiledLoss, "trace", traced_once)
    write(tmp_path / "frames.extxyz", read(ETHANOL, ":12"))
    (tmp_path / "small.toml").write_text(TOGETHER)
    config = read_toml(tmp_path / "small.toml", TABLES)
    return config, read_data(config["data"], tmp_path)


def make(molecule, output, *, resume=False, table="train", **changes):
    """A training of the molecule, with other settings in a table of the config."""
    config, (training, validation, record) = molecule
    config = config | {table: dataclasses.replace(config[table], **changes)}
    return GraphTraining(
        config["model"],
        config["train"],
        training,
        validation,
        output,
        resume=resume,
        provenance=record,
    )


def test_trainings_together_are_those_of_train(load_script, tmp_path, molecule):
    """On a CPU, where the same steps come without graphs."""
    config, data = molecule
    ours = make(molecule, tmp_path / "small")
    ours.model.provenance["trainings_at_once"] = 3
    load_script("together").train_and_keep([ours], 1)
    theirs = train(
        config["model"],
        config["train"],
        *data[:2],
        tmp_path / "run",
        provenance=data[2],
    )
    checkpoint = next((tmp_path / "run" / "checkpoints").glob("*.ckpt"))
    state = torch.load(checkpoint, weights_only=True)["current_model_state"]
    for name, weight in ours.graph.energy.named_parameters():
        expected = state[f"energy.{name}"]
        torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=1e-5)
    logs = [tmp_path / "logs" / "small.csv", tmp_path / "run" / "log.csv"]
    a, b = (list(csv.DictReader(path.read_text().splitlines())) for path in logs)
    assert len(a) == 3
    for key in ("step", "learning_rate", "loss", "forces_mae", "energy_mae"):
        assert [float(r[key]) for r in a] == pytest.approx(
            [float(r[key]) for r in b], rel=1e-4
        )
    model = load_model(tmp_path / "models" / "small.safetensors")
    assert {*model.provenance} - {"trainings_at_once"} == {*theirs.provenance}
    result = json.loads((tmp_path / "results" / "small.json").read_text())
    assert result["hardware"]["trainings_at_once"] == 3

    again = make(molecule, tmp_path / "small", resume=True)
    assert again.done
    for key, value in ours.graph.tensors().items():
        torch.testing.assert_close(again.graph.tensors()[key], value, rtol=0, atol=0)
    for table, setting in (
        ("train", {"weight_decay": 0.02}),
        ("model", {"envelope_p": 5.0}),
        ("model", {"latent_width": 16}),
        ("train", {"max_epochs": 2}),
    ):
        with pytest.raises(ValueError, match=f"expected .*{next(iter(setting))}"):
            make(molecule, tmp_path / "small", resume=True, table=table, **setting)
    with pytest.raises(FileExistsError, match="one with a training in it"):
        make(molecule, tmp_path / "small")


def test_a_diverging_training_leaves_the_others(load_script, tmp_path, molecule):
    good, bad = (make(molecule, tmp_path / name) for name in ("good", "bad"))
    good.model.provenance["trainings_at_once"] = 2
    bad.graph.loss.fill_(torch.nan)
    together = load_script("together")
    with pytest.raises(FloatingPointError, match="bad: expected a finite loss"):
        together.train_and_keep([good, bad], 2, tmp_path / "kept")
    models = tmp_path / "kept" / "models"
    assert good.done and (models / "good.safetensors").exists()
    assert not bad.done and not (models / "bad.safetensors").exists()
    assert (tmp_path / "kept" / "results" / "good.json").exists()
    steps = (tmp_path / "kept" / "logs" / "good.csv").read_text().splitlines()[1:]
    assert [line.split(",")[1] for line in steps] == ["8", "12"]  # epochs 2 and 3


def test_an_interrupted_training_goes_on(tmp_path, molecule):
    first = make(molecule, tmp_path / "small")
    for _ in range(2):
        for _ in range(first.steps):
            first.replay()
        first.save(*first.validate(), 1.0)
    # killed after the log's row, before the state
    path = tmp_path / "small" / "log.csv"
    rows = path.read_text()
    extra = rows.splitlines()[-1].replace("1,8,", "2,12,", 1)
    path.write_text(f"{rows}{extra}\n")
    second = make(molecule, tmp_path / "small", resume=True)
    train_together([second], every=1)
    written = path.read_text().splitlines()[1:]
    assert [line.split(",")[1] for line in written] == ["4", "8", "12"]


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "plateau"},
        {"gradient_clip": 1.0},
        {"dtype": "float64"},
        {"late_epoch": 1, "late_weights": (9.0, 1.0, 0.0)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_together_refuses_what_it_cannot_do(tmp_path, molecule, changes):
    setting = next(iter(changes))
    with pytest.raises(ValueError, match=f"small: expected .*found {setting}"):
        make(molecule, tmp_path / "small", **changes)
    assert not (tmp_path / "small").exists()


@pytest.mark.gpu
@pytest.mark.parametrize("compile", [False, True])
def test_graphs_are_the_same_steps(tmp_path, molecule, compile):
    averages = []
    for device in ("cpu", "cuda"):
        settings = {"device": device, "compile": compile and device == "cuda"}
        training = make(molecule, tmp_path / device, **settings)
        for _ in range(8):
            training.replay()
        assert int(training.graph.steps_done) == 8
        weights = training.graph.averaged.named_parameters()
        averages.append({key: weight.cpu() for key, weight in weights})
    for name, weight in averages[0].items():
        torch.testing.assert_close(averages[1][name], weight, rtol=0, atol=1e-3)


def test_all_variants_of_a_study_are_configs(load_script, monkeypatch):
    search = load_script("search")
    monkeypatch.setattr(search.molecules, "HERE", ACCURACY)
    for _, epochs in search.STUDIES.values():
        for name, changes in search.VARIANTS.items():
            train = search._config(changes, epochs)["train"]
            assert train.max_epochs == epochs
            late = "at the end" in name
            assert train.late_epoch == (epochs * 3 // 4 if late else 0)


def test_search_together_leaves_out_what_needs_the_host(
    load_script, small_benchmark, monkeypatch, capsys
):
    search = load_script("search")
    monkeypatch.setitem(search.STUDIES, "few", (8, 4))
    monkeypatch.setattr(search, "RESULTS", small_benchmark / "search.json")
    some = ("plateau", "no averaging", "energy weight 100 at the end", "l_max 1")
    monkeypatch.setattr(search, "VARIANTS", {n: search.VARIANTS[n] for n in some})
    search._measure_together([], "few")
    assert list(search._results()["few"]) == ["l_max 1"]
    printed = capsys.readouterr().out
    for name in some[:3]:
        assert f"{name}: expected a schedule" in printed


@pytest.mark.slow
def test_search_together_measures_the_same(load_script, small_benchmark, monkeypatch):
    search = load_script("search")
    monkeypatch.setitem(search.STUDIES, "few", (8, 20))
    monkeypatch.setattr(search, "RESULTS", small_benchmark / "search.json")
    fast = {"l_max": 2, "learning_rate": 0.02, "warmup_steps": 5}
    monkeypatch.setitem(search.VARIANTS, "l_max 2", fast)
    for _ in range(2):  # not the one before again
        search._measure_together(["l_max 2"], "few")
    together = search._results()["few"]["l_max 2"]
    assert together["hardware"].pop("trainings_at_once") == 1
    alone = search._measure(search.VARIANTS["l_max 2"], "few")
    del alone["processor_s_per_epoch"]
    # validated each ten epochs, and the best of those
    assert together["validation_loss"] == pytest.approx(alone["validation_loss"], 0.05)
    log = Path("runs/accuracy/search/few/log.csv").read_text().splitlines()
    first = float(next(csv.DictReader(log))["validation_score"])
    assert together["validation_loss"] < 0.7 * first  # it has learnt something
    assert {*together} == {*alone} and together["weights"] == alone["weights"]
