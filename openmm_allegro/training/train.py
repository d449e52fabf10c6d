# SPDX-License-Identifier: MIT
"""Train an Allegro model on energies, forces and stresses, with Lightning."""

import logging
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.utils.data import DataLoader

from ..model import AllegroConfig
from ..model.model import Model
from ..modelfile import read_header
from ..structure import Structure
from ..utils.files import lock_output
from ..utils.process import CONTINUES, processor_name
from ..utils.progress import log_if_long
from ..utils.quiet import quiet
from ..utils.words import counted
from .averaging import AveragedWeights
from .compiled import DenseCollate, require_compiler
from .config import DataConfig, TrainConfig
from .data import check_labels, read_data, read_replay, read_test
from .devices import SharedBatches, check_devices, several_devices, shared_part
from .divergence import DivergenceCheck
from .finish import finished_model
from .module import EpochOrder, TrainingModule
from .pace import Deadline, Pace
from .record import MODEL, MONITOR, TrainingLog, TrainingRecord
from .replay import ReplayOrder
from .resume import (
    CHECKPOINTS,
    check_same,
    find_checkpoint,
    load_checkpoint,
    remove_others,
    remove_training,
)
from .samples import FINE_FILL, collate
from .start import (
    Start,
    check_stresses,
    choose_device,
    start_training,
    use_device,
    with_stress_weight,
)

log = logging.getLogger(__name__)

__all__ = [
    "DataConfig",
    "TrainConfig",
    "read_data",
    "read_replay",
    "read_test",
    "train",
]


def train(
    model_config: AllegroConfig,
    train_config: TrainConfig,
    training: Sequence[Structure],
    validation: Sequence[Structure],
    output: str | Path,
    *,
    start_from: Model | None = None,
    replay: Sequence[Structure] = (),
    resume: bool = False,
    overwrite: bool = False,
    provenance: dict[str, Any] | None = None,
    progress: bool = True,
    deadline: Deadline | None = None,
) -> Model:
    """Train and return the model with the best validation score.

    The score is the loss of the validation set. Structures whose labels
    ``subtract_baseline`` has changed make a model of kind delta.

    Parameters
    ----------
    model_config : AllegroConfig
    train_config : TrainConfig
    training, validation : sequence of Structure
        With energies; forces, which ``forces_weight = 0`` does without, and stresses
        where present.
    output : path
        A new folder: ``model.safetensors`` (best so far), ``log.csv`` (a row for each
        epoch), ``checkpoints/``.
    start_from : Model, optional
        Start from its weights in the place of random ones; ``fine_tuned_config`` makes
        the ``model_config``.
    replay : sequence of Structure
        Frames that it was trained on, of which each epoch has ``replay_fraction``.
    resume : bool
        Continue in ``output`` from its last checkpoint.
    overwrite : bool
        Throw a training that is in ``output`` away.
    provenance : dict, optional
        JSON values to keep in the model file beside those recorded here.
    progress : bool
        Whether to show a progress bar.
    deadline : Deadline, optional
        Time at which all is to be done, where ``max_hours`` may be later.

    Raises
    ------
    FileExistsError
        If ``output`` holds a training, and neither ``resume`` nor ``overwrite`` is set.
    RuntimeError
        If another training writes to it now.
    ValueError
        If labels are missing, an element is not in the config, there is nothing to
        resume or it was another model or other data, or the loss is not finite.
    """
    output = Path(output)
    device = choose_device(train_config.device)
    checkpoint = find_checkpoint(
        output, CHECKPOINTS, resume=resume, overwrite=overwrite
    )
    train_config = _checked_config(train_config, device, training, validation, replay)
    with log_if_long(log, "finding pairs, statistics and the repulsion of close pairs"):
        start = start_training(
            model_config,
            train_config,
            training,
            validation,
            provenance,
            source=start_from,
            replay=replay,
        )
    log.info("%s", _describe(start, train_config, device))
    check_devices(train_config, device, (len(start.training), len(start.validation)))
    # made before any file, since they refuse some data; each of several processes does
    loaders = _loaders(start, train_config) if train_config.devices == 1 else None
    if checkpoint is not None:
        _check_checkpoint(checkpoint, start, train_config, output)
    with lock_output(output / "training"):
        if checkpoint is not None:
            remove_others(checkpoint)
        if overwrite:
            remove_training(output)
        with log_if_long(log, "training"):
            cut = fit(
                *(0, start, loaders, train_config, output, checkpoint),
                progress=progress,
                deadline=_with_refit(deadline, start),
            )
        if checkpoint is not None:  # Lightning leaves the one that it resumed from
            remove_others(sorted(output.glob(CHECKPOINTS))[-1])
        learnt = [*start.training, *start.replay]
        with log_if_long(log, "refitting energy shifts, and writing the model"):
            sets = learnt, start.validation
            model = finished_model(output, train_config, *sets, device, cut)
        if cut:
            log.warning(
                "the time was over after %s of %s planned: the model is not what its "
                "settings are for; resume=True (--resume), with more hours, goes on",
                *(counted(cut["steps"], "step"), f"{cut['planned_steps']:,}"),
            )
        return model


def _with_refit(deadline: Deadline | None, start: Start) -> Deadline | None:
    """Let a deadline leave time for the energies that shifts are refitted to."""
    if deadline is None:
        return None
    counts = len(start.training) + len(start.replay), len(start.validation)
    # the last validation may be of two sets of weights
    frames = deadline.frames + len(start.validation)
    return deadline._replace(frames=frames, learnt=counts)


def _describe(start: Start, config: TrainConfig, device: str) -> str:
    """Say what is trained on what: weights, network, frames, epochs and hardware."""
    network = start.model.config
    size = f"{network.num_scalar_features}/{network.num_tensor_features}"
    frames = config.epoch_size or len(start.training) + len(start.replay)
    where = processor_name() if device == "cpu" else device
    return (
        f"training {start.model.num_weights:,} weights (cutoff {network.cutoff:g} Å, "
        f"l_max {network.l_max}, {size} features) on "
        f"{counted(len(start.training), 'frame')}, {len(start.validation):,} to "
        f"validate, in at most {counted(config.max_epochs, 'epoch')} of "
        f"{counted(-(-frames // config.batch_size), 'step')}, on {where}"
    )


def _checked_config(
    config: TrainConfig,
    device: str,
    training: Sequence[Structure],
    validation: Sequence[Structure],
    replay: Sequence[Structure],
) -> TrainConfig:
    """Settings with the weight of stresses; refuses data that they do not suit."""
    check_labels("training", training, config)
    check_labels("validation", validation, config)
    if replay:
        check_labels("replay", replay, config)
    config = with_stress_weight(config, training)
    check_stresses(config, training, validation)
    if config.compile and device == "cpu":
        require_compiler()
    return config


def _check_checkpoint(
    checkpoint: Path, start: Start, config: TrainConfig, output: Path
) -> None:
    """Refuse a checkpoint of another training, or that Lightning would fail with.

    Raises
    ------
    ValueError
    """
    last = load_checkpoint(checkpoint).get("epoch")
    if isinstance(last, int) and last >= config.max_epochs:
        raise ValueError(
            f"training: expected max_epochs of at least {last + 1}, the number of "
            f"epochs that are done in {output}, found {config.max_epochs}"
        )
    check_same(start.model, read_header(output / MODEL), output)


def fit(
    rank: int,
    start: Start,
    loaders: list[DataLoader] | None,
    config: TrainConfig,
    output: Path,
    checkpoint: Path | None,
    *,
    progress: bool,
    deadline: Deadline | None = None,
) -> dict[str, int] | None:
    """Fit with Lightning, in one of the processes of ``config.devices``.

    Parameters
    ----------
    rank : int
        Number of this process; the first one writes the files, and starts the others.
    start : Start
    loaders : list of DataLoader or None
        Those of this process; None to make them, and the network ready for training.
    config : TrainConfig
    output : Path
    checkpoint : Path or None
        To resume from.
    progress : bool
        Whether to show a progress bar.
    deadline : Deadline, optional
        Of the first process.

    Returns
    -------
    dict or None
        Steps made and planned, if the time cut the training short.
    """
    device = choose_device(config.device)
    job = start, config, output, checkpoint
    with quiet("lightning"), several_devices(config, rank, job) as arguments:
        loaders = loaders or _loaders(start, config, rank)
        module = TrainingModule(start.model, config, len(loaders[0]))
        callbacks = _callbacks(rank, output, start, config, progress, deadline)
        trainer = pl.Trainer(
            accelerator=device,
            **arguments,
            max_epochs=config.max_epochs,
            callbacks=callbacks,
            logger=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            gradient_clip_val=config.gradient_clip or None,
            inference_mode=False,
            num_sanity_val_steps=0,
        )
        _fit(trainer, module, loaders, checkpoint)
        pace = next(each for each in callbacks if isinstance(each, Pace))
        return pace.cut(trainer.global_step, module.steps_per_epoch)


def _loaders(start: Start, config: TrainConfig, rank: int = 0) -> list[DataLoader]:
    """Make a network ready for training, and the batches of a process."""
    network = start.model.config
    fill = use_device(start.model.energy, choose_device(config.device))

    def join(samples: Sequence[Any]) -> Any:
        return collate(samples, network, fill)

    samples = [*start.training, *start.replay]
    dense = None
    if config.compile:
        room = FINE_FILL["smallest_fill"] if fill is FINE_FILL else 0.0
        dense = DenseCollate(samples, network, config.batch_size, room)
    order: Any = EpochOrder(len(start.training), config.seed, config.epoch_size)
    if start.replay:
        order = ReplayOrder(len(start.training), len(start.replay), config)
    if config.devices > 1:
        place = config.batch_size, rank, config.devices
        shared = SharedBatches(order, *place)
        part = shared_part(len(start.validation), *place)
        return [
            DataLoader(samples, batch_sampler=shared, collate_fn=join),
            DataLoader(start.validation, batch_sampler=part, collate_fn=join),
        ]
    return [
        DataLoader(samples, config.batch_size, sampler=order, collate_fn=dense or join),
        DataLoader(start.validation, config.batch_size, collate_fn=join),
    ]


def _callbacks(
    rank: int,
    output: Path,
    start: Start,
    config: TrainConfig,
    progress: bool,
    deadline: Deadline | None,
) -> list[pl.Callback]:
    averages = AveragedWeights(config.ema_decay) if config.ema_decay > 0 else None
    files = TrainingLog(output, start.model, writes=rank == 0)
    record = TrainingRecord(files, averages)
    pace = Pace(config, record, len(start.validation), deadline)
    callbacks: list[pl.Callback] = [record, pace]
    callbacks.append(DivergenceCheck(config))
    if averages is not None:
        callbacks.append(averages)
    if config.early_stop_patience > 0:
        patience = config.early_stop_patience
        callbacks.append(EarlyStopping(MONITOR, patience=patience, mode="min"))
    callbacks.append(
        ModelCheckpoint(output / "checkpoints", "{epoch:06d}", save_top_k=1)
    )
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=10))
    return callbacks


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
        raise KeyboardInterrupt(CONTINUES) from error
