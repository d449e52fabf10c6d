# SPDX-License-Identifier: MIT
"""Trainings on files alone, and what ``init`` writes about them."""

import contextlib
import dataclasses
import json
from pathlib import Path

import pytest
from cli_helpers import error_of
from data_helpers import made_up, write_extxyz
from training_helpers import read_log, tiny_config

pytest.importorskip("lightning")

from outcome_helpers import outcome_of

from openmm_allegro.cli.main import main
from openmm_allegro.modelfile import accuracy, read_header
from openmm_allegro.training import clock, pace, recipe, train
from openmm_allegro.training import data as reading
from openmm_allegro.training.config import TrainConfig

SYMBOLS = ["Li", "Cl"] * 4
HOURS = ["--hours", "0.2"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A tiny network on a machine whose steps take seconds, as the clock says."""
    monkeypatch.setattr(recipe, "_sized", lambda model, rung: small(model))
    monkeypatch.setattr(
        clock.MeasuredClock, "__call__", lambda *_: recipe.Cost(40.0, 40.0, 0.01, 0.01)
    )


def small(model):
    tiny = dataclasses.asdict(tiny_config(model.elements))
    shared = {"l_max", "num_layers", "num_scalar_features", "num_tensor_features"}
    shared |= {"two_body_width", "latent_width", "readout_width", "num_bessels"}
    return dataclasses.replace(model, **{k: tiny[k] for k in shared})


@pytest.fixture
def data(tmp_path):
    frames = made_up(SYMBOLS, 24)
    frames[7] = dataclasses.replace(frames[7], energy=frames[7].energy + 8.0)
    frames[11] = frames[3]
    return write_extxyz(tmp_path / "salt.extxyz", frames)


def test_init_writes_settings_that_train(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    outcome = outcome_of("x.json", "init", "salt.extxyz", *HOURS)
    assert (
        outcome["results"]["frames"] == 24 and outcome["units"]["force_rms"] == "eV/Å"
    )
    assert outcome["results"]["settings"]["data"]["training"] == ["salt.extxyz"]
    assert outcome["files"] == ["salt.toml", "salt.html"]
    shown = capsys.readouterr().out
    assert "salt.extxyz:7" in shown and "24 frames of 8 atoms" in shown
    page = (tmp_path / "salt.html").read_text()
    assert "salt.extxyz:3, salt.extxyz:11" in page and "salt.extxyz:7" in page
    assert '<img src="data:image/svg' in page and "http" not in page.split("<pre>")[0]
    assert "found one" in error_of(capsys, "init", "salt.extxyz", *HOURS)
    assert main(["train", "salt.toml"]) == 0
    assert "validation frames" in capsys.readouterr().out
    header = read_header("runs/salt/model.safetensors")
    assert list(header["provenance"]["training_files"]) == ["salt.extxyz"]
    # and a model that is fine-tuned on files alone
    write_extxyz("new.extxyz", made_up(SYMBOLS, 12, seed=2))
    command = ["train", "new.extxyz", "--from", "runs/salt/model.safetensors"]
    assert main([*command, *HOURS]) == 0
    assert read_header("runs/new/model.safetensors")["config"] == header["config"]
    text = Path("runs/new/config.toml").read_text()
    assert 'start_from = "../salt/model.safetensors"' in text


def test_files_alone_train_and_are_tested(data, tmp_path, monkeypatch, capsys, undrawn):
    """Each of the files is read once, and what takes long has a name."""
    jobs = []
    for module in ("cli.train", "training.train"):
        monkeypatch.setattr(
            f"openmm_allegro.{module}.log_if_long",
            lambda log, text: contextlib.nullcontext(jobs.append(text)),
        )
    files = []
    read = reading.read_structures
    monkeypatch.setattr(
        reading, "read_structures", lambda f, **labels: files.extend(f) or read(f)
    )
    output = tmp_path / "run"
    test = write_extxyz(tmp_path / "test.extxyz", made_up(SYMBOLS, 4, seed=1))
    command = ["train", str(data), "--output", str(output)]
    assert main([*command, "--test", str(test), *HOURS]) == 0
    shown = capsys.readouterr().out
    assert "errors on 4 test frames" in shown and "test.extxyz --frame 0" in shown
    assert jobs[-2:] == [
        "refitting energy shifts, and writing the model",
        "computing the errors on 4 frames",
    ]
    assert json.loads((output / "test.json").read_text())["forces_rmse"] > 0
    assert sorted(files) == [data, test]
    assert (output / "data.html").exists()
    assert "--resume" in error_of(capsys, *command)


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_kill_loses_nothing(data, tmp_path, monkeypatch, capsys, undrawn, epochs):
    """Before the first checkpoint or after it: the settings stay, the training ends."""
    command = ["train", str(data), "--output", str(tmp_path / "run")]
    original = train._fit

    def killed(trainer, module, loaders, checkpoint):
        trainer.fit_loop.max_epochs = epochs
        if epochs:
            original(trainer, module, loaders, checkpoint)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "_fit", killed)
        patch.setattr("openmm_allegro.training.pace.Pace.on_fit_start", lambda *_: None)
        assert main([*command, *HOURS]) == 130
    text = (tmp_path / "run" / "config.toml").read_text()
    found = error_of(capsys, *command, *HOURS)  # which would choose other settings
    assert "--resume" in found and "--force" in found
    found = error_of(capsys, *command, "--resume", "--energy-key", "E")
    assert "--energy-key" in found and "config.toml" in found
    other = write_extxyz(tmp_path / "other.extxyz", made_up(SYMBOLS, 24))
    found = error_of(capsys, "train", other, *command[2:], "--resume")
    assert "salt.extxyz" in found and "other.extxyz" in found
    assert main([*command, "--resume"]) == 0
    assert (tmp_path / "run" / "config.toml").read_text() == text
    header = read_header(tmp_path / "run" / "model.safetensors")
    settings = TrainConfig(**header["provenance"]["train"])
    assert len(read_log(tmp_path / "run")) == settings.max_epochs > 2


def test_a_training_that_time_cut_short_says_so_and_goes_on(
    data, tmp_path, monkeypatch, capsys, undrawn
):
    monkeypatch.chdir(tmp_path)
    command = ["train", "salt.extxyz", "--output", "run"]
    with monkeypatch.context() as patch:
        patch.setattr(pace.Deadline, "seconds_left", lambda *_: -1.0)
        patch.setattr(accuracy, "_HARDLY", 0.0)
        outcome = outcome_of("x.json", *command, *HOURS)
    first = outcome["next"][0]
    assert first.startswith(f"openmm-allegro {' '.join(command)} --resume --hours")
    (cut,) = [w for w in outcome["warnings"] if "the time was over" in w]
    assert cut.startswith("the time was over after 1 step of")
    assert any("too few to learn forces from" in w for w in outcome["warnings"])
    # as forces without a training are
    assert any("better than zeros" in w for w in outcome["warnings"])
    monkeypatch.undo()
    outcome = outcome_of(
        tmp_path / "y.json",
        "train",
        data,
        "--output",
        tmp_path / "run",
        "--resume",
        "--hours",
        "0.3",
    )
    assert not any("the time was over" in w for w in outcome["warnings"])
    header = read_header(tmp_path / "run" / "model.safetensors")
    assert "ended_early" not in header["provenance"]
    planned = header["provenance"]["train"]["max_epochs"]
    assert len(read_log(tmp_path / "run")) == planned > 1


def test_bad_input_ends_before_long_work(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(clock.MeasuredClock, "__call__", None)
    few = write_extxyz(tmp_path / "few.extxyz", made_up(SYMBOLS, 3))
    metal = write_extxyz(tmp_path / "metal.extxyz", made_up(["Na"] * 8, 4))
    toml = tmp_path / "a.toml"
    toml.write_text("")
    model = tmp_path / "a.safetensors"
    model.write_text("")
    for arguments, words in (
        ([few], "at least 4 frames"),
        ([data, tmp_path / "." / data.name], "each file once"),
        ([tmp_path / "none.extxyz"], "found nothing at"),
        ([tmp_path], "found a folder"),
        ([model], "found a model"),
        ([data, toml], "either one TOML or files"),
        ([toml, "--hours", 1], "found --hours"),
        ([toml, "--energy-key", "E"], "found --energy-key"),
        ([data, "--hours", 0], "--hours above 0"),
        ([data, "--hours", "-2"], "--hours above 0"),
        ([data, "--hours", "1e6"], "at most 100000"),
        ([data, "--replay", metal], "(--from) beside --replay"),
        ([data, "--from", tmp_path / "none.safetensors"], "none.safetensors"),
        ([data, "--test", metal], "found Na"),
        ([data, "--energy-key", "E"], "E"),
        ([data, "--resume"], "found none"),
    ):
        for verb in ("train", "init"):
            if verb == "init" and arguments[-1] == "--resume":
                continue
            if verb == "init" and arguments[0] == toml:
                continue
            found = error_of(capsys, verb, *arguments, "--output", tmp_path / "x.toml")
            if verb == "train" or toml not in arguments:
                assert words in found, (verb, arguments)
    assert not (tmp_path / "x.toml").exists()


@pytest.mark.parametrize("verb", ["train", "init"])
def test_outputs_that_cannot_be_written(data, tmp_path, monkeypatch, capsys, verb):
    """They are refused before the data are read; the folder may not be there yet."""
    monkeypatch.setattr("openmm_allegro.training.prepare.read_labelled", None)
    below = data / "a" / "x.toml"
    assert "found a file" in error_of(capsys, verb, data, "--output", below)
    monkeypatch.setattr("os.access", lambda *_: False)
    new = tmp_path / "new" / "x.toml"
    found = error_of(capsys, verb, data, "--output", new)
    assert f"found {tmp_path}, which cannot" in found
    assert not new.parent.exists()
