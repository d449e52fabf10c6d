# SPDX-License-Identifier: MIT
"""Interrupted trainings continue as if not; nothing is overwritten unasked."""

import dataclasses
import resource
import shutil
import time
import warnings
import zipfile
from multiprocessing import get_context

import pytest
import torch
from code_helpers import Payload
from training_helpers import (
    assert_same_training,
    ethanol,
    fit,
    rates,
    read_log,
    same,
    short,
    tiny_config,
    weights,
)

pytest.importorskip("lightning")

from openmm_allegro.modelfile import load_model
from openmm_allegro.training import averaging
from openmm_allegro.training import module as training_module
from openmm_allegro.training import train as train_module
from openmm_allegro.training.resume import CHECKPOINTS, find_checkpoint, remove_others
from openmm_allegro.utils.files import lock_output


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


def test_averages_of_an_earlier_version_go_on(tmp_path, monkeypatch):
    """Its checkpoints come from a callback of another name, with the same averages."""
    from lightning.pytorch.callbacks import EMAWeightAveraging

    monkeypatch.setattr(averaging, "LAG", 1)  # as its averages, whose decay was fixed
    whole = fit(tmp_path / "whole", short(max_epochs=2))
    with monkeypatch.context() as patch:
        patch.setattr(
            train_module, "AveragedWeights", lambda decay: EMAWeightAveraging(decay=0.9)
        )
        fit(tmp_path / "parts", short(max_epochs=1))
    parts = fit(tmp_path / "parts", short(max_epochs=2), resume=True)
    pairs = zip(whole.energy.parameters(), parts.energy.parameters(), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "changes", [{}, {"ema_decay": 0.0, "dtype": "float64"}, {"optimizer": "muon"}]
)
def test_resume_with_more_epochs_is_one_training(tmp_path, changes):
    fit(tmp_path / "whole", short(**changes))
    fit(tmp_path / "parts", short(max_epochs=2, **changes))
    fit(tmp_path / "parts", short(**changes), resume=True)
    assert_same_training(tmp_path / "whole", tmp_path / "parts")


PLANS = {
    "cosine": {"schedule": "cosine", "warmup_steps": 6},
    "plateau": {"schedule": "plateau", "plateau_patience": 0, "learning_rate": 1e-7},
    "early stop": {"early_stop_patience": 1, "learning_rate": 0.2, "ema_decay": 0.0},
    "late weights": {"late_epoch": 2, "late_weights": (1e4, 1.0, 0.0)},
}
# Each plan, and each moment, with two of the others; the rest is slow.
QUICK = {
    "in an epoch": ("cosine", "early stop"),
    "in a validation": ("plateau", "late weights"),
}
CRASHES = [
    pytest.param(
        *(plan, call),
        id=f"{moment}-{plan}",
        marks=() if plan in QUICK[moment] else pytest.mark.slow,
    )
    for moment, call in (("in an epoch", 12), ("in a validation", 14))
    for plan in PLANS
]


@pytest.mark.parametrize(("plan", "call"), CRASHES)
def test_resume_after_a_crash_is_one_training(tmp_path, monkeypatch, plan, call):
    config = short(max_epochs=4, **PLANS[plan])
    fit(tmp_path / "whole", config)
    if config.schedule == "plateau":  # else the test says nothing
        assert len(set(rates(tmp_path / "whole")[1:4])) == 3
    with monkeypatch.context() as patch, pytest.raises(Crash):
        crash_at(patch, call)
        fit(tmp_path / "parts", config)
    assert [row["epoch"] for row in read_log(tmp_path / "parts")] == [0, 1]
    unfinished = load_model(tmp_path / "parts" / "model.safetensors")
    assert unfinished.stored.programs is None
    fit(tmp_path / "parts", config, resume=True)
    assert_same_training(tmp_path / "whole", tmp_path / "parts")


def test_resume_after_a_row_without_a_checkpoint(tmp_path, monkeypatch):
    """Killed between the row of an epoch and its checkpoint, and within a row."""
    fit(tmp_path / "whole", short())

    def fail(self):
        if self.current_epoch == 2:
            raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(training_module.TrainingModule, "on_validation_epoch_end", fail)
        fit(tmp_path / "parts", short())
    log = tmp_path / "parts" / "log.csv"
    assert len(read_log(tmp_path / "parts")) == 3
    log.write_text(log.read_text() + "1,16,0.0")
    fit(tmp_path / "parts", short(), resume=True)
    assert_same_training(tmp_path / "whole", tmp_path / "parts")


FEW = {"training": ethanol()[:4], "validation": ethanol()[4:6]}


def train_without_end(folder):
    fit(folder, short(max_epochs=100_000, batch_size=1), **FEW)


def test_resume_after_a_kill(tmp_path):
    folder = tmp_path / "killed"
    # a copy of this process, which has imported all, but where CUDA forbids it
    context = get_context("spawn" if torch.cuda.is_available() else "fork")
    child = context.Process(target=train_without_end, args=(folder,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # threads of pytest-xdist and fork
        child.start()
    try:
        resource.prlimit(child.pid, resource.RLIMIT_CPU, (100, 100))
        while not (folder / "checkpoints").exists() or len(read_log(folder)) < 3:
            assert child.is_alive()
            time.sleep(0.05)
    finally:
        child.kill()
        child.join()
    before = read_log(folder)
    load_model(folder / "model.safetensors")
    config = short(max_epochs=len(before) + 2, batch_size=1)
    fit(folder, config, resume=True, **FEW)
    rows = read_log(folder)
    assert [row["epoch"] for row in rows] == list(range(len(before) + 2))
    fit(tmp_path / "whole", config, **FEW)
    assert_same_training(tmp_path / "whole", folder)
    assert len(list((folder / "checkpoints").iterdir())) == 1


def test_resuming_a_finished_training_gives_its_model(tmp_path):
    model = fit(tmp_path / "run", short(max_epochs=2))
    again = fit(tmp_path / "run", short(max_epochs=2), resume=True)
    assert same(weights(model), weights(again))
    assert len(read_log(tmp_path / "run")) == 2
    with pytest.raises(ValueError, match=r"max_epochs of at least 2, .* found 1"):
        fit(tmp_path / "run", short(max_epochs=1), resume=True)
    assert not (tmp_path / "run" / "training.lock").exists()


def test_two_trainings_of_one_folder_at_a_time_are_refused(tmp_path):
    with lock_output(tmp_path / "run" / "training"):
        with pytest.raises(RuntimeError, match="expected no other run"):
            fit(tmp_path / "run", short())
        assert [p.name for p in (tmp_path / "run").iterdir()] == ["training.lock"]


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
        ValueError, match=f"model, data and settings of .* resume it, found {found}"
    ):
        fit(finished[0], short(max_epochs=60), resume=True, **options)
    assert (finished[0] / "log.csv").read_bytes() == log


def other_forces():
    """Forces of one frame turned around: their statistics are the same."""
    first, *rest = ethanol()[:16]
    return [dataclasses.replace(first, forces=-first.forces), *rest]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"training": ethanol()[:16][::-1]}, "another order of them, in the training"),
        ({"training": other_forces()}, r"in the training set \(16 where it has 16\)"),
        ({"validation": ethanol()[16:18]}, r"the validation set \(2 where it has 4\)"),
    ],
    ids=["order", "labels", "validation"],
)
def test_resume_refuses_other_data_of_the_same_statistics(finished, options, found):
    folder, _, settings = finished
    longer = dataclasses.replace(settings, max_epochs=60)
    with pytest.raises(ValueError, match=found):
        fit(folder, longer, resume=True, **options)


@pytest.mark.parametrize("damage", ["torn", "flipped"])
def test_a_damaged_checkpoint_is_left_out(finished, tmp_path, caplog, damage):
    """The one before it is taken, where a kill left two; else this is an error."""
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    (whole,) = (folder / "checkpoints").iterdir()
    last = whole.with_name("epoch=999999.ckpt")
    content = whole.read_bytes()
    if damage == "torn":
        last.write_bytes(content[: len(content) // 2])
    else:
        with zipfile.ZipFile(whole) as archive:
            largest = max(archive.infolist(), key=lambda entry: entry.file_size)
            data = archive.read(largest)
        last.write_bytes(content.replace(data, b"\1" + data[1:]))
    assert find_checkpoint(folder, CHECKPOINTS, resume=True, overwrite=False) == whole
    assert "epoch=999999.ckpt is damaged" in caplog.text
    content = last.read_bytes()
    remove_others(whole)  # as train does then
    assert list(whole.parent.iterdir()) == [whole]
    last.write_bytes(content)
    whole.unlink()
    with pytest.raises(ValueError, match=r"whole checkpoint .*found .* damaged"):
        fit(folder, short(max_epochs=60), resume=True)


def test_an_existing_training_is_not_overwritten(finished):
    folder = finished[0]
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(
        FileExistsError, match=r"expected a new folder .* found one with"
    ):
        fit(folder, short())
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_overwrite_starts_anew(tmp_path):
    """And what another epoch number had left behind is gone."""
    folder = tmp_path / "run"
    fit(folder, short(max_epochs=3), **FEW)
    with pytest.raises(FileExistsError, match="--force"):
        fit(folder, short(max_epochs=2), **FEW)
    fit(folder, short(max_epochs=2), overwrite=True, **FEW)
    assert [int(row["epoch"]) for row in read_log(folder)] == [0, 1]
    assert len(list((folder / "checkpoints").iterdir())) == 1
    with pytest.raises(ValueError, match="found both"):
        fit(folder, short(), overwrite=True, resume=True, **FEW)


def test_resume_of_a_training_from_before_there_were_optimisers(tmp_path, monkeypatch):
    """Its record names none; it went on with Adam, and with nothing else."""
    fit(tmp_path / "run", short(max_epochs=2))
    plain = train_module.read_header

    def older(path):
        header = plain(path)
        for key in ("optimizer", "compile"):
            del header["provenance"]["train"][key]
        return header

    monkeypatch.setattr(train_module, "read_header", older)
    with pytest.raises(ValueError, match="optimizer = muon where it has adam"):
        fit(tmp_path / "run", short(optimizer="muon"), resume=True)
    fit(tmp_path / "run", short(), resume=True)
    assert len(read_log(tmp_path / "run")) == 4


def test_checkpoints_run_no_code(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    (path,) = (folder / "checkpoints").glob("*.ckpt")
    content = torch.load(path, weights_only=True)
    damaged = path.read_bytes()[:1000]
    for write in (
        lambda: torch.save(content | {"epoch": Payload(tmp_path / "ran")}, path),
        lambda: torch.save(content | {"x": torch.nn.Linear(2, 2)}, path),
        lambda: torch.save([1], path),
        lambda: path.write_bytes(damaged),
        lambda: path.write_bytes(b""),
    ):
        write()
        with pytest.raises(ValueError, match=r"checkpoint.* in .*\.ckpt, found"):
            fit(folder, short(max_epochs=3), resume=True)
    assert not (tmp_path / "ran").exists()
