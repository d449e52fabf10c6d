# SPDX-License-Identifier: MIT
"""Measure what a step of a training costs on the machine at hand."""

import logging
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from lightning.pytorch.utilities import move_data_to_device

from ..kernels.training.sparse import use_sparse_products
from ..model import AllegroConfig
from ..structure import Structure
from .config import TrainConfig
from .evaluate import predict
from .module import TrainingModule
from .recipe import Cost
from .samples import Batch, collate
from .start import choose_device, start_training, with_stress_weight

_FRAMES = 24  # whose batches are measured
_SECONDS = 3.0  # of steps for each network
_FEWEST, _MOST = 3, 30  # steps
_BESIDE = 0.002  # seconds of a step for the average of the weights, and for Lightning

log = logging.getLogger(__name__)


class MeasuredClock:
    """Seconds of a step and of a validation, of networks that are asked for.

    Parameters
    ----------
    structures : sequence of Structure
        The training's; some are taken.
    seconds : float
        For the steps of one network.
    """

    def __init__(self, structures: Sequence[Structure], seconds: float = _SECONDS):
        frames = [s for s in structures if not s.is_isolated and s.energy is not None]
        step = max(1, len(frames) // _FRAMES)
        self.structures, self.seconds = frames[::step], seconds

    def __call__(self, model: AllegroConfig, train: TrainConfig) -> Cost:
        """Train a network for a few steps."""
        config = replace(train, compile=False)
        device = choose_device(config.device)
        count = math.ceil(config.batch_size / len(self.structures))
        structures = self.structures * count
        with _silent():
            config = with_stress_weight(config, structures)
            start = start_training(model, config, structures, structures[:1])
            if device == "cpu":
                use_sparse_products(start.model.energy)
            module = TrainingModule(start.model, config, 1)
        module.energy.to(device)
        optimizer = module.make_optimizer()
        size = config.batch_size
        batches = len(start.training) // size
        stress = module.weights.stress > 0

        def next_batch(number: int) -> Batch:
            first = number % batches * size
            samples = start.training[first : first + size]
            return move_data_to_device(collate(samples, model), device)

        def step(number: int) -> float:
            begun = time.monotonic()
            batch = next_batch(number)
            prediction = predict(module.energy, batch, training=True, stress=stress)
            module.loss(batch, prediction).backward()
            optimizer.step()
            optimizer.zero_grad()
            _wait(device)
            return time.monotonic() - begun

        def check(number: int) -> float:
            begun = time.monotonic()
            predict(module.energy, next_batch(number))
            _wait(device)
            return time.monotonic() - begun

        step(0)  # which is slower than the others
        steps = _median(step, self.seconds) + _BESIDE
        checks = _median(check, 0.2 * self.seconds)
        log.info(
            "l_max %d, %d scalar and %d tensor features: %.3g s a step",
            model.l_max,
            model.num_scalar_features,
            model.num_tensor_features,
            steps,
        )
        return Cost(step=steps, validation=checks / size)


def _median(measure: Callable[[int], float], seconds: float) -> float:
    """Median of what is measured again and again for some seconds."""
    found: list[float] = []
    while len(found) < _FEWEST or (sum(found) < seconds and len(found) < _MOST):
        found.append(measure(len(found)))
    return statistics.median(found)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


@contextmanager
def _silent() -> Iterator[None]:
    """Leave out remarks on the data, which the training makes again."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
