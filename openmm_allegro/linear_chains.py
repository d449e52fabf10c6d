# SPDX-License-Identifier: MIT
"""Linear maps that follow each other with nothing between them, in training.

The scalars of a pair leave each network through a linear layer and enter the next ones
through another. The two say no more than one; trained both, by noisy gradients, they
lose rank together: at the end of long trainings half of the singular values of either
are a hundredth of what they were.
"""

import torch

from .model import AllegroEnergy


def fix_linear_chains(energy: AllegroEnergy, seed: int) -> list[torch.nn.Parameter]:
    """Keep the first map of each chain at an orthogonal matrix of the same size.

    What follows can make up for any change of it, so the network loses nothing. That
    holds where the map has at least as many columns as rows; others are left alone.
    Gradients by the fixed columns are zero from now on; weight decay scales them.

    Parameters
    ----------
    energy : AllegroEnergy
        Changed in place.
    seed : int

    Returns
    -------
    list of Parameter
        Those that are fixed, in their first ``num_scalar_features`` columns.
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
        # rows of unit variance per entry, as those of the layers are
        start = torch.linalg.qr(square).Q[:rows] * scalars**0.5
        with torch.no_grad():
            weight[:, :scalars] = start.to(weight)
        mask = torch.ones_like(weight)
        mask[:, :scalars] = 0.0
        weight.register_hook(lambda gradient, mask=mask: gradient * mask.to(gradient))
        fixed.append(weight)
    return fixed
