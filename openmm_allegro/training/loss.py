# SPDX-License-Identifier: MIT
"""Errors of predictions as one number: the loss of a batch, the score of a data set."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .compiled import DenseBatch
from .config import LossWeights
from .evaluate import Prediction
from .samples import Batch

SHORTEST = 1e-4  # eV/Å: the length of a shorter error counts less, smoothly


def batch_loss(
    batch: Batch | DenseBatch,
    prediction: Prediction,
    weights: LossWeights,
    forces_loss: str,
) -> Tensor:
    """Weighted sum of the errors of energies per atom, forces and stresses.

    Parameters
    ----------
    batch : Batch or DenseBatch
        Labels, NaN where unknown.
    prediction : Prediction
    weights : LossWeights
    forces_loss : str
        Key of ``FORCES_LOSS``.
    """
    energy = (prediction.energies - batch.energies) / batch.sizes
    total = weights.energy * energy.square().mean()
    forces = FORCES_LOSS[forces_loss](prediction.forces, batch.forces)
    total = total + weights.forces * forces
    if weights.stress > 0:
        stress = mean_square(prediction.stresses, batch.stresses)
        total = total + weights.stress * stress
    return total


def validation_score(
    metrics: dict[str, Any],
    validated: Sequence[tuple[Batch, Prediction]],
    weights: LossWeights,
    forces_loss: str,
) -> float:
    """Loss of a whole data set, without the kinds of labels that it lacks.

    Parameters
    ----------
    metrics : dict
        As ``error_metrics`` of the same predictions.
    validated : sequence of (Batch, Prediction)
    weights : LossWeights
    forces_loss : str
        Key of ``FORCES_LOSS``.
    """
    errors = {
        name: (metrics[f"{name}_rmse"] / 1000) ** 2
        for name in ("energy", "forces", "stress")
        if f"{name}_rmse" in metrics
    }
    if forces_loss != "mse":
        predicted = torch.cat([p.forces.double() for _, p in validated]).cpu()
        reference = torch.cat([b.forces.double() for b, _ in validated]).cpu()
        errors["forces"] = float(FORCES_LOSS[forces_loss](predicted, reference))
    return sum(getattr(weights, name) * error for name, error in errors.items())


def mean_square(prediction: Tensor, reference: Tensor) -> Tensor:
    """Mean square of the errors whose labels are known, not NaN."""
    known = torch.isfinite(reference)
    error = _error(prediction, reference, known)
    return error.square().sum() / known.sum().clamp(min=1)


def _mean_length(prediction: Tensor, reference: Tensor) -> Tensor:
    """Mean length of the errors of vectors of which a component is known."""
    known = torch.isfinite(reference)
    square = _error(prediction, reference, known).square().sum(-1)
    # A length has no derivative at zero.
    lengths = (square + SHORTEST**2).sqrt() - SHORTEST
    return lengths.sum() / known.any(-1).sum().clamp(min=1)


def _error(prediction: Tensor, reference: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, prediction - torch.where(known, reference, 0.0), 0.0)


FORCES_LOSS = {"mse": mean_square, "l2mae": _mean_length}
