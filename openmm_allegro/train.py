# SPDX-License-Identifier: MIT
"""Train an Allegro model on energies, forces and stresses, with Lightning."""

import csv
import dataclasses
import hashlib
import json
import logging
import math
import os
import platform
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.callbacks.weight_averaging import EMAWeightAveraging
from torch.utils.data import DataLoader, Sampler

from ._version import __version__
from .dataset import Batch, collate, make_samples, split, statistics
from .evaluate import Prediction, error_metrics, gather_arrays, predict
from .model import AllegroConfig, AllegroEnergy
from .modelfile import Model, load_model, read_header, save_model
from .structure import Structure, read_structures

log = logging.getLogger(__name__)

SCHEDULES = ("cosine", "plateau", "constant")
DTYPES = {"float32": torch.float32, "float64": torch.float64}
MONITOR = "validation_score"
# Lightning's remarks on choices that are made here, not by the user.
OWN_WARNINGS = (
    "GPU available but not used",
    ".*does not have many workers",
    "Checkpoint directory .* exists and is not empty",
    "The dirpath has changed from",
    r".*isinstance\(treespec, LeafSpec\)",
)


@dataclass(frozen=True)
class TrainConfig:
    """How to train; field for field the ``[train]`` table of a TOML.

    Parameters
    ----------
    seed : int
        Of initial weights and of the order of the samples, at least 0.
    max_epochs, batch_size : int
    learning_rate : float
        Of Adam.
    warmup_steps : int
        Steps over which the rate rises linearly from zero; not with "plateau".
    schedule : str
        "cosine" to ``final_rate`` of the rate over all epochs, "plateau" on the
        validation score, or "constant".
    final_rate : float
        Fraction of the rate at which a cosine or plateau schedule ends.
    plateau_patience : int
        Epochs without a better score before the rate falls by ``plateau_factor``.
    plateau_factor : float
    energy_weight, forces_weight, stress_weight : float
        Of the mean squared errors of energies per atom (eV²), force components
        ((eV/Å)²) and stress components ((eV/Å³)²).
    ema_decay : float
        Of the exponential moving average of the weights, below 1; 0 for none. The
        averaged weights are validated and saved.
    gradient_clip : float
        Largest norm of the gradient; 0 for no limit.
    early_stop_patience : int
        Epochs without a better score after which training ends; 0 for never.
    dtype : str
        "float32" or "float64".

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    seed: int = 0
    max_epochs: int = 100
    batch_size: int = 4
    learning_rate: float = 0.005
    warmup_steps: int = 200
    schedule: str = "cosine"
    final_rate: float = 0.01
    plateau_patience: int = 25
    plateau_factor: float = 0.5
    energy_weight: float = 1.0
    forces_weight: float = 1.0
    stress_weight: float = 0.0
    ema_decay: float = 0.99
    gradient_clip: float = 0.0
    early_stop_patience: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        limits = {
            "seed": (0, 2**32 - 1),
            "max_epochs": (1, None),
            "batch_size": (1, None),
            "warmup_steps": (0, None),
            "final_rate": (0.0, 1.0),
            "plateau_patience": (0, None),
            "plateau_factor": (0.0, 1.0),
            "energy_weight": (0.0, None),
            "forces_weight": (0.0, None),
            "stress_weight": (0.0, None),
            "ema_decay": (0.0, 1.0),
            "gradient_clip": (0.0, None),
            "early_stop_patience": (0, None),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            inside = value >= low and (high is None or value <= high)
            if not (inside and math.isfinite(value)):
                upper = "" if high is None else f" and at most {high}"
                raise ValueError(
                    f"train config: expected {name} of at least {low}{upper}, found "
                    f"{value}"
                )
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise ValueError(
                "train config: expected learning_rate above 0, found "
                f"{self.learning_rate}"
            )
        for name in ("ema_decay", "plateau_factor"):
            if getattr(self, name) == 1:
                raise ValueError(f"train config: expected {name} below 1, found 1.0")
        if self.plateau_factor == 0:
            raise ValueError("train config: expected plateau_factor above 0, found 0.0")
        if self.energy_weight + self.forces_weight + self.stress_weight == 0:
            raise ValueError(
                "train config: expected a weight above 0, found only zeros"
            )
        for name, known in (("schedule", SCHEDULES), ("dtype", tuple(DTYPES))):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"train config: expected {name} of {known}, found "
                    f"{getattr(self, name)!r}"
                )


@dataclass(frozen=True)
class DataConfig:
    """Where the data is; field for field the ``[data]`` table of a TOML.

    Parameters
    ----------
    training : tuple of str
        Files that ase can read, relative to the TOML's folder.
    validation : tuple of str
        Files to validate on. If empty, ``validation_size`` random frames of the
        training files are held out.
    test : tuple of str
        Files to test on after training.
    validation_size : int
    split_seed : int
    """

    training: tuple[str, ...]
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    validation_size: int = 0
    split_seed: int = 0


def train(
    model_config: AllegroConfig,
    train_config: TrainConfig,
    training: Sequence[Structure],
    validation: Sequence[Structure],
    output: str | Path,
    *,
    resume: bool = False,
    provenance: dict[str, Any] | None = None,
    progress: bool = True,
) -> Model:
    """Train and return the model with the best validation score.

    The score is the weighted mean square error of the validation set, as the loss.

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
    provenance : dict, optional
        JSON values to keep in the model file beside those recorded here.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    FileExistsError
        If ``output`` holds a training and ``resume`` is not set.
    ValueError
        If labels are missing, an element is not in the config, there is nothing to
        resume or what is there was another model or other data, or the loss is not
        finite.
    """
    output = Path(output)
    checkpoint = _find_checkpoint(output, resume)
    for name, structures in (("training", training), ("validation", validation)):
        if not structures:
            raise ValueError(f"{name}: expected at least one structure, found none")
        for index, s in enumerate(structures):
            if s.energy is None or s.forces is None:
                raise ValueError(
                    f"{name} structure {index}: expected an energy and forces, found "
                    f"{'no energy' if s.energy is None else 'no forces'}"
                )
    if train_config.stress_weight > 0 and all(s.stress is None for s in training):
        raise ValueError(
            f"training: expected stresses because stress_weight is "
            f"{train_config.stress_weight}, found none"
        )
    dtype = DTYPES[train_config.dtype]
    samples = make_samples(training, model_config, dtype)
    held_out = make_samples(validation, model_config, dtype)
    numbers = statistics(samples, model_config)
    energy = AllegroEnergy(model_config, numbers, train_config.seed).set_dtype(dtype)
    record = {
        "package_version": __version__,
        "torch_version": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "periodic": _periodicity(training),
        "training_structures": len(training),
        "validation_structures": len(validation),
        "train": dataclasses.asdict(train_config),
        **(provenance or {}),
    }
    model = Model(model_config, numbers, energy, "total", train_config.dtype, record)
    if resume:
        _check_same(model, output)

    output.mkdir(parents=True, exist_ok=True)
    steps_per_epoch = -(-len(samples) // train_config.batch_size)
    module = _Training(model, train_config, steps_per_epoch)
    callbacks: list[pl.Callback] = [_Record(output, model)]
    if train_config.ema_decay > 0:
        callbacks.append(EMAWeightAveraging(decay=train_config.ema_decay))
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
    order = _EpochOrder(len(samples), train_config.seed)
    loaders = [
        DataLoader(
            data,
            batch_size=train_config.batch_size,
            sampler=sampler,
            collate_fn=lambda s: collate(s, model_config),
        )
        for data, sampler in ((samples, order), (held_out, None))
    ]
    with _without_remarks():
        trainer = pl.Trainer(
            accelerator="cpu",
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
        trainer.fit(module, *loaders, ckpt_path=checkpoint, weights_only=True)
    return load_model(output / "model.safetensors")


def read_data(
    config: DataConfig, folder: str | Path
) -> tuple[list[Structure], list[Structure], dict[str, Any]]:
    """Training and validation structures, and a record of the files they came from.

    Parameters
    ----------
    config : DataConfig
    folder : path
        What relative paths start from.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_structures``, or if there is no validation set.
    """
    folder = Path(folder)
    if not config.training:
        raise ValueError("data config: expected training files, found an empty list")
    if not config.validation and config.validation_size < 1:
        raise ValueError(
            "data config: expected validation files or a validation_size of at least "
            f"1, found neither (validation_size = {config.validation_size})"
        )
    files = {
        name: [folder / f for f in getattr(config, name)]
        for name in ("training", "validation", "test")
    }
    record = {
        f"{name}_files": {f.name: _sha256(f) for f in paths}
        for name, paths in files.items()
        if paths
    }
    training = read_structures(files["training"])
    if config.validation:
        return training, read_structures(files["validation"]), record
    size = config.validation_size
    validation, training = split(
        training, [size, max(len(training) - size, 0)], config.split_seed
    )
    record |= {"validation_size": size, "split_seed": config.split_seed}
    return training, validation, record


class _Training(pl.LightningModule):
    """Loss, optimiser and schedule."""

    def __init__(self, model: Model, config: TrainConfig, steps_per_epoch: int) -> None:
        super().__init__()
        self.energy = model.energy
        self.elements = model.config.elements
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.losses: list[tuple[float, int]] = []  # of the epoch's batches, and sizes
        self.validated: list[tuple[Batch, Prediction]] = []

    def loss(self, batch: Batch, prediction: Prediction) -> torch.Tensor:
        weights = self.config
        energy = (prediction.energies - batch.energies) / batch.sizes
        total = weights.energy_weight * energy.square().mean()
        total = total + weights.forces_weight * _mean_square(
            prediction.forces - batch.forces
        )
        if weights.stress_weight > 0:
            known = torch.isfinite(batch.stresses)
            error = (prediction.stresses - batch.stresses)[known]
            total = total + weights.stress_weight * _mean_square(error)
        return total

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        stress = self.config.stress_weight > 0
        prediction = predict(self.energy, batch, training=True, stress=stress)
        loss = self.loss(batch, prediction)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ValueError(
                f"training: expected a finite loss, found {value} in epoch "
                f"{self.current_epoch}, batch {index}; a lower learning_rate, more "
                "warmup_steps or a gradient_clip may help"
            )
        self.losses.append((value, len(batch.sizes)))
        return loss

    def on_train_epoch_start(self) -> None:
        self.losses = []

    def epoch_loss(self) -> float:
        """Mean over the structures of this epoch's batches so far."""
        values, sizes = zip(*self.losses, strict=True)
        return float(np.average(values, weights=sizes))

    def validation_step(self, batch: Batch, index: int) -> None:
        self.validated.append((batch, predict(self.energy, batch)))

    def finish_validation(self) -> dict[str, Any]:
        batches, predictions = zip(*self.validated, strict=True)
        self.validated = []
        arrays = gather_arrays(batches, predictions)
        metrics = error_metrics(arrays, self.elements)
        weights = self.config
        metrics[MONITOR] = sum(
            getattr(weights, f"{name}_weight") * (metrics[f"{name}_rmse"] / 1000) ** 2
            for name in ("energy", "forces", "stress")
            if f"{name}_rmse" in metrics
        )
        return metrics

    def configure_optimizers(self) -> Any:
        config = self.config
        optimizer = torch.optim.Adam(self.parameters(), lr=config.learning_rate)
        if config.schedule == "plateau":
            scheduler: Any = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer,
                factor=config.plateau_factor,
                patience=config.plateau_patience,
                min_lr=config.learning_rate * config.final_rate,
            )
            # Counted in steps, since Lightning saves the checkpoint of an epoch before
            # a scheduler that is counted in epochs hears of it.
            return {
                "optimizer": optimizer,
                "lr_scheduler": {
                    "scheduler": scheduler,
                    "monitor": MONITOR,
                    "interval": "step",
                    "frequency": self.steps_per_epoch,
                },
            }
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _rate(self, step: int) -> float:
        config = self.config
        rise = min(1.0, (step + 1) / max(config.warmup_steps, 1))
        if config.schedule == "constant":
            return rise
        phase = min(step / (self.steps_per_epoch * config.max_epochs), 1.0)
        cosine = 0.5 * (1.0 + torch.cos(torch.tensor(torch.pi * phase)).item())
        return rise * (config.final_rate + (1.0 - config.final_rate) * cosine)


class _Record(pl.Callback):
    """After each validation: metrics, a row of log.csv, the model if it is the best.

    Comes before the averaging callback, which takes the averaged weights away again.
    """

    COLUMNS = (
        "epoch",
        "step",
        "learning_rate",
        "loss",
        MONITOR,
        "energy_mae",
        "energy_rmse",
        "forces_mae",
        "forces_rmse",
        "stress_rmse",
        "seconds",
    )

    def __init__(self, output: Path, model: Model) -> None:
        self.path = output / "log.csv"
        self.target = output / "model.safetensors"
        self.model = model
        self.best = float("inf")
        self.seconds = 0.0
        self.started = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "seconds": self._elapsed()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.seconds = state["best"], state["seconds"]

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.started = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # Epochs after the checkpoint are run again, and their rows written again.
        rows = []
        if trainer.current_epoch > 0 and self.path.exists():
            with open(self.path, newline="") as file:
                rows = [
                    row
                    for row in csv.DictReader(file)
                    if row["seconds"] and int(row["epoch"]) < trainer.current_epoch
                ]
        partial = self.path.with_name(self.path.name + ".partial")
        self._write(partial, rows, header=True)
        os.replace(partial, self.path)

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        metrics = module.finish_validation()
        module.log(MONITOR, metrics[MONITOR])
        shown = {"F": metrics["forces_rmse"], "E": metrics["energy_rmse"]}
        module.log_dict({f"{k}_rmse_meV": v for k, v in shown.items()}, prog_bar=True)
        row = {
            **metrics,
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(self._elapsed(), 1),
            "loss": module.epoch_loss(),
        }
        self._write(self.path, [row], header=False)
        log.info(
            "epoch %d  force RMSE %.1f meV/Å  energy RMSE %.2f meV/atom  %.0f s",
            row["epoch"],
            metrics["forces_rmse"],
            metrics["energy_rmse"],
            row["seconds"],
        )
        if metrics[MONITOR] < self.best:
            self.best = metrics[MONITOR]
            self.model.provenance |= {
                "epoch": row["epoch"],
                "step": row["step"],
                "training_seconds": row["seconds"],
                "validation": metrics,
            }
            save_model(self.model, self.target)

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def _write(self, path: Path, rows: list[dict[str, Any]], *, header: bool) -> None:
        with open(path, "w" if header else "a", newline="") as file:
            writer = csv.DictWriter(file, self.COLUMNS, extrasaction="ignore")
            if header:
                writer.writeheader()
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())


class _EpochOrder(Sampler[int]):
    """A new random order each epoch that depends on seed and epoch alone."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed, self.epoch = size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Any:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(torch.randperm(self.size, generator=generator).tolist())


def _periodicity(structures: Sequence[Structure]) -> str:
    periodic = [bool(s.periodic.any()) for s in structures]
    return "all" if all(periodic) else "some" if any(periodic) else "none"


def _mean_square(error: torch.Tensor) -> torch.Tensor:
    return error.square().sum() / max(error.numel(), 1)


def _find_checkpoint(output: Path, resume: bool) -> Path | None:
    found = sorted((output / "checkpoints").glob("*.ckpt"))
    used = bool(found) or any(
        (output / n).exists() for n in ("log.csv", "model.safetensors")
    )
    if resume:
        if not found:
            raise ValueError(
                f"expected a checkpoint to resume from in {output / 'checkpoints'}, "
                "found none"
            )
        return found[-1]
    if used:
        raise FileExistsError(
            f"expected a new folder for the training, found one with a training in it "
            f"at {output}; resume it or name another"
        )
    return None


def _check_same(model: Model, output: Path) -> None:
    """Refuse to go on with weights that were trained as another function."""
    before = read_header(output / "model.safetensors")
    for name, now in (("config", model.config), ("statistics", model.statistics)):
        for key, value in dataclasses.asdict(now).items():
            found = before[name].get(key)
            if name == "statistics":  # sums depend on the number of threads
                same = np.shape(found) == np.shape(value) and np.allclose(found, value)
            else:
                same = json.dumps(found) == json.dumps(value)
            if not same:
                raise ValueError(
                    f"expected the model and data of {output} to resume it, found "
                    f"{key} = {value} where it has {found}"
                )


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


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a file of structures, found nothing at {path}"
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()
