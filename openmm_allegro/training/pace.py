# SPDX-License-Identifier: MIT
"""Course of a training's rate, and how it is changed to end within given hours."""

import logging
import time
from typing import Any, NamedTuple

import lightning.pytorch as pl

from .budget import frames_after
from .config import TrainConfig
from .recipe import FINISH
from .record import TrainingRecord

log = logging.getLogger(__name__)

# Part of the hours by which a training may be expected to be late before it is
# shortened, so that one slow epoch changes nothing.
TOLERANCE = 0.01
EARLY = 0.1  # part by which it may be early, if it was shortened before
_RECENT = 5  # epochs whose mean is the time that an epoch takes
_STEPS = 20  # and steps
_OF_STEP = 0.5  # of a step's time for its frames, in which a validation predicts them
_LOOK = 0.01  # part of the time after which the steps that remain are counted again
_ENERGY = 0.5  # of the time of a frame's forces, in which its energy is predicted
# A training is cut short if it ends before this part of the steps that were planned,
# or of those that were left when its rate began to fall faster.
_SHORT, _ABRUPT = 0.5, 0.9


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


class Deadline(NamedTuple):
    """Time at which all is to be done, and what is done after the last step."""

    time: float  # of ``time.monotonic``
    whole: float  # seconds from the beginning to then
    frames: int = 0  # that are predicted at the end, beside those of the validation
    learnt: tuple[int, ...] = ()  # frames of sets of which energies are, see refit

    def seconds_left(self, a_frame: float, trained: int = 0) -> float:
        """Seconds for steps, if the prediction of a frame takes so many.

        Parameters
        ----------
        a_frame : float
        trained : int
            Frames of the steps so far.
        """
        energies = sum(min(count, frames_after(trained)) for count in self.learnt)
        frames = self.frames + _ENERGY * energies
        ending = min(FINISH, 0.3 * self.whole) + frames * a_frame
        return self.time - time.monotonic() - ending


class Pace(pl.Callback):
    """End a training within ``max_hours``, and before a deadline.

    After an epoch the number of epochs is lowered where they would take longer, and
    within one the number of steps: the rate then falls faster from where it is, and
    still ends at ``final_rate``. If they become faster again, there are more of them
    again, ``max_epochs`` at most. When the time is over, the step that is being made
    is the last one, whatever else the machine does.

    What was decided is in the checkpoints, so that a resumed training goes on with it.

    Parameters
    ----------
    config : TrainConfig
    record : TrainingRecord
        Keeps the seconds of the training, those before it was resumed among them.
    validated : int
        Frames of a validation.
    deadline : Deadline, optional
        Of the first of several processes, whose clock counts.
    """

    def __init__(
        self,
        config: TrainConfig,
        record: TrainingRecord,
        validated: int = 1,
        deadline: Deadline | None = None,
    ) -> None:
        self.config, self.record = config, record
        self.validated, self.deadline = validated, deadline
        self.epochs = config.max_epochs
        self.course: Course | None = None
        self.durations: list[float] = []  # seconds of the epochs of this process
        self.steps: list[float] = []  # and of its last steps
        self.validation = 0.0  # seconds of the last one
        self.trained = 0  # frames of the steps so far
        self.is_abrupt = False  # whether the end came before the rate had fallen
        self.mark = self.step_mark = self.looked = time.monotonic()
        self.is_limited = config.max_hours > 0 or deadline is not None

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
        self.is_limited = trainer.strategy.broadcast(self.is_limited)
        self.mark = self.looked = time.monotonic()

    def on_train_epoch_start(self, *_: Any) -> None:
        """Begin to measure the steps of an epoch."""
        self.step_mark = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any
    ) -> None:
        """Fit the rest of the course to the time, and end it when there is none."""
        now = time.monotonic()
        self.steps = [*self.steps[-_STEPS:], now - self.step_mark]
        self.step_mark = now
        if not self.is_limited:
            return
        step = trainer.global_step
        self.trained = step * self.config.batch_size
        last, ends = trainer.strategy.broadcast(self._last_step(module, step, now))
        if ends:
            self.is_abrupt = step < _ABRUPT * module.course.last
        if last != module.course.last:
            self.course = module.course = module.course.ending(step, last)
        if ends:
            log.info(
                "the time is over after %d steps of at most %d",
                step,
                self.config.max_epochs * module.steps_per_epoch,
            )
            # with a validation, as after each epoch; a resumed training is at its end
            trainer.should_stop = True
            self.epochs = trainer.fit_loop.max_epochs = trainer.current_epoch + 1

    def _last_step(self, module: Any, step: int, now: float) -> tuple[int, bool]:
        """Step at whose end all is done, and whether it is this one."""
        last, planned = module.course.last, self.epochs * module.steps_per_epoch
        a_step = _mean(self.steps[1:] or self.steps)  # the first one compiles
        if not self.durations:  # of epochs: no validation has been measured
            frames = self.validated / self.config.batch_size
            self.validation = _OF_STEP * frames * a_step
        left = self._limit() - self.record.elapsed - self.validation
        if step >= planned:
            return last, False
        if left < 0 or step >= last:
            return max(step, 1), True
        look = _LOOK * (self._limit() if self.deadline is None else self.deadline.whole)
        if now - self.looked < look:
            return last, False
        self.looked = now
        in_epoch = module.steps_per_epoch
        checks = (last - 1) // in_epoch - step // in_epoch  # before the last one
        needed = (last - step) * a_step + checks * self.validation
        is_early = last < planned and needed < (1 - EARLY) * left
        if needed <= left + look and not is_early:
            return last, False
        fits = int(left / max(a_step, 1e-9))
        rest = in_epoch - step % in_epoch
        if fits > rest:  # validations, too
            a_step += self.validation / in_epoch
            fits = max(rest, int(left / max(a_step, 1e-9)))
        return min(planned, step + max(fits, 1)), False

    def _limit(self) -> float:
        """Seconds of the training, as ``record`` counts them, before its last check."""
        limits = [3600 * self.config.max_hours] if self.config.max_hours else []
        if self.deadline is not None:
            a_frame = self.validation / self.validated
            left = self.deadline.seconds_left(a_frame, self.trained)
            limits.append(self.record.elapsed + left)
        return min(limits, default=float("inf"))

    def cut(self, steps: int, steps_per_epoch: int) -> dict[str, int] | None:
        """Steps made and planned, of a training that time has cut short."""
        planned = self.config.max_epochs * steps_per_epoch
        is_short = self.epochs < self.config.max_epochs or self.course is not None
        if self.is_abrupt or (is_short and steps < _SHORT * planned):
            return {"steps": steps, "planned_steps": planned}
        return None

    def on_validation_start(self, trainer: pl.Trainer, module: Any) -> None:
        """Begin to measure a validation."""
        self.validation_mark = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, module: Any) -> None:
        """Shorten the training after an epoch if it is late."""
        self.durations.append(time.monotonic() - self.mark)
        self.mark = time.monotonic()
        self.validation = self.mark - self.validation_mark
        done = trainer.current_epoch + 1
        if not self.is_limited or done >= self.epochs:
            return
        limit = self._limit()
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
            "epochs take %.3g s, so that %s leaves time for %d of %d; the rate falls "
            "accordingly from now on",
            _recent(self.durations),
            "the deadline"
            if self.deadline is not None
            else f"max_hours = {self.config.max_hours:g}",
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
    return _mean(durations[1:][-_RECENT:] or durations)


def _mean(seconds: list[float]) -> float:
    return sum(seconds) / len(seconds)
