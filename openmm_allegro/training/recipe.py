# SPDX-License-Identifier: MIT
"""Choose the settings of a training from its data, the hours and the machine.

The numbers below are the whole recipe. They come from the trainings of
benchmarks/accuracy/README.md, "What mattered".
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..model import AllegroConfig
from ..utils.words import counted, digits
from .budget import Budget, few_steps_words, steps_words
from .config import DataConfig, TrainConfig
from .survey import Survey


class Rung(NamedTuple):
    """A size of the network, and the steps that it should be trained for at least."""

    l_max: int
    scalars: int
    tensors: int
    width: int  # of hidden layers
    steps: int


# From small to large: each is more accurate than the one before if there is time for
# its steps, and less so if there is not. One below (l_max 1, one layer, 32/16) is no
# better where there are few: 198 against 140 meV/Å after 150 steps on water.
LADDER = (
    Rung(2, 32, 16, 64, 0),
    Rung(2, 64, 32, 64, 4_000),
    Rung(3, 64, 32, 64, 6_000),
    Rung(3, 128, 64, 128, 16_000),
    Rung(3, 192, 96, 192, 40_000),
)
MOST_STEPS = 200_000  # more than this many have not been tried, nor needed

MOLECULE_CUTOFF = 6.0  # Å, without periodic directions
CUTOFF = 5.0  # Å, of matter of about 20 to 60 neighbours within it
SHORTEST, LONGEST = 4.0, 6.0  # Å, where there are more or fewer
FEWEST_NEIGHBORS, MOST_NEIGHBORS = 20.0, 60.0
# Å, by whether the neighbour is a hydrogen too: a hydrogen needs to see less.
HYDROGEN_CUTOFFS = {True: 3.0, False: 4.0}
# Where at least this part of the atoms is hydrogen, these cutoffs pay.
HYDROGEN_SHARE = 0.25
FEWER = 0.9  # part of the neighbours that they must leave at most

ATOMS_IN_BATCH = 150  # so that the noise of a step is small
MOST_FRAMES, FEWEST_ATOMS = 5, 40  # frames in a batch, if those are atoms enough
DIFFERENT = 1.5  # ratio of forces of frames, from which one alone is a noisy batch
VALIDATION_PART = 0.08
FEWEST_VALIDATION, MOST_VALIDATION = 10, 200
EPOCHS = (40, 400)  # between which one pass over the data is an epoch
CHECKING = 0.05  # part of the time that validations and checkpoints take

MARGIN = 0.05  # part of the time that is left over, since measurements are short
FINISH = 15.0  # seconds to read the best model again and to test it
COMPILED = 0.65  # of the time of a step, once it is compiled
COMPILING = 120.0  # seconds
GAIN = 3.0  # compile where it saves this many times its seconds
# Below so many steps a network, or one that was trained before, has learnt little.
FEW_STEPS, FEW_STEPS_MORE = 1_000, 200


class Cost(NamedTuple):
    """Seconds on the machine at hand."""

    step: float  # of a batch, not compiled
    fastest: float  # the same while nothing else is done, at best
    validation: float  # of a frame
    saving: float = 0.3  # of a checkpoint, a model and a row of the log


# From a network and a batch size to what a step costs.
Clock = Callable[[AllegroConfig, TrainConfig], Cost]


class Recipe(NamedTuple):
    """Settings of a training, and a sentence for each that was chosen."""

    data: DataConfig
    model: AllegroConfig
    train: TrainConfig
    reasons: dict[str, str]  # by the names of settings
    steps: int  # that are planned, as fast as the machine can make them
    pace: str  # how many steps are expected, as fast as they were measured
    warning: str = ""  # where there is time for few of them

    def tables(self) -> dict[str, Any]:
        """Tables of the TOML, by name."""
        return {"data": self.data, "model": self.model, "train": self.train}


def choose(
    survey: Survey,
    data: DataConfig,
    hours: float,
    clock: Clock,
    *,
    network: AllegroConfig | None = None,
    replayed: bool = False,
    spent: float = 0.0,
    can_compile: bool = False,
    tested: int = 0,
) -> Recipe:
    """Choose settings; the same numbers give the same settings.

    Parameters
    ----------
    survey : Survey
    data : DataConfig
        Files and labels; the number of validation frames is chosen if there are none.
    hours : float
        For everything, above 0.
    clock : callable
        ``Clock``; it is asked for one network after the other, from small to large,
        until there is not time enough for one.
    network : AllegroConfig, optional
        Of a model to fine-tune, which is taken as it is.
    replayed : bool
        Whether frames of that model's training are trained on, too.
    spent : float
        Seconds that are gone.
    can_compile : bool
        Whether there is what ``compile`` needs.
    tested : int
        Frames whose errors are computed at the end, beside the validation's.

    Raises
    ------
    ValueError
        If ``hours`` are not above 0.
    """
    hours = Budget(hours).hours
    reasons: dict[str, str] = {}
    model = _network(survey, reasons) if network is None else network
    data = _with_validation(survey, data, reasons)
    train = _training(survey, reasons)
    frames = survey.frames - data.validation_size
    if replayed:
        frames = round(frames / (1 - train.replay_fraction))
    compiles = can_compile and len(set(survey.sizes.tolist())) == 1
    compiles = compiles and frames >= train.batch_size
    whole = 3600 * hours
    limit = max(whole - spent - FINISH, 0.3 * whole)
    seconds = limit * (1 - MARGIN)
    plans = []
    for rung in LADDER if network is None else LADDER[:1]:
        config = _sized(model, rung) if network is None else network
        cost = clock(config, train)
        ending = min(tested * cost.validation, 0.9 * seconds)
        plan = _plan(frames, train, data, cost, seconds - ending, compiles)
        # beside other work there will be fewer steps than are planned
        if plans and plan.usual < rung.steps:
            break
        plans.append((rung, config, plan))
    rung, model, plan = plans[-1]
    if network is None:
        _explain_size(rung, plan, hours, reasons)
    train = _timed(train, plan, frames, limit, reasons)
    few = FEW_STEPS if network is None else FEW_STEPS_MORE
    warning = ""
    if plan.usual < few:
        rest = spent + FINISH + tested * cost.validation
        needed = rest + few * plan.measured * (1 + 2 * CHECKING)
        given = hours, plan.usual, plan.measured, spent
        warning = few_steps_words(*given, few=few, needed=needed / (1 - MARGIN))
    return Recipe(
        data, model, train, reasons, plan.steps, _pace_words(plan, hours), warning
    )


class _Plan(NamedTuple):
    steps: int
    epochs: int
    epoch_size: int  # 0 for a pass over the data
    compile: bool
    step: float  # seconds
    usual: int  # steps in that time as fast as they were measured, beside other work
    measured: float  # seconds of those


def _network(survey: Survey, reasons: dict[str, str]) -> AllegroConfig:
    around_molecule = survey.pairs.mean_neighbors(MOLECULE_CUTOFF)
    pairs: dict[str, float] = {}
    if survey.periodic == "none" and around_molecule <= MOST_NEIGHBORS:
        cutoff, why = MOLECULE_CUTOFF, "wide enough for a molecule"
    else:
        cutoff, why = _condensed_cutoff(survey)
        if survey.pairs.mean_neighbors(cutoff) > FEWEST_NEIGHBORS:
            pairs = _hydrogen_cutoffs(survey, cutoff)
        if survey.pairs.mean_neighbors(cutoff, pairs) > FEWER * (
            survey.pairs.mean_neighbors(cutoff)
        ):  # as where most neighbours are those of other atoms
            pairs = {}
    around = survey.pairs.mean_neighbors(cutoff, pairs)
    reasons["elements"] = f"all of {survey.frames} frames"
    reasons["cutoff"] = f"Å; {why}: {around:.0f} neighbours of an atom on average"
    if pairs:
        before = survey.pairs.mean_neighbors(cutoff)
        share = survey.elements["H"] / sum(survey.elements.values())
        reasons["pair_cutoffs"] = (
            f"hydrogen, {100 * share:.0f} % of the atoms, needs to see less: "
            f"{around:.0f} neighbours for {before:.0f}"
        )
    return AllegroConfig(survey.all_elements, cutoff, pair_cutoffs=pairs)


def _condensed_cutoff(survey: Survey) -> tuple[float, str]:
    """Cutoff of a liquid or solid, and why."""
    around = survey.pairs.mean_neighbors
    cutoff = CUTOFF
    while cutoff < LONGEST and around(cutoff) < FEWEST_NEIGHBORS:
        cutoff += 0.25
    while cutoff > SHORTEST and around(cutoff) > MOST_NEIGHBORS:
        cutoff -= 0.25
    if cutoff > CUTOFF:
        return cutoff, f"more than {CUTOFF:g} because atoms have few neighbours"
    if cutoff < CUTOFF:
        return cutoff, f"less than {CUTOFF:g} because atoms have many neighbours"
    return cutoff, "as in most liquids and solids"


def _hydrogen_cutoffs(survey: Survey, cutoff: float) -> dict[str, float]:
    share = survey.elements.get("H", 0) / sum(survey.elements.values())
    if share < HYDROGEN_SHARE or set(survey.elements) == {"H"}:
        return {}
    chosen = {f"H-{e}": HYDROGEN_CUTOFFS[e == "H"] for e in survey.elements}
    return {name: value for name, value in chosen.items() if value < cutoff}


def _with_validation(
    survey: Survey, data: DataConfig, reasons: dict[str, str]
) -> DataConfig:
    if data.validation:
        return data
    size = validation_size(survey.frames)
    reasons["validation_size"] = f"of {survey.frames} frames, chosen at random"
    if survey.successive is not None and survey.successive.is_correlated:
        reasons["validation_size"] += (
            "; successive frames are alike, so that errors on them look too small: "
            "test on another trajectory"
        )
    return replace(data, validation_size=size)


def validation_size(frames: int) -> int:
    """Frames to validate on, of so many."""
    fewest = max(1, min(FEWEST_VALIDATION, frames // 5))
    return int(np.clip(round(VALIDATION_PART * frames), fewest, MOST_VALIDATION))


def batch_frames(survey: Survey) -> int:
    """Frames in a batch."""
    atoms = survey.mean_atoms
    most = max(MOST_FRAMES, int(np.ceil(FEWEST_ATOMS / atoms)))
    frames = int(np.clip(np.ceil(ATOMS_IN_BATCH / atoms), 1, most))
    if survey.force_spread > DIFFERENT:
        frames = max(frames, 2)
    largest = max(1, survey.frames - validation_size(survey.frames))
    return min(frames, largest)


def _training(survey: Survey, reasons: dict[str, str]) -> TrainConfig:
    frames = batch_frames(survey)
    reasons["batch_size"] = (
        f"frames, about {frames * survey.mean_atoms:.0f} atoms in a batch"
    )
    chosen: dict[str, Any] = {"batch_size": frames}
    if not survey.labelled["forces"]:
        chosen["forces_weight"] = 0.0
        reasons["forces_weight"] = "no frame has forces"
    return TrainConfig(**chosen)


def _sized(model: AllegroConfig, rung: Rung) -> AllegroConfig:
    return replace(
        model,
        l_max=rung.l_max,
        num_scalar_features=rung.scalars,
        num_tensor_features=rung.tensors,
        two_body_width=rung.width,
        latent_width=rung.width,
        readout_width=max(32, rung.scalars // 2),
    )


def _plan(
    frames: int,
    train: TrainConfig,
    data: DataConfig,
    cost: Cost,
    seconds: float,
    can_compile: bool,
) -> _Plan:
    """Number of steps and of epochs in a time."""
    compile = can_compile and (1 - COMPILED) * seconds > GAIN * COMPILING
    step = cost.fastest * COMPILED if compile else cost.fastest
    rest = seconds - COMPILING if compile else seconds
    checking = data.validation_size * cost.validation + cost.saving
    a_pass = max(1, -(-frames // train.batch_size))
    passes = int(rest / (a_pass * step + checking))
    checks_fit = checking <= 2 * CHECKING * a_pass * step
    if EPOCHS[0] <= passes <= EPOCHS[1] and checks_fit:
        epochs, in_epoch, size = passes, a_pass, 0
        epochs = max(1, min(epochs, MOST_STEPS // a_pass))
    else:  # of another size, so that validations take a small part of the time
        epochs = int(np.clip(CHECKING * rest / checking, 8, 100))
        epochs = max(1, min(epochs, int(rest / (step + checking))))
        in_epoch = max(1, int((rest / epochs - checking) / step))
        in_epoch = min(in_epoch, MOST_STEPS // epochs)
        size = in_epoch * train.batch_size
    steps = epochs * in_epoch
    slower = max(cost.step / cost.fastest, 1.0)
    usual = max(int(steps / slower), 1)
    return _Plan(steps, epochs, size, compile, step, usual, step * slower)


def _timed(
    train: TrainConfig,
    plan: _Plan,
    frames: int,
    limit: float,
    reasons: dict[str, str],
) -> TrainConfig:
    passes = plan.epochs * (plan.epoch_size or frames) / frames
    reasons["max_epochs"] = (
        f"at most {counted(plan.steps, 'step')}, {digits(passes)} passes over the "
        f"training frames, of {plan.step:.3g} s if nothing else runs"
        if plan.usual < 0.8 * plan.steps
        else f"{counted(plan.steps, 'step')} of {plan.step:.3g} s, {digits(passes)} "
        "passes over the training frames"
    )
    reasons["max_hours"] = "the rest of --hours; fewer epochs if they take longer"
    if plan.epoch_size:
        reasons["epoch_size"] = (
            f"frames from one validation to the next, of {frames} to train on"
        )
    if plan.compile:
        reasons["compile"] = "frames are of one size, and it pays in this time"
    return replace(
        train,
        max_epochs=plan.epochs,
        epoch_size=plan.epoch_size,
        max_hours=max(round(limit / 3600, 4), 1e-4),
        compile=plan.compile,
    )


def _pace_words(plan: _Plan, hours: float) -> str:
    return steps_words(plan.steps, plan.usual, plan.measured, hours)


def _explain_size(
    rung: Rung, plan: _Plan, hours: float, reasons: dict[str, str]
) -> None:
    hidden = "channels of the hidden layers, which grow with the network"
    reasons |= dict.fromkeys(
        ("two_body_width", "latent_width", "readout_width"), hidden
    )
    larger = LADDER[LADDER.index(rung) + 1 :]
    reasons["num_scalar_features"] = (
        f"the largest network with time for its steps ({_pace_words(plan, hours)}"
        + (f"; the next one wants {larger[0].steps:,})" if larger else ")")
    )
