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

# Fields of a batch that a loss reads.
_LABELS = (
    *("sizes", "energies", "forces", "stresses"),
    *("energy_weights", "force_weights", "stress_weights"),
)
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
    # every structure has an energy (``check_labels``)
    error = (prediction.energies - batch.energies) / batch.sizes
    total = weights.energy * (batch.energy_weights * error.square()).mean()
    if weights.forces > 0:
        forces = FORCES_LOSS[forces_loss](
            prediction.forces, batch.forces, batch.force_weights
        )
        total = total + weights.forces * forces
    if weights.stress > 0:
        stress = mean_square(prediction.stresses, batch.stresses, batch.stress_weights)
        total = total + weights.stress * stress
    return total


def validation_score(
    validated: Sequence[tuple[Batch, Prediction]],
    weights: LossWeights,
    forces_loss: str,
) -> float:
    """Loss of a whole data set, without the kinds of labels that it lacks.

    Parameters
    ----------
    validated : sequence of (Batch, Prediction)
    weights : LossWeights
    forces_loss : str
        Key of ``FORCES_LOSS``.
    """
    batches, predictions = zip(*validated, strict=True)
    whole = batches[0]._replace(**{name: _join(batches, name) for name in _LABELS})
    predicted = Prediction(*(_join(predictions, name) for name in Prediction._fields))
    return float(batch_loss(whole, predicted, weights, forces_loss))


def _join(parts: Sequence[Any], name: str) -> Tensor:
    return torch.cat([getattr(part, name).detach().cpu() for part in parts]).double()


def mean_square(
    prediction: Tensor, reference: Tensor, weights: Tensor | float = 1.0
) -> Tensor:
    """Mean of weights times squares of the errors whose labels are known, not NaN."""
    known = torch.isfinite(reference)
    error = _error(prediction, reference, known)
    return (weights * error.square()).sum() / known.sum().clamp(min=1)


def _mean_length(
    prediction: Tensor, reference: Tensor, weights: Tensor | float = 1.0
) -> Tensor:
    """Mean length of the errors of vectors of which a component is known."""
    known = torch.isfinite(reference)
    square = _error(prediction, reference, known).square().sum(-1, keepdim=True)
    # A length has no derivative at zero.
    lengths = (square + SHORTEST**2).sqrt() - SHORTEST
    return (weights * lengths).sum() / known.any(-1).sum().clamp(min=1)


def _error(prediction: Tensor, reference: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, prediction - torch.where(known, reference, 0.0), 0.0)


FORCES_LOSS = {"mse": mean_square, "l2mae": _mean_length}
