# SPDX-License-Identifier: MIT
"""Log of a training, and the best model of it so far."""

import contextlib
import csv
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from ..model.model import Model
from ..modelfile import save_model
from ..utils.files import replacing
from .averaging import AveragedWeights

log = logging.getLogger(__name__)

Measure = Callable[[], dict[str, Any]]

LOG, MODEL = "log.csv", "model.safetensors"  # in the folder of a training
MONITOR = "validation_score"
AVERAGED, CURRENT = "averaged", "current"  # weights that are validated and saved
COLUMNS = (
    "epoch",
    "step",
    "learning_rate",
    "loss",
    MONITOR,
    "energy_mae",
    "energy_rmse",
    "forces_mae",
    "forces_rmse",
    "stress_rmse",
    "seconds",
)


class TrainingLog:
    """Rows of log.csv, one for each validation, and the model with the best score.

    Parameters
    ----------
    output : Path
        Folder of the training.
    model : Model
        Saved, as it is then, whenever its score is the best so far.
    writes : bool
        False for a process that leaves the files to another.

    Attributes
    ----------
    best : float
        Score of the saved model, infinite before there is one.
    """

    def __init__(self, output: Path, model: Model, *, writes: bool = True) -> None:
        self.path, self.target = output / LOG, output / MODEL
        self.model, self.writes = model, writes
        self.best = float("inf")

    def keep_epochs(self, count: int) -> None:
        """Begin the log, with the rows of the first ``count`` epochs if there are any.

        Epochs after a checkpoint are trained again, and their rows written again.
        """
        if not self.writes:
            return
        rows = []
        if count > 0 and self.path.exists():
            with open(self.path, newline="") as file:
                rows = [
                    row
                    for row in csv.DictReader(file)
                    if row["seconds"] and int(row["epoch"]) < count
                ]
        with replacing(self.path) as partial, open(partial, "w", newline="") as file:
            writer = _writer(file)
            writer.writeheader()
            writer.writerows(rows)

    def add(
        self,
        metrics: dict[str, Any],
        *,
        weights: str = CURRENT,
        instead: bool = False,
        **values: Any,
    ) -> None:
        """Write a row, and the model if its score is the best.

        Parameters
        ----------
        metrics : dict
            Of the validation, ``MONITOR`` among them.
        weights : str
            Those that were validated and that the model has: AVERAGED or CURRENT.
        instead : bool
            Whether the current weights were better than an average.
        **values
            Of the other columns.
        """
        if not self.writes:
            self.best = min(self.best, float(metrics[MONITOR]))  # NaN is no minimum
            return
        with open(self.path, "a", newline="") as file:
            _writer(file).writerow({**metrics, **values})
            file.flush()
            os.fsync(file.fileno())
        note = ", current weights, better than the averaged ones"
        log.info(
            "%s, epoch %d%s  energy RMSE %.2f meV/atom  %.0f s%s",
            self.path.parent.name,
            values["epoch"],
            "  force RMSE {forces_rmse:.1f} meV/Å".format_map(metrics)
            if "forces_rmse" in metrics
            else "",
            metrics["energy_rmse"],
            values["seconds"],
            note if instead else "",
        )
        if not metrics[MONITOR] < self.best:  # NaN is not
            return
        self.model.provenance |= {
            "epoch": values["epoch"],
            "step": values["step"],
            "training_seconds": values["seconds"],
            "weights": weights,
            "validation": metrics,
        }
        # ``finished_model`` makes programs, which take a small network's epoch.
        save_model(self.model, self.target, with_programs=False)
        self.best = float(metrics[MONITOR])


def better_weights(
    averaged: Measure, current: Measure, best: float, *, both: bool
) -> tuple[str, dict[str, Any]]:
    """Choose between averaged and current weights by their validation scores.

    The current weights are validated only where the averaged ones are not the best so
    far: they may lag behind, or carry a spike. A training then takes no longer for it
    as long as it improves.

    Parameters
    ----------
    averaged, current : callable
        Give the metrics of these weights, or raise ValueError if predictions are not
        finite.
    best : float
        Best score so far.
    both : bool
        Validate both in any case.

    Returns
    -------
    str
        AVERAGED or CURRENT.
    dict
        The metrics.

    Raises
    ------
    ValueError
        If the predictions of neither are finite.
    """
    try:
        metrics = averaged()
    except ValueError:
        return CURRENT, current()
    if metrics[MONITOR] < best and not both:
        return AVERAGED, metrics
    try:
        others = current()
    except ValueError:
        return AVERAGED, metrics
    if others[MONITOR] < metrics[MONITOR]:
        return CURRENT, others
    return AVERAGED, metrics


class TrainingRecord(pl.Callback):
    """Keep a ``TrainingLog`` while Lightning trains.

    It comes before the averaging callback, which takes the averaged weights away again
    after each validation.

    Parameters
    ----------
    record : TrainingLog
    averages : AveragedWeights, optional
        The averaging callback, if there is one.
    """

    def __init__(
        self, record: TrainingLog, averages: AveragedWeights | None = None
    ) -> None:
        self.record, self.averages = record, averages
        self.seconds = 0.0
        self.started = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Collect what a checkpoint keeps: the best score, and the seconds so far."""
        return {"best": self.record.best, "seconds": self.elapsed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint kept."""
        self.record.best, self.seconds = state["best"], state["seconds"]

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Drop epochs of the log that the checkpoint does not have."""
        self.record.keep_epochs(trainer.current_epoch)

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        """Log the errors of an epoch, and add them to the record."""
        weights, metrics = self._validate(module, trainer.global_step)
        # The same in all processes, as Lightning is told to make sure of.
        several = {"sync_dist": trainer.world_size > 1}
        module.log(MONITOR, metrics[MONITOR], **several)
        shown = {
            f"{letter}_rmse_meV": metrics[key]
            for letter, key in (("F", "forces_rmse"), ("E", "energy_rmse"))
            if key in metrics
        }
        module.log_dict(shown, prog_bar=True, **several)
        instead = weights == CURRENT and self.averages is not None
        with self.averages.current(module) if instead else contextlib.nullcontext():
            self.record.add(
                metrics,
                weights=weights,
                instead=instead,
                epoch=trainer.current_epoch,
                step=trainer.global_step,
                learning_rate=trainer.optimizers[0].param_groups[0]["lr"],
                loss=module.epoch_loss(),
                seconds=round(self.elapsed, 1),
            )

    def _validate(self, module: Any, step: int) -> tuple[str, dict[str, Any]]:
        """Metrics of the better weights, and which they are."""
        validated, module.validated = module.validated, []
        if self.averages is None:
            return CURRENT, module.metrics(validated)

        def current() -> dict[str, Any]:
            with self.averages.current(module):
                return module.metrics(module.predict_again(validated))

        return better_weights(
            lambda: module.metrics(validated),
            current,
            self.record.best,
            both=module.ends_at(step),
        )

    @property
    def elapsed(self) -> float:
        """Seconds of the training so far, those before it was resumed among them."""
        return self.seconds + time.monotonic() - self.started


def _writer(file: Any) -> csv.DictWriter:
    return csv.DictWriter(file, COLUMNS, extrasaction="ignore")
