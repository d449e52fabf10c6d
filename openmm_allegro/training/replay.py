# SPDX-License-Identifier: MIT
"""Frames of an earlier training beside new ones, so that a model keeps what it knew."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler

from .config import TrainConfig
from .module import EpochOrder
from .samples import Sample


class ReplayOrder(Sampler[int]):
    """An order of new frames and old ones that depends on seed and epoch alone.

    Both are spread evenly over the epoch, so that each batch has its share. No frame of
    either kind comes again before all others of its kind.

    Parameters
    ----------
    new, old : int
        Numbers of frames; the old ones follow the new ones in the set.
    config : TrainConfig
        ``seed``, ``epoch_size`` and ``replay_fraction``. An epoch of no given size has
        all new frames.
    """

    def __init__(self, new: int, old: int, config: TrainConfig) -> None:
        self.new, share = new, config.replay_fraction
        replayed = new * share / (1 - share)
        if config.epoch_size:
            replayed = min(config.epoch_size * share, config.epoch_size - 1)
        replayed = max(round(replayed), 1)
        fresh = max(config.epoch_size - replayed, 1) if config.epoch_size else new
        self.parts = (
            EpochOrder(new, config.seed, fresh),
            EpochOrder(old, config.seed, replayed),
        )

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next order is of; Lightning calls this."""
        for part in self.parts:
            part.set_epoch(epoch)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[int]:
        fresh, replayed = (np.array(list(part)) for part in self.parts)
        # Middle of the stretch of the epoch that each frame of its kind has.
        places = [
            (np.arange(len(kind)) + 0.5) / len(kind) for kind in (fresh, replayed)
        ]
        order = np.argsort(np.concatenate(places), kind="stable")
        return iter(np.concatenate([fresh, self.new + replayed])[order].tolist())


def moved_energies(samples: Sequence[Sample], change: Sequence[float]) -> list[Sample]:
    """Move energies by what each element's energy has changed.

    Parameters
    ----------
    samples : sequence of Sample
    change : sequence of float
        eV, one for each element.
    """
    changes = torch.tensor(change, dtype=torch.float64)
    return [
        sample
        if sample.energy is None
        else sample._replace(energy=sample.energy + float(changes[sample.types].sum()))
        for sample in samples
    ]
