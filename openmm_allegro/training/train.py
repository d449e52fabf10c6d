# SPDX-License-Identifier: MIT
"""Train an Allegro model on energies, forces and stresses, with Lightning."""

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.callbacks.weight_averaging import WeightAveraging
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from ..classical.fingerprint import common_baseline
from ..kernels.training.sparse import use_sparse_products
from ..model import AllegroConfig, AllegroEnergy
from ..model.file import Model, load_model, read_header
from ..structure import Structure
from .compiled import DenseCollate, require_compiler
from .config import DataConfig, TrainConfig
from .data import check_labels, read_data, read_test
from .module import EpochOrder, TrainingModule
from .record import MONITOR, TrainingRecord
from .resume import check_same, find_checkpoint, remove_training
from .samples import collate, make_samples
from .start import choose_device, training_record
from .statistics import statistics

log = logging.getLogger(__name__)

__all__ = ["DataConfig", "TrainConfig", "read_data", "read_test", "train"]

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
    device = choose_device(train_config.device)
    if resume and overwrite:
        raise ValueError("expected either resume or overwrite, found both")
    checkpoint = find_checkpoint(output, resume, overwrite)
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
        remove_training(output)

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
