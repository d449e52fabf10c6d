# SPDX-License-Identifier: MIT
"""Moving average of the weights, over a window that grows with the steps."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks.weight_averaging import WeightAveraging
from torch import Tensor

LAG = 50


def share_of_next(steps: int, decay: float) -> float:
    """Share of the next weights in the average of those after ``steps`` steps.

    It is ``1 - decay`` from some step on. Before, it is (LAG - 1) / (LAG - 1 + steps),
    with which the average of weights that move at a constant speed lags behind them by
    exactly a fiftieth of the steps. A fixed decay of 0.995 lags by 200 steps from the
    start: a sixth of a training of 1,300. So does, by a tenth of the steps, the usual
    ramp (1 + steps) / (10 + steps) of the decay. In its last twenty-fifth a cosine
    schedule has less than a half per cent of its rate, so that nothing is left to lag
    behind at its end.

    Parameters
    ----------
    steps : int
        At least 0, when the average begins as the weights.
    decay : float
    """
    return max(1.0 - decay, (LAG - 1) / (LAG - 1 + steps))


class AveragedWeights(WeightAveraging):
    """Average the weights after each step, and validate with the average in place.

    Parameters
    ----------
    decay : float
        Largest decay of the average.
    """

    def __init__(self, decay: float) -> None:
        # All weights in one call: EMAWeightAveraging takes a quarter of a small step.
        super().__init__(use_buffers=False, multi_avg_fn=_make_average(decay))

    @contextlib.contextmanager
    def current(self, module: pl.LightningModule) -> Iterator[None]:
        """Put the current weights back for a while during a validation."""
        self._swap_models(module)
        try:
            yield
        finally:
            self._swap_models(module)


def _make_average(decay: float) -> Callable[..., None]:
    @torch.no_grad()
    def average(
        averages: Sequence[Tensor], weights: Sequence[Tensor], count: Any
    ) -> None:
        torch._foreach_lerp_(averages, weights, share_of_next(int(count), decay))

    return average
