# SPDX-License-Identifier: MIT
"""Train several models at once on one GPU, each step a replay of a CUDA graph.

A step of a small molecule's training is a thousand small kernels, and a GPU waits for
the host most of the time. Here the data lies on the GPU, a whole step is one CUDA
graph, and each training has a stream of its own. On a CPU the same steps are taken one
after the other.
"""

import dataclasses
import json
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import move_data_to_device

from ..classical.fingerprint import common_baseline
from ..model import AllegroConfig, AllegroEnergy
from ..model.model import Model
from ..structure import Structure
from .config import TrainConfig
from .data import check_labels
from .divergence import Divergence
from .finish import finished_model
from .graph_step import GraphStep
from .module import TrainingModule
from .predict import predict_labels
from .record import CURRENT, TrainingLog, better_weights
from .resume import (
    STATE,
    check_same,
    find_checkpoint,
    load_checkpoint,
    remove_training,
)
from .samples import collate
from .start import choose_device, start_training, with_stress_weight

log = logging.getLogger(__name__)

NOT_DONE = (
    *("gradient_clip", "early_stop_patience", "stress_weight", "late_epoch"),
    *("epoch_size", "max_hours"),
)
VALIDATION_BATCH = 10


def train_together(
    trainings: "Sequence[GraphTraining]", *, every: int = 5
) -> list[Model]:
    """Train several models at once.

    Parameters
    ----------
    trainings : sequence of GraphTraining
        Those that are done stay as they are.
    every : int
        Epochs between validations.

    Returns
    -------
    list of Model
        Of each training the one with the best validation score.

    Raises
    ------
    FloatingPointError
        If a loss or a prediction was not finite, once the other trainings are done.
    """
    failed = []
    running = [training for training in trainings if not training.done]
    mark = time.monotonic()
    while running:
        for training in running:
            training.begin_interval(every)
        for step in range(max(training.interval for training in running)):
            for training in running:
                if step < training.interval:
                    training.replay()
        finite, rows = [], []
        for training in running:
            try:
                rows.append(training.validate())
                finite.append(training)
            except FloatingPointError as error:
                log.error("%s", error)
                failed.append(error)
        seconds, mark = time.monotonic() - mark, time.monotonic()
        for training, (metrics, values) in zip(finite, rows, strict=True):
            training.save(metrics, values, seconds)
        running = [training for training in finite if not training.done]
    if failed:
        raise failed[0]
    return [training.finish() for training in trainings]


class GraphTraining:
    """A training for ``train_together``.

    Parameters
    ----------
    model_config : AllegroConfig
    train_config : TrainConfig
        Averaging, float32, no plateau schedule and none of ``NOT_DONE``.
    training, validation : sequence of Structure
        As of ``train``; those of training of one size, filling their batches.
    output : path
        A new folder: ``model.safetensors`` (best so far), ``log.csv`` (a row for each
        validation) and ``state.pt``, to resume from. Messages begin with its name.
    resume : bool
        Continue from the state in ``output``.
    overwrite : bool
        Throw a training that is in ``output`` away.
    provenance : dict, optional
        JSON values to keep in the model file beside those of ``train``.

    Raises
    ------
    FileExistsError
        If ``output`` holds a training, and neither ``resume`` nor ``overwrite`` is set.
    ValueError
        If the settings or the data cannot be trained on in this way, there is nothing
        to resume or it was another training, or one of more epochs.
    """

    def __init__(
        self,
        model_config: AllegroConfig,
        train_config: TrainConfig,
        training: Sequence[Structure],
        validation: Sequence[Structure],
        output: str | Path,
        *,
        resume: bool = False,
        overwrite: bool = False,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self.output = Path(output)
        train_config = with_stress_weight(train_config, training)
        self.name, self.config = self.output.name, train_config
        if model_config.is_charged:
            raise ValueError(
                f"{self.name}: expected a model of charges = 'none', found "
                f"{model_config.charges!r}; train() and openmm-allegro train take it"
            )
        check_graphs(self.name, train_config, training, validation)
        device = choose_device(train_config.device)
        path = find_checkpoint(self.output, STATE, resume=resume, overwrite=overwrite)
        start = start_training(
            model_config, train_config, training, validation, provenance
        )
        self.model, samples, held_out = start.model, start.training, start.validation
        _check_batches(self.name, train_config, len(samples))
        self.steps = len(samples) // train_config.batch_size  # of an epoch
        state = None if path is None else self._read_state(path)
        if overwrite:
            remove_training(self.output)
        self.output.mkdir(parents=True, exist_ok=True)
        self.files = TrainingLog(self.output, self.model)
        self.losses = Divergence(train_config)
        self.seconds, self.saved_steps = 0.0, 0
        self.interval = self.steps  # steps between validations
        module = TrainingModule(self.model, train_config, self.steps).to(device)
        self.graph = GraphStep(module, samples, model_config)
        self.samples, self.device = (samples, held_out), device
        starts = range(0, len(held_out), VALIDATION_BATCH)
        parts = [held_out[start : start + VALIDATION_BATCH] for start in starts]
        self.validation = [
            move_data_to_device(collate(part, model_config), device) for part in parts
        ]
        if state is not None:
            for key, value in self.graph.tensors().items():
                value.copy_(state["tensors"][key])
            self.files.best, self.seconds = state["best"], state["seconds"]
            if "losses" in state:  # earlier versions lack it
                self.losses.load(state["losses"])
            self.saved_steps = int(self.graph.steps_done)
        self.files.keep_epochs(self.saved_steps // self.steps)

    @property
    def done(self) -> bool:
        """True if all epochs are trained and saved."""
        return self.saved_steps == self.graph.total

    def begin_interval(self, epochs: int) -> None:
        """Set the number of steps to the next validation."""
        self.interval = min(epochs * self.steps, self.graph.total - self.saved_steps)

    def replay(self) -> None:
        """Enqueue a step."""
        self.graph.replay()

    def validate(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Metrics after the enqueued steps, and the other values of a row.

        Raises
        ------
        FloatingPointError
            If a loss or a prediction was not finite.
        """
        with torch.cuda.stream(self.graph.stream):
            step, loss = int(self.graph.steps_done), float(self.graph.loss)
            self.graph.loss.zero_()
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"{self.name}: expected a finite loss, found {loss} by step "
                    f"{step}; a lower learning_rate or less momentum may help"
                )
            epoch = step // self.steps - 1
            try:
                self.losses.check(loss / self.interval, self.graph.module.weights)
                weights, metrics = better_weights(
                    lambda: self._measure(self.graph.averaged),
                    lambda: self._measure(self.graph.energy),
                    self.files.best,
                    both=self.graph.module.ends_at(step),
                )
            except ValueError as error:  # infinite, NaN or diverged
                raise FloatingPointError(f"{self.name}: {error}") from error
        return metrics, {
            "epoch": epoch,
            "step": step,
            "learning_rate": float(self.graph.rates[step]),
            "loss": loss / self.interval,
            "weights": weights,
        }

    def save(
        self, metrics: dict[str, Any], values: dict[str, Any], seconds: float
    ) -> None:
        """Write a row of the log, the model if it is the best, and the state.

        Parameters
        ----------
        metrics, values : dict
            From ``validate``.
        seconds : float
            Since the validation before.
        """
        self.seconds += seconds
        instead = values["weights"] == CURRENT
        energy = self.graph.energy if instead else self.graph.averaged
        self.model.energy = energy.with_terms(self.model.energy.terms)
        seconds = round(self.seconds, 1)
        self.files.add(metrics, **values, instead=instead, seconds=seconds)
        tensors = self.graph.tensors()
        state = {
            "tensors": {key: value.cpu() for key, value in tensors.items()},
            "best": self.files.best,
            "seconds": self.seconds,
            "losses": self.losses.state(),
            "header": self._header(),
        }
        partial = self.output / f"{STATE}.partial"
        torch.save(state, partial)
        partial.replace(self.output / STATE)
        self.saved_steps = values["step"]

    def finish(self) -> Model:
        """Give the best model, once all is done, refitted shifts and programs."""
        return finished_model(self.output, self.config, *self.samples, self.device)

    def _measure(self, energy: AllegroEnergy) -> dict[str, Any]:
        """Compute the errors of a network on the validation set."""
        validated = [
            (batch, predict_labels(energy, batch)) for batch in self.validation
        ]
        return self.graph.module.metrics(validated)

    def _read_state(self, path: Path) -> dict[str, Any]:
        state = load_checkpoint(path)
        check_same(self.model, state["header"], path)
        epochs = int(state["tensors"]["step"]) // self.steps
        if epochs > self.config.max_epochs:
            raise ValueError(
                f"{self.name}: expected max_epochs of at least {epochs}, which are "
                f"done, found {self.config.max_epochs}"
            )
        return state

    def _header(self) -> dict[str, Any]:
        """Make the header of a model file, without NumPy's numbers.

        No state may hold those."""
        header = {
            "config": dataclasses.asdict(self.model.config),
            "statistics": dataclasses.asdict(self.model.statistics),
            "provenance": self.model.provenance,
        }
        return json.loads(json.dumps(header))


def check_graphs(
    name: str,
    config: TrainConfig,
    training: Sequence[Structure],
    validation: Sequence[Structure],
) -> None:
    """Refuse settings and data that a step that never returns to the host cannot have.

    Parameters
    ----------
    name : str
        Beginning of the message.
    config, training, validation
        As of ``GraphTraining``.

    Raises
    ------
    ValueError
    """
    for key, possible in (
        ("schedule", config.schedule != "plateau"),
        ("ema_decay", config.ema_decay > 0),
        ("dtype", config.dtype == "float32"),
        ("devices", config.devices == 1),
        *((key, not getattr(config, key)) for key in NOT_DONE),
    ):
        if not possible:
            raise ValueError(
                f"{name}: expected a schedule other than plateau, averaging, float32, "
                f"one device and none of {', '.join(NOT_DONE)}, found {key} = "
                f"{getattr(config, key)!r}; train() and openmm-allegro train take it"
            )
    check_labels(f"{name}: training", training, config)
    check_labels(f"{name}: validation", validation, config)
    # Beside structures of more atoms, which are all of one size, single atoms can only
    # be isolated ones, which are not trained on.
    count = sum(len(s) > 1 for s in training) or len(training)
    _check_batches(name, config, count)
    if common_baseline((*training, *validation)) is not None:
        raise ValueError(f"{name}: expected total energies, found those of a baseline")


def _check_batches(name: str, config: TrainConfig, count: int) -> None:
    if count % config.batch_size:
        raise ValueError(
            f"{name}: expected batches that fill the epoch, found {count} structures "
            f"in batches of {config.batch_size}"
        )
