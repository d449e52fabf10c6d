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

from ..model import AllegroConfig
from ..structure import Structure
from .config import TrainConfig
from .module import TrainingModule
from .predict import predict_labels
from .recipe import Cost
from .samples import Batch, collate
from .start import choose_device, start_training, use_device, with_stress_weight

_FRAMES = 24  # whose batches are measured
_SECONDS = 2.0  # of steps for each network
_FEWEST, _MOST = 3, 30  # steps
_BESIDE = 0.002  # seconds of a step for the average of the weights, and for Lightning

Times = tuple[float, float]  # seconds of the clock and of this thread

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
            fill = use_device(start.model.energy, device)
            module = TrainingModule(start.model, config, 1)
        module.energy.to(device)
        optimizer = module.make_optimizer()
        size = config.batch_size
        batches = len(start.training) // size

        def next_batch(number: int) -> Batch:
            first = number % batches * size
            samples = start.training[first : first + size]
            return move_data_to_device(collate(samples, model, fill), device)

        def step(number: int) -> Times:
            begun = time.monotonic(), time.thread_time()
            module.training_step(next_batch(number), number).backward()
            optimizer.step()
            optimizer.zero_grad()
            _wait(device)
            return time.monotonic() - begun[0], time.thread_time() - begun[1]

        def check(number: int) -> Times:
            begun = time.monotonic(), time.thread_time()
            predict_labels(module.energy, next_batch(number))
            _wait(device)
            return time.monotonic() - begun[0], time.thread_time() - begun[1]

        step(0)  # which is slower than the others
        alone = device == "cpu" and torch.get_num_threads() == 1
        steps, fastest = _measure(step, self.seconds, alone)
        _, checks = _measure(check, 0.2 * self.seconds, alone)
        log.info(
            "l_max %d, %d scalar and %d tensor features: %.3g s a step",
            model.l_max,
            model.num_scalar_features,
            model.num_tensor_features,
            steps,
        )
        return Cost(steps + _BESIDE, fastest + _BESIDE, checks / size)


def _measure(
    action: Callable[[int], Times], seconds: float, alone: bool
) -> tuple[float, float]:
    """Median time of what is done again and again, and the time that it can take.

    That is the least time, or the median of the processor's where one thread does all:
    it is not longer beside other work.
    """
    times: list[Times] = []
    spent = 0.0
    while len(times) < _FEWEST or (spent < seconds and len(times) < _MOST):
        times.append(action(len(times)))
        spent += times[-1][0]
    usual = statistics.median(wall for wall, _ in times)
    if alone:
        return usual, min(usual, statistics.median(own for _, own in times))
    return usual, min(wall for wall, _ in times)


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
