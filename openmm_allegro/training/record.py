# SPDX-License-Identifier: MIT
"""Log of a training, and the best model of it so far."""

import csv
import logging
import os
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from ..model.file import Model, save_model
from ..utils.files import replacing

log = logging.getLogger(__name__)

MONITOR = "validation_score"


class TrainingRecord(pl.Callback):
    """After each validation: metrics, a row of log.csv, the model if it is the best.

    Comes before the averaging callback, which takes the averaged weights away again.
    """

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

    def __init__(self, output: Path, model: Model) -> None:
        self.path = output / "log.csv"
        self.target = output / "model.safetensors"
        self.model = model
        self.best = float("inf")
        self.seconds = 0.0
        self.started = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "seconds": self._elapsed()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.seconds = state["best"], state["seconds"]

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.started = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # Epochs after the checkpoint are run again, and their rows written again.
        rows = []
        if trainer.current_epoch > 0 and self.path.exists():
            with open(self.path, newline="") as file:
                rows = [
                    row
                    for row in csv.DictReader(file)
                    if row["seconds"] and int(row["epoch"]) < trainer.current_epoch
                ]
        with replacing(self.path) as partial:
            write_rows(partial, rows, header=True)

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        metrics = module.finish_validation()
        module.log(MONITOR, metrics[MONITOR])
        shown = {"F": metrics["forces_rmse"], "E": metrics["energy_rmse"]}
        module.log_dict({f"{k}_rmse_meV": v for k, v in shown.items()}, prog_bar=True)
        row = {
            **metrics,
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(self._elapsed(), 1),
            "loss": module.epoch_loss(),
        }
        write_rows(self.path, [row], header=False)
        log.info(
            "epoch %d  force RMSE %.1f meV/Å  energy RMSE %.2f meV/atom  %.0f s",
            row["epoch"],
            metrics["forces_rmse"],
            metrics["energy_rmse"],
            row["seconds"],
        )
        self.best = save_if_best(self.model, self.target, row, metrics, self.best)

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started


def write_rows(path: Path, rows: list[dict[str, Any]], *, header: bool) -> None:
    """Rows of a log.csv: a new file with a header, or added to one that has it."""
    with open(path, "w" if header else "a", newline="") as file:
        writer = csv.DictWriter(file, TrainingRecord.COLUMNS, extrasaction="ignore")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        file.flush()
        os.fsync(file.fileno())


def save_if_best(
    model: Model,
    path: Path,
    row: dict[str, Any],
    metrics: dict[str, Any],
    best: float,
) -> float:
    """The best score with this row's, whose model is saved if the score is its own."""
    if not metrics[MONITOR] < best:  # NaN is not
        return best
    model.provenance |= {
        "epoch": row["epoch"],
        "step": row["step"],
        "training_seconds": row["seconds"],
        "validation": metrics,
    }
    save_model(model, path)
    return float(metrics[MONITOR])
