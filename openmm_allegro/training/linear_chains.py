# SPDX-License-Identifier: MIT
"""Fix the first of two linear maps that follow each other.

The scalars of a pair leave each network through a linear layer and enter the next ones
through another. Their product is no more general than one map. If noisy gradients train
both, they lose rank together: at the end of long trainings half of the singular values
of either are a hundredth of what they were.
"""

import logging
from typing import Any

import torch
from torch import Tensor

from ..model import AllegroEnergy

log = logging.getLogger(__name__)


def fix_linear_chains(
    energy: AllegroEnergy, seed: int, *, reset: bool = True
) -> list[torch.nn.Parameter]:
    """Keep the first map of each chain at an orthogonal matrix of the same size.

    The second map can make up for any change of the first, so the network loses
    nothing. That holds where there are at least as many scalars as inputs of the map
    (the width of the hidden layer before it); other maps are trained. Gradients of the
    fixed columns are zero from now on; ``keep_fixed`` undoes their weight decay.

    Parameters
    ----------
    energy : AllegroEnergy
        Changed in place.
    seed : int
    reset : bool
        False fixes the maps of a trained network as they are.

    Returns
    -------
    list of Parameter
        Weights whose first ``num_scalar_features`` columns are fixed.
    """
    network = energy.network
    scalars = network.scalars
    networks = [network.two_body, network.first_projection, *network.latents]
    generator = torch.Generator().manual_seed(seed)
    fixed = []
    for mlp in networks:
        weight = mlp.layers[-1].weight
        rows = len(weight)
        if rows > scalars:
            continue
        square = torch.randn(
            (scalars, scalars), generator=generator, dtype=torch.float64
        )
        if not weight.requires_grad:  # the whole of it is frozen
            continue
        # rows of unit variance per entry, like those of the layers
        start = torch.linalg.qr(square).Q[:rows] * scalars**0.5
        if reset:
            with torch.no_grad():
                weight[:, :scalars] = start.to(weight)
        weight.register_hook(lambda gradient: _without(gradient, scalars))
        fixed.append(weight)
    log.debug("%d of %d linear chains fixed", len(fixed), len(networks))
    return fixed


def keep_fixed(
    optimizer: torch.optim.Optimizer, fixed: list[torch.nn.Parameter], scalars: int
) -> None:
    """Undo the weight decay of the first ``scalars`` columns of ``fixed``."""
    columns = [weight.detach()[:, :scalars].clone() for weight in fixed]

    @torch.no_grad()
    def restore(*_: Any) -> None:
        for weight, start in zip(fixed, columns, strict=True):
            weight[:, :scalars] = start

    optimizer.register_step_post_hook(restore)


def _without(gradient: Tensor, columns: int) -> Tensor:
    gradient = gradient.clone()
    gradient[:, :columns] = 0.0
    return gradient
