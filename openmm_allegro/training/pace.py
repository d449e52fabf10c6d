# SPDX-License-Identifier: MIT
"""Course of a training's rate, and how it is changed to end within given hours."""

import logging
import time
from typing import Any, NamedTuple

import lightning.pytorch as pl

from .config import TrainConfig
from .record import TrainingRecord

log = logging.getLogger(__name__)

# Part of the hours by which a training may be expected to be late before it is
# shortened, so that one slow epoch changes nothing.
TOLERANCE = 0.01
EARLY = 0.1  # part by which it may be early, if it was shortened before
_RECENT = 5  # epochs whose mean is the time that an epoch takes


class Course(NamedTuple):
    """Part of the schedule that is done, which grows linearly over the steps."""

    last: int  # step at whose end all is done
    first: int = 0
    begun: float = 0.0  # what was done at ``first``

    def done(self, step: int) -> float:
        """Part that is done before a step, from 0 to 1."""
        if step >= self.last:
            return 1.0
        rest = (step - self.first) / (self.last - self.first)
        return self.begun + (1.0 - self.begun) * rest

    def ending(self, step: int, last: int) -> "Course":
        """Course that is the same up to a step and ends at another."""
        return Course(last, step, self.done(step))


class Pace(pl.Callback):
    """Lower the number of epochs where they would take longer than ``max_hours``.

    The rate then falls faster from where it is, and still ends at ``final_rate``. If
    epochs become faster again, there are more of them again, ``max_epochs`` at most.
    What was decided is in the checkpoints, so that a resumed training goes on with it.

    Parameters
    ----------
    config : TrainConfig
    record : TrainingRecord
        Keeps the seconds of the training, those before it was resumed among them.
    """

    def __init__(self, config: TrainConfig, record: TrainingRecord) -> None:
        self.config, self.record = config, record
        self.epochs = config.max_epochs
        self.course: Course | None = None
        self.durations: list[float] = []  # seconds of the epochs of this process
        self.mark = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Collect what was decided, and for which settings."""
        course = None if self.course is None else list(self.course)
        asked = [self.config.max_epochs, self.config.max_hours]
        return {"asked": asked, "epochs": self.epochs, "course": course}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what was decided, unless other epochs or hours are asked for."""
        if state["asked"] != [self.config.max_epochs, self.config.max_hours]:
            return
        self.epochs = state["epochs"]
        if state["course"] is not None:
            self.course = Course(*state["course"])

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Go on with what was decided before."""
        trainer.fit_loop.max_epochs = self.epochs
        if self.course is not None:
            module.course = self.course
        self.mark = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, module: Any) -> None:
        """Shorten the training after an epoch if it is late."""
        self.durations.append(time.monotonic() - self.mark)
        self.mark = time.monotonic()
        done = trainer.current_epoch + 1
        if self.config.max_hours == 0 or done >= self.epochs:
            return
        limit = 3600 * self.config.max_hours
        epochs = epochs_in_time(
            done,
            self.epochs,
            self.config.max_epochs,
            elapsed=self.record.elapsed,
            durations=self.durations,
            limit=limit,
        )
        epochs = max(epochs, self.config.late_epoch + 1)
        epochs = trainer.strategy.broadcast(epochs)  # clocks of processes differ
        if epochs == self.epochs:
            return
        log.warning(
            "epochs take %.3g s, so that max_hours = %g leaves time for %d of %d; the "
            "rate falls accordingly from now on",
            _recent(self.durations),
            self.config.max_hours,
            epochs,
            self.config.max_epochs,
        )
        self.epochs = trainer.fit_loop.max_epochs = epochs
        self.course = module.course.ending(
            trainer.global_step, epochs * module.steps_per_epoch
        )
        module.course = self.course


def epochs_in_time(
    done: int,
    planned: int,
    most: int,
    *,
    elapsed: float,
    durations: list[float],
    limit: float,
) -> int:
    """Number of epochs that end within a time.

    Parameters
    ----------
    done, planned, most : int
        Epochs that are done, that are planned now, and largest number.
    elapsed : float
        Seconds since the beginning.
    durations : list of float
        Seconds of the last epochs; the first of them is not typical.
    limit : float
        Seconds.

    Returns
    -------
    int
        At least one more than are done, in which the rate can fall; those that are
        planned if they are at most ``TOLERANCE`` late or ``EARLY`` early.
    """
    seconds = _recent(durations)
    whole = elapsed + (planned - done) * seconds
    is_early = planned < most and whole < (1 - EARLY) * limit
    if whole <= (1 + TOLERANCE) * limit and not is_early:
        return planned
    return min(most, done + max(int((limit - elapsed) / max(seconds, 1e-9)), 1))


def _recent(durations: list[float]) -> float:
    """Seconds of an epoch, without the first, which compiles and fills caches."""
    recent = durations[1:][-_RECENT:] or durations
    return sum(recent) / len(recent)
