# SPDX-License-Identifier: MIT
"""Record what the last layer of a network says of each atom, while it predicts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..model import AllegroEnergy, as_blocks
from .samples import Batch


class Recorder:
    """Latents of the centres that a network was called with since the last ``take``."""

    def __init__(self, scalars: int) -> None:
        self.scalars = scalars
        self.pairs: Tensor | None = None
        self.centers: list[Tensor] = []

    def take(self, batch: Batch) -> np.ndarray:
        """Latents [N, S] of a batch's atoms, zero without neighbours; forget them.

        Parameters
        ----------
        batch : Batch
            That the network was called with since.
        """
        latents = torch.zeros(len(batch.types), self.scalars, dtype=torch.float64)
        parts, self.centers = self.centers, []
        if parts:  # there are none without neighbours
            order = torch.cat([centers for centers, _, _ in batch.blocks])
            # Forces of a model with charges call it twice, in the same order.
            latents[order.cpu()] = torch.cat(parts)[: len(order)].double().cpu()
        return latents.numpy()

    def keep_pairs(self, module: Any, inputs: tuple[Tensor, ...]) -> None:
        """Keep the scalars of the last layer, which the readout takes last."""
        self.pairs = inputs[0].detach()[:, -self.scalars :]

    def sum_pairs(self, module: Any, inputs: Sequence[Any], output: Tensor) -> None:
        """Sum them over the neighbours of each centre."""
        blocks = as_blocks(self.pairs, inputs[3])
        self.centers.append(torch.cat([block.sum(1) for block in blocks]))


@contextmanager
def recording(energy: AllegroEnergy) -> Iterator[Recorder]:
    """Record the latents of a network while it is called.

    The latent of an atom is the sum over its neighbours of the last layer's scalars,
    a smooth function of its surroundings that padding does not change.

    Parameters
    ----------
    energy : AllegroEnergy

    Yields
    ------
    Recorder
    """
    network = energy.network
    recorder = Recorder(network.scalars)
    hooks = [
        network.readout.register_forward_pre_hook(recorder.keep_pairs),
        network.register_forward_hook(recorder.sum_pairs),
    ]
    in_training, network.in_training = network.in_training, None  # calls no readout
    try:
        yield recorder
    finally:
        network.in_training = in_training
        for hook in hooks:
            hook.remove()
