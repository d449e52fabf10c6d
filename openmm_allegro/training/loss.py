# SPDX-License-Identifier: MIT
"""Errors of predictions as one number to minimise."""

import torch

SHORTEST = 1e-4  # eV/Å: the length of a shorter error counts less, smoothly


def mean_square(prediction: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
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


FORCES_LOSS = {"mse": mean_square, "l2mae": _mean_norm}
