# SPDX-License-Identifier: MIT
"""Model, loss, optimiser and schedule as Lightning calls them."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities import move_data_to_device
from torch.utils.data import Sampler

from ..model.model import Model
from .compiled import CompiledLoss, DenseBatch, KnownGradient
from .config import LossWeights, TrainConfig
from .devices import collect, gather, is_shared
from .evaluate import gather_arrays
from .freeze import freeze_parts
from .linear_chains import fix_linear_chains, keep_fixed
from .loss import batch_loss, validation_score
from .metrics import error_metrics
from .optimizers import make_optimizer
from .pace import Course
from .predict import Prediction, predict, predict_labels
from .record import MONITOR
from .samples import Batch


class TrainingModule(pl.LightningModule):
    """Loss, optimiser and schedule.

    Parameters
    ----------
    model : Model
        Its network is trained in place.
    config : TrainConfig
    steps_per_epoch : int
    """

    def __init__(self, model: Model, config: TrainConfig, steps_per_epoch: int) -> None:
        super().__init__()
        # Labels are without the terms (``Start``), and predictions, too.
        self.energy = model.energy.with_terms(torch.nn.ModuleDict())
        self.elements = model.config.elements
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.course = Course(steps_per_epoch * config.max_epochs)
        self._weigh(config.weights_of(0))
        self.losses: list[tuple[float, int]] = []  # of the epoch's batches, and sizes
        self.validated: list[tuple[Batch, Prediction]] = []
        self.fixed: list[torch.nn.Parameter] = []
        freeze_parts(self.energy, config.freeze)
        if config.fix_linear_chains:
            reset = "started_from" not in model.provenance
            self.fixed = fix_linear_chains(self.energy, config.seed, reset=reset)

    def loss(self, batch: Batch | DenseBatch, prediction: Prediction) -> torch.Tensor:
        """Loss of a batch with the weights of the epoch."""
        return batch_loss(batch, prediction, self.weights, self.config)

    def training_step(self, batch: Batch | DenseBatch, index: int) -> torch.Tensor:
        """Compute the loss of a batch, which must be finite."""
        if isinstance(batch, DenseBatch):
            loss = self.compiled(self.energy, batch)
        else:
            weights = [p for p in self.energy.parameters() if p.requires_grad]
            loss = KnownGradient.apply(self._loss_and_gradients, batch, *weights)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ValueError(
                f"training: expected a finite loss, found {value} in epoch "
                f"{self.current_epoch}, batch {index}; train anew with a lower "
                f"learning_rate (below {self.config.learning_rate:g}), more "
                "warmup_steps or a gradient_clip; the best model before is kept"
            )
        self.losses.append((value, len(batch.sizes)))
        return loss

    def _loss_and_gradients(self, _: Any, batch: Batch) -> tuple[torch.Tensor, ...]:
        """Loss of a batch and its gradients by the weights, and by nothing else.

        ``backward`` of a loss would go on to the vectors of the pairs.
        """
        weights = [p for p in self.energy.parameters() if p.requires_grad]
        with torch.enable_grad():
            prediction = predict(self.energy, batch, training=True, **self.derived)
            loss = self.loss(batch, prediction)
            gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
        return loss.detach(), *gradients

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's losses, with the weights of the loss that it has."""
        self.losses = []
        weights = self.config.weights_of(self.current_epoch)
        if weights != self.weights:
            self._weigh(weights)

    def epoch_loss(self) -> float:
        """Mean over the structures of this epoch's batches so far."""
        parts = np.array(collect(self.losses))  # [processes, steps, 2]
        return float(np.average(parts[..., 0].mean(0), weights=parts[..., 1].sum(0)))

    def validation_step(self, batch: Batch, index: int) -> None:
        """Keep a batch with its prediction, for ``metrics``."""
        self.validated.append((batch, predict_labels(self.energy, batch)))

    def predict_again(
        self, validated: Sequence[tuple[Batch, Prediction]]
    ) -> list[tuple[Batch, Prediction]]:
        """Predict batches that were validated with other weights."""
        return [(batch, predict_labels(self.energy, batch)) for batch, _ in validated]

    def metrics(self, validated: Sequence[tuple[Batch, Prediction]]) -> dict[str, Any]:
        """Errors of predictions, and their score as ``MONITOR``."""
        if is_shared():
            parts = [(_without_sources(b), p) for b, p in validated]
            validated = gather(move_data_to_device(parts, "cpu"))
        arrays = gather_arrays(*zip(*validated, strict=True))
        metrics = error_metrics(arrays, self.elements)
        # With the last weights, so that the scores of all epochs compare.
        weights = self.config.stages()[-1]
        metrics[MONITOR] = validation_score(validated, weights, self.config)
        return metrics

    def make_optimizer(self) -> torch.optim.Optimizer:
        """The optimiser without a schedule; it leaves fixed maps as they are."""
        optimizer = make_optimizer(self.config, self)
        if self.fixed:
            keep_fixed(optimizer, self.fixed, self.energy.network.scalars)
        return optimizer

    def configure_optimizers(self) -> Any:
        """Make the optimiser and its schedule as Lightning expects them."""
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
            # it calls a scheduler that is counted in epochs.
            when = {"monitor": MONITOR, "frequency": self.steps_per_epoch}
        else:
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_factor)
            when = {}
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"} | when,
        }

    def ends_at(self, step: int) -> bool:
        """True if a cosine schedule ends after this number of steps.

        Other schedules have no end that more epochs would not move.
        """
        return self.config.schedule == "cosine" and step >= self.course.last

    def rate_factor(self, step: int) -> float:
        """Fraction of ``learning_rate`` in a step; not with "plateau"."""
        config = self.config
        steps = self.steps_per_epoch * config.max_epochs
        rise = min(1.0, (step + 1) / max(config.warmup(steps), 1))
        if config.schedule == "constant":
            return rise
        done = torch.tensor(torch.pi * self.course.done(step))
        cosine = 0.5 * (1.0 + torch.cos(done).item())
        return rise * (config.final_rate + (1.0 - config.final_rate) * cosine)

    def _weigh(self, weights: LossWeights) -> None:
        """Set the weights of the loss, which a compiled one holds as constants."""
        self.weights = weights
        self.derived = {"forces": weights.forces > 0, "stress": weights.stress > 0}
        self.compiled = CompiledLoss(self.loss, **self.derived)


def _without_sources(batch: Batch) -> Batch:
    """Leave out of a batch what predictions are made of, and labels are not."""
    known = batch.electrostatics
    if known is not None:
        known = known._replace(matrices=[])
    return batch._replace(blocks=[], electrostatics=known)


class EpochOrder(Sampler[int]):
    """A new random order each epoch that depends on seed and epoch alone.

    Parameters
    ----------
    size : int
        Structures to choose from.
    seed : int
    epoch_size : int
        Structures of an epoch; 0 for all of them. Epochs of other sizes are cut from
        passes over all structures, so that each comes as often as the others.
    """

    def __init__(self, size: int, seed: int, epoch_size: int = 0) -> None:
        self.size, self.seed, self.epoch = size, seed, 0
        self.epoch_size = epoch_size or size

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next order is of; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.epoch_size

    def __iter__(self) -> Iterator[int]:
        number, begin = divmod(self.epoch * self.epoch_size, self.size)
        chosen: list[int] = []
        while len(chosen) < self.epoch_size:
            rest = self.epoch_size - len(chosen)
            chosen += self._pass(number)[begin : begin + rest]
            number, begin = number + 1, 0
        return iter(chosen)

    def _pass(self, number: int) -> list[int]:
        """Order of a pass over all structures."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        return torch.randperm(self.size, generator=generator).tolist()
