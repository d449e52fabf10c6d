# SPDX-License-Identifier: MIT
"""Train an Allegro model on energies, forces and stresses, with Lightning."""

import dataclasses
import json
import logging
import platform
import shutil
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.callbacks.weight_averaging import WeightAveraging
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from .._version import __version__
from ..classical.fingerprint import common_baseline
from ..kernels.training.sparse import use_sparse_products
from ..model import AllegroConfig, AllegroEnergy
from ..model.file import Model, load_model, read_header
from ..structure import Structure
from .compiled import DenseCollate, require_compiler
from .config import DataConfig, TrainConfig, read_data, read_test
from .module import MONITOR, EpochOrder, TrainingModule, TrainingRecord
from .samples import Sample, closest_pairs, collate, make_samples, statistics

log = logging.getLogger(__name__)

__all__ = ["DataConfig", "TrainConfig", "read_data", "read_test", "train"]

# Settings of a training that may be other ones when it is resumed.
RESUME_MAY_CHANGE = ("max_epochs", "device", "compile")
# What a training of an earlier version did where its record names no value.
_DEFAULTS = {
    "optimizer": "adam",
    "forces_loss": "mse",
    "momentum": 0.98,
    "weight_decay": 0.0,
    "fix_linear_chains": False,
    "late_epoch": 0,
    "late_weights": (),
}
# Lightning's remarks on choices that are made here, not by the user.
OWN_WARNINGS = (
    "GPU available but not used",
    ".*does not have many workers",
    "Checkpoint directory .* exists and is not empty",
    "The dirpath has changed from",
    "Be aware that when using `ckpt_path`, callbacks",
    r".*isinstance\(treespec, LeafSpec\)",
)


def train(
    model_config: AllegroConfig,
    train_config: TrainConfig,
    training: Sequence[Structure],
    validation: Sequence[Structure],
    output: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    provenance: dict[str, Any] | None = None,
    progress: bool = True,
) -> Model:
    """Train and return the model with the best validation score.

    The score is the loss of the validation set.
    Structures that ``subtract_baseline`` has been at make a model of kind delta.

    Parameters
    ----------
    model_config : AllegroConfig
    train_config : TrainConfig
    training, validation : sequence of Structure
        With energies and forces; stresses where present.
    output : path
        A new folder: ``model.safetensors`` (best so far), ``log.csv`` (a row for each
        epoch), ``checkpoints/``.
    resume : bool
        Continue in ``output`` from its last checkpoint.
    overwrite : bool
        Throw a training that is in ``output`` away.
    provenance : dict, optional
        JSON values to keep in the model file beside those recorded here.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    FileExistsError
        If ``output`` holds a training, and neither ``resume`` nor ``overwrite`` is set.
    ValueError
        If labels are missing, an element is not in the config, there is nothing to
        resume or what is there was another model or other data, or the loss is not
        finite.
    """
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise FileExistsError(f"expected a folder at {output}, found a file")
    device = _device(train_config.device)
    if resume and overwrite:
        raise ValueError("expected either resume or overwrite, found both")
    checkpoint = _find_checkpoint(output, resume, overwrite)
    for name, structures in (("training", training), ("validation", validation)):
        check_labels(name, structures)
    stress = max(weights.stress for weights in train_config.stages())
    if stress > 0 and all(s.stress is None for s in training):
        raise ValueError(
            f"training: expected stresses because their weight is {stress}, found none"
        )
    last = train_config.stages()[-1]
    if last.stress > 0 and all(s.stress is None for s in validation):
        if last.energy + last.forces == 0:
            raise ValueError(
                "validation: expected stresses because nothing else has a weight, "
                "found none"
            )
        log.warning("validation scores leave out stresses, of which there are none")
    baseline = common_baseline((*training, *validation))
    dtype = getattr(torch, train_config.dtype)
    samples = make_samples(training, model_config, dtype)
    held_out = make_samples(validation, model_config, dtype)
    dense = None
    if train_config.compile:
        if device == "cpu":
            require_compiler()
        dense = DenseCollate(samples, model_config, train_config.batch_size)
    numbers = statistics(samples, model_config)
    energy = AllegroEnergy(model_config, numbers, train_config.seed).set_dtype(dtype)
    if device == "cpu":
        use_sparse_products(energy)
    record = training_record(samples, held_out, training, model_config, train_config)
    record |= provenance or {}
    if baseline is not None:
        record["baseline"] = baseline
    kind = "total" if baseline is None else "delta"
    model = Model(model_config, numbers, energy, kind, train_config.dtype, record)
    if resume:
        check_same(model, read_header(output / "model.safetensors"), output)
    if overwrite:
        _remove_training(output)

    output.mkdir(parents=True, exist_ok=True)
    steps_per_epoch = -(-len(samples) // train_config.batch_size)
    module = TrainingModule(model, train_config, steps_per_epoch)
    callbacks: list[pl.Callback] = [TrainingRecord(output, model)]
    if train_config.ema_decay > 0:
        # All weights in one call: EMAWeightAveraging takes a quarter of a small step.
        average = get_ema_multi_avg_fn(train_config.ema_decay)
        callbacks.append(WeightAveraging(use_buffers=False, multi_avg_fn=average))
    if train_config.early_stop_patience > 0:
        callbacks.append(
            EarlyStopping(
                MONITOR, patience=train_config.early_stop_patience, mode="min"
            )
        )
    callbacks.append(
        ModelCheckpoint(output / "checkpoints", "{epoch:06d}", save_top_k=1)
    )
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=10))
    order = EpochOrder(len(samples), train_config.seed)
    loaders = [
        DataLoader(
            data,
            batch_size=train_config.batch_size,
            sampler=sampler,
            collate_fn=join or (lambda s: collate(s, model_config)),
        )
        for data, sampler, join in (
            (samples, order, dense),
            (held_out, None, None),
        )
    ]
    with _without_remarks():
        trainer = pl.Trainer(
            accelerator=device,
            devices=1,
            max_epochs=train_config.max_epochs,
            callbacks=callbacks,
            logger=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            gradient_clip_val=train_config.gradient_clip or None,
            inference_mode=False,
            num_sanity_val_steps=0,
        )
        _fit(trainer, module, loaders, checkpoint)
    return load_model(output / "model.safetensors")


def _fit(
    trainer: pl.Trainer, module: pl.LightningModule, loaders: list, checkpoint: Any
) -> None:
    """Fit; an interruption is a KeyboardInterrupt, not Lightning's exit."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, *loaders, ckpt_path=checkpoint, weights_only=True)
    except MisconfigurationException as error:  # such as fewer epochs than are done
        raise ValueError(f"training: {error}") from error
    except SystemExit as error:
        signal.signal(signal.SIGINT, handler)  # Lightning has set it to ignore
        raise KeyboardInterrupt from error


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("expected a CUDA device because device = 'cuda', found none")
    return name


def check_labels(name: str, structures: Sequence[Structure]) -> None:
    """Refuse none, and structures without an energy or forces.

    Raises
    ------
    ValueError
    """
    if not structures:
        raise ValueError(f"{name}: expected at least one structure, found none")
    for index, s in enumerate(structures):
        if s.energy is None or s.forces is None:
            raise ValueError(
                f"{name} structure {index}: expected an energy and forces, found "
                f"{'no energy' if s.energy is None else 'no forces'}"
            )
        if not (np.isfinite(s.energy) and np.isfinite(s.forces).all()):
            raise ValueError(
                f"{name} structure {index}: expected a finite energy and forces, "
                "found NaN or infinity"
            )


def training_record(
    samples: Sequence[Sample],
    held_out: Sequence[Sample],
    structures: Sequence[Structure],
    model_config: AllegroConfig,
    train_config: TrainConfig,
) -> dict[str, Any]:
    """What a model file keeps of its training, JSON values.

    Parameters
    ----------
    samples, held_out : sequence of Sample
        Of training and validation.
    structures : sequence of Structure
        Those of training.
    model_config : AllegroConfig
    train_config : TrainConfig
    """
    periodic = [bool(s.periodic.any()) for s in structures]
    return {
        "package_version": __version__,
        "torch_version": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "periodic": "all" if all(periodic) else "some" if any(periodic) else "none",
        "training_structures": len(samples),
        "validation_structures": len(held_out),
        "closest_pairs": closest_pairs(samples, model_config),
        "train": dataclasses.asdict(train_config),
    }


def _find_checkpoint(output: Path, resume: bool, overwrite: bool) -> Path | None:
    found = sorted((output / "checkpoints").glob("*.ckpt"))
    used = bool(found) or (output / "model.safetensors").exists()
    if resume:
        if not found:
            raise ValueError(
                f"expected a checkpoint to resume from in {output / 'checkpoints'}, "
                "found none"
            )
        return found[-1]
    if used and not overwrite:
        raise FileExistsError(
            f"expected a new folder for the training, found one with a training in it "
            f"at {output}; name another, resume=True (--resume) goes on in it, "
            "overwrite=True (--force) starts anew"
        )
    return None


def _remove_training(output: Path) -> None:
    shutil.rmtree(output / "checkpoints", ignore_errors=True)
    for name in ("log.csv", "model.safetensors"):
        (output / name).unlink(missing_ok=True)


def check_same(model: Model, header: dict[str, Any], where: Path) -> None:
    """Refuse to go on as another training than the one that was begun.

    Parameters
    ----------
    model : Model
        As it would be trained now.
    header : dict
        What a file of the model said of it then: ``config``, ``statistics`` and
        ``provenance``.
    where : Path
        For the message.

    Raises
    ------
    ValueError
    """
    before = header["provenance"]
    now = {
        key: value
        for key, value in model.provenance.items()
        if key
        in (
            "training_files",
            "validation_files",
            "validation_size",
            "split_seed",
            "baseline_files",
        )
    }
    for old, new, same in (
        (header["config"], dataclasses.asdict(model.config), _same_json),
        (header["statistics"], dataclasses.asdict(model.statistics), _same_numbers),
        (_DEFAULTS | before["train"], model.provenance["train"], _same_json),
        (before, now, _same_json),
    ):
        for key, value in new.items():
            found = old.get(key)
            if key not in RESUME_MAY_CHANGE and not same(found, value):
                raise ValueError(
                    f"expected the model, data and settings of {where} to resume it, "
                    f"found {key} = {value} where it has {found}"
                )


def _same_json(a: Any, b: Any) -> bool:
    return json.dumps(a) == json.dumps(b)


def _same_numbers(a: Any, b: Any) -> bool:
    """But for rounding: sums over the data depend on the number of threads."""
    return np.shape(a) == np.shape(b) and np.allclose(a, b)


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Silence Lightning on what is chosen here; a user's console shows our lines."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in OWN_WARNINGS:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
