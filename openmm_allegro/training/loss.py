# SPDX-License-Identifier: MIT
"""Errors of predictions as one number: the loss of a batch, the score of a data set.

Each error is a mean over frames, atoms or components of its measure times the weights
of the frame, its file and, of forces, the element; it is not divided by the weights.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .compiled import DenseBatch
from .config import LossWeights, TrainConfig
from .devices import mean_count
from .electrostatics import Electrostatics
from .predict import Prediction
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
    config: TrainConfig,
) -> Tensor:
    """Weighted sum of the errors of energies, forces, stresses and charges.

    Parameters
    ----------
    batch : Batch or DenseBatch
        Labels, NaN where unknown.
    prediction : Prediction
    weights : LossWeights
    config : TrainConfig
        How errors are measured.
    """
    # every structure has an energy (``check_labels``)
    error = prediction.energies - batch.energies
    if config.energy_per_atom:
        error = error / batch.sizes
    measure = error.square()
    if config.energy_loss == "huber":
        measure = huber(measure, config.huber_delta)
    frames = mean_count(torch.ones_like(batch.sizes).sum())
    total = weights.energy * (batch.energy_weights * measure).sum() / frames
    if weights.forces > 0:
        forces = force_loss(
            prediction.forces, batch.forces, batch.force_weights, config
        )
        total = total + weights.forces * forces
    if weights.stress > 0:
        stress = mean_square(prediction.stresses, batch.stresses, batch.stress_weights)
        total = total + weights.stress * stress
    known = batch.electrostatics
    for weight, predicted, name in (
        (config.charge_weight, prediction.charges, "charges"),
        (config.dipole_weight, prediction.dipoles, "dipoles"),
    ):
        if weight > 0:
            total = total + weight * mean_square(predicted, getattr(known, name))
    return total


def validation_score(
    validated: Sequence[tuple[Batch, Prediction]],
    weights: LossWeights,
    config: TrainConfig,
) -> float:
    """Loss of a whole data set, without the kinds of labels that it lacks.

    Parameters
    ----------
    validated : sequence of (Batch, Prediction)
    weights : LossWeights
    config : TrainConfig
    """
    batches, predictions = zip(*validated, strict=True)
    whole = batches[0]._replace(**{name: _join(batches, name) for name in _LABELS})
    if whole.electrostatics is not None:
        parts = [batch.electrostatics for batch in batches]
        names = [name for name in Electrostatics._fields if name != "matrices"]
        joined = Electrostatics(*(_join(parts, name) for name in names), [])
        whole = whole._replace(electrostatics=joined)
    predicted = Prediction(*(_join(predictions, name) for name in Prediction._fields))
    return float(batch_loss(whole, predicted, weights, config))


def _join(parts: Sequence[Any], name: str) -> Tensor | None:
    values = [getattr(part, name) for part in parts]
    if values[0] is None:
        return None
    return torch.cat([value.detach().cpu() for value in values]).double()


def force_loss(
    prediction: Tensor, reference: Tensor, weights: Tensor | float, config: TrainConfig
) -> Tensor:
    """Error of forces [N, 3] as ``forces_loss`` says."""
    if config.forces_loss == "mse":
        return mean_square(prediction, reference, weights)
    if config.forces_loss == "huber":
        delta = config.huber_delta
        return _over_vectors(prediction, reference, weights, lambda s: huber(s, delta))
    return _over_vectors(prediction, reference, weights, _length)


def huber(square: Tensor, delta: float) -> Tensor:
    """Half the square of an error up to ``delta``, and a straight line beyond.

    It is ½ e² or δ (|e| − δ/2), from e². P. J. Huber, doi:10.1214/aoms/1177703732.
    """
    line = delta * (square.clamp(min=delta**2).sqrt() - 0.5 * delta)
    return torch.where(square < delta**2, 0.5 * square, line)


def mean_square(
    prediction: Tensor, reference: Tensor, weights: Tensor | float = 1.0
) -> Tensor:
    """Mean of weights times squares of the errors whose labels are known, not NaN."""
    known = torch.isfinite(reference)
    error = _error(prediction, reference, known)
    return (weights * error.square()).sum() / mean_count(known.sum())


def _over_vectors(
    prediction: Tensor,
    reference: Tensor,
    weights: Tensor | float,
    measure: Callable[[Tensor], Tensor],
) -> Tensor:
    """Mean measure of the squared errors of vectors of which a component is known."""
    known = torch.isfinite(reference)
    square = _error(prediction, reference, known).square().sum(-1, keepdim=True)
    return (weights * measure(square)).sum() / mean_count(known.any(-1).sum())


def _length(square: Tensor) -> Tensor:
    # A length has no derivative at zero.
    return (square + SHORTEST**2).sqrt() - SHORTEST


def _error(prediction: Tensor, reference: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, prediction - torch.where(known, reference, 0.0), 0.0)
