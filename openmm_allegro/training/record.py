# SPDX-License-Identifier: MIT
"""Log of a training, and the best model of it so far."""

import csv
import logging
import os
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from ..model.model import Model
from ..modelfile import load_model, save_model
from ..utils.files import replacing

log = logging.getLogger(__name__)

LOG, MODEL = "log.csv", "model.safetensors"  # in the folder of a training
MONITOR = "validation_score"
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

    Attributes
    ----------
    best : float
        Score of the saved model, infinite before there is one.
    """

    def __init__(self, output: Path, model: Model) -> None:
        self.path, self.target = output / LOG, output / MODEL
        self.model = model
        self.best = float("inf")

    def keep_epochs(self, count: int) -> None:
        """Begin the log, with the rows of the first ``count`` epochs if there are any.

        Epochs after a checkpoint are trained again, and their rows written again.
        """
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

    def add(self, metrics: dict[str, Any], **values: Any) -> None:
        """Write a row, and the model if its score is the best.

        Parameters
        ----------
        metrics : dict
            Of the validation, ``MONITOR`` among them.
        **values
            Of the other columns.
        """
        with open(self.path, "a", newline="") as file:
            _writer(file).writerow({**metrics, **values})
            file.flush()
            os.fsync(file.fileno())
        log.info(
            "%s, epoch %d  force RMSE %.1f meV/Å  energy RMSE %.2f meV/atom  %.0f s",
            self.path.parent.name,
            values["epoch"],
            metrics["forces_rmse"],
            metrics["energy_rmse"],
            values["seconds"],
        )
        if not metrics[MONITOR] < self.best:  # NaN is not
            return
        self.model.provenance |= {
            "epoch": values["epoch"],
            "step": values["step"],
            "training_seconds": values["seconds"],
            "validation": metrics,
        }
        # Making programs takes as long as a small network's epoch: see ``best_model``.
        save_model(self.model, self.target, with_programs=False)
        self.best = float(metrics[MONITOR])


def best_model(output: Path) -> Model:
    """Read the best model of a training that has ended, and give its file programs."""
    path = output / MODEL
    model = load_model(path)
    if model.stored.programs is None:
        save_model(model, path)
        model = load_model(path)
    return model


class TrainingRecord(pl.Callback):
    """Keep a ``TrainingLog`` while Lightning trains.

    It comes before the averaging callback, which takes the averaged weights away again
    after each validation.
    """

    def __init__(self, record: TrainingLog) -> None:
        self.record = record
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
        metrics = module.finish_validation()
        module.log(MONITOR, metrics[MONITOR])
        shown = {"F": metrics["forces_rmse"], "E": metrics["energy_rmse"]}
        module.log_dict({f"{k}_rmse_meV": v for k, v in shown.items()}, prog_bar=True)
        self.record.add(
            metrics,
            epoch=trainer.current_epoch,
            step=trainer.global_step,
            learning_rate=trainer.optimizers[0].param_groups[0]["lr"],
            loss=module.epoch_loss(),
            seconds=round(self.elapsed, 1),
        )

    @property
    def elapsed(self) -> float:
        """Seconds of the training so far, those before it was resumed among them."""
        return self.seconds + time.monotonic() - self.started


def _writer(file: Any) -> csv.DictWriter:
    return csv.DictWriter(file, COLUMNS, extrasaction="ignore")
