# SPDX-License-Identifier: MIT
"""The parts of a training that Lightning calls: loss, schedule, log and order."""

import csv
import logging
import math
import os
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import Sampler

from ..model.file import Model, save_model
from ..utils.files import replacing
from .compiled import CompiledLoss, DenseBatch
from .config import LossWeights, TrainConfig
from .evaluate import Prediction, error_metrics, gather_arrays, predict
from .linear_chains import fix_linear_chains, keep_fixed
from .optimizers import Muon
from .samples import Batch

log = logging.getLogger(__name__)

MONITOR = "validation_score"
SHORTEST = 1e-4  # eV/Å: the length of a shorter error counts less, smoothly


class TrainingModule(pl.LightningModule):
    """Loss, optimiser and schedule."""

    def __init__(self, model: Model, config: TrainConfig, steps_per_epoch: int) -> None:
        super().__init__()
        self.energy = model.energy
        self.elements = model.config.elements
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self._weigh(config.weights_of(0))
        self.losses: list[tuple[float, int]] = []  # of the epoch's batches, and sizes
        self.validated: list[tuple[Batch, Prediction]] = []
        self.fixed: list[torch.nn.Parameter] = []
        if config.fix_linear_chains:
            self.fixed = fix_linear_chains(self.energy, config.seed)

    def loss(self, batch: Batch | DenseBatch, prediction: Prediction) -> torch.Tensor:
        weights = self.weights
        energy = (prediction.energies - batch.energies) / batch.sizes
        total = weights.energy * energy.square().mean()
        forces = FORCES_LOSS[self.config.forces_loss](prediction.forces, batch.forces)
        total = total + weights.forces * forces
        if weights.stress > 0:
            total = total + weights.stress * _mean_square(
                prediction.stresses, batch.stresses
            )
        return total

    def training_step(self, batch: Batch | DenseBatch, index: int) -> torch.Tensor:
        if isinstance(batch, DenseBatch):
            loss = self.compiled(self.energy, batch)
        else:
            stress = self.weights.stress > 0
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
        weights = self.config.weights_of(self.current_epoch)
        if weights != self.weights:
            self._weigh(weights)

    def _weigh(self, weights: LossWeights) -> None:
        """Set the weights of the loss, which a compiled one holds as constants."""
        self.weights = weights
        self.compiled = CompiledLoss(self.loss, weights.stress > 0)

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
        errors = {
            name: (metrics[f"{name}_rmse"] / 1000) ** 2
            for name in ("energy", "forces", "stress")
            if f"{name}_rmse" in metrics
        }
        if self.config.forces_loss != "mse":
            both = (
                torch.cat([s.forces.double() for s in sources]).cpu()
                for sources in (predictions, batches)
            )
            errors["forces"] = float(FORCES_LOSS[self.config.forces_loss](*both))
        # The last weights', so that scores of all epochs compare.
        weights = self.config.stages()[-1]._asdict()
        metrics[MONITOR] = sum(weights[name] * error for name, error in errors.items())
        return metrics

    def make_optimizer(self) -> torch.optim.Optimizer:
        """Without a schedule; fixed maps stay what they are."""
        optimizer = make_optimizer(self.config, self)
        if self.fixed:
            keep_fixed(optimizer, self.fixed, self.energy.network.scalars)
        return optimizer

    def configure_optimizers(self) -> Any:
        config = self.config
        optimizer = self.make_optimizer()
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
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def rate_factor(self, step: int) -> float:
        """What a step's rate is of ``learning_rate``; not with "plateau"."""
        config = self.config
        rise = min(1.0, (step + 1) / max(config.warmup_steps, 1))
        if config.schedule == "constant":
            return rise
        phase = min(step / (self.steps_per_epoch * config.max_epochs), 1.0)
        cosine = 0.5 * (1.0 + torch.cos(torch.tensor(torch.pi * phase)).item())
        return rise * (config.final_rate + (1.0 - config.final_rate) * cosine)


def make_optimizer(
    config: TrainConfig, module: torch.nn.Module
) -> torch.optim.Optimizer:
    """The optimiser that ``config`` names, of the module's weights."""
    if config.optimizer == "adam":
        rate, decay = config.learning_rate, config.weight_decay
        if decay == 0:
            return torch.optim.Adam(module.parameters(), lr=rate)
        # Bessel roots are no weights: a fraction less of them is another function.
        weights = [p for p in module.parameters() if p.ndim > 1]
        others = [p for p in module.parameters() if p.ndim <= 1]
        groups = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, rate, weight_decay=decay)
    # A row of an embedding belongs to an element or a pair, not to a direction.
    kinds = {True: [], False: []}
    for name, p in module.named_parameters():
        embeds = ".embedding." in name and ".linear." not in name
        kinds[embeds].append(p)
    return Muon(
        kinds[False],
        lr=config.learning_rate,
        momentum=config.momentum,
        adam=kinds[True],
        weight_decay=config.weight_decay,
    )


class TrainingRecord(pl.Callback):
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
        with replacing(self.path) as partial:
            write_rows(partial, rows, header=True)

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
        write_rows(self.path, [row], header=False)
        log.info(
            "epoch %d  force RMSE %.1f meV/Å  energy RMSE %.2f meV/atom  %.0f s",
            row["epoch"],
            metrics["forces_rmse"],
            metrics["energy_rmse"],
            row["seconds"],
        )
        self.best = save_if_best(self.model, self.target, row, metrics, self.best)

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started


def write_rows(path: Path, rows: list[dict[str, Any]], *, header: bool) -> None:
    """Rows of a log.csv: a new file with a header, or added to one that has it."""
    with open(path, "w" if header else "a", newline="") as file:
        writer = csv.DictWriter(file, TrainingRecord.COLUMNS, extrasaction="ignore")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        file.flush()
        os.fsync(file.fileno())


def save_if_best(
    model: Model,
    path: Path,
    row: dict[str, Any],
    metrics: dict[str, Any],
    best: float,
) -> float:
    """The best score with this row's, whose model is saved if the score is its own."""
    if not metrics[MONITOR] < best:  # NaN is not
        return best
    model.provenance |= {
        "epoch": row["epoch"],
        "step": row["step"],
        "training_seconds": row["seconds"],
        "validation": metrics,
    }
    save_model(model, path)
    return float(metrics[MONITOR])


class EpochOrder(Sampler[int]):
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


def _mean_square(prediction: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Over the labels that are known, those that are not NaN."""
    known = torch.isfinite(reference)
    error = _error(prediction, reference, known)
    return error.square().sum() / known.sum().clamp(min=1)


def _mean_norm(prediction: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Over the vectors of which a component is known."""
    known = torch.isfinite(reference)
    square = _error(prediction, reference, known).square().sum(-1)
    # The derivative of a length is none at zero.
    lengths = (square + SHORTEST**2).sqrt() - SHORTEST
    return lengths.sum() / known.any(-1).sum().clamp(min=1)


def _error(
    prediction: torch.Tensor, reference: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    return torch.where(known, prediction - torch.where(known, reference, 0.0), 0.0)


FORCES_LOSS = {"mse": _mean_square, "l2mae": _mean_norm}
