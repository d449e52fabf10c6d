# SPDX-License-Identifier: MIT
"""The parts of a training that Lightning calls: loss, schedule, log and order."""

import math
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import Sampler

from ..model.file import Model
from .compiled import CompiledLoss, DenseBatch
from .config import LossWeights, TrainConfig
from .evaluate import Prediction, error_metrics, gather_arrays, predict
from .linear_chains import fix_linear_chains, keep_fixed
from .loss import FORCES_LOSS, mean_square
from .optimizers import make_optimizer
from .record import MONITOR
from .samples import Batch


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
            total = total + weights.stress * mean_square(
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
