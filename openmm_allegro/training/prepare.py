# SPDX-License-Identifier: MIT
"""Read labelled structures, and choose the settings of a training on them."""

import dataclasses
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .._version import __version__
from ..model.elements import element_types
from ..modelfile import load_model
from ..structure import Structure
from ..structure.labels.settings import LabelSettings
from ..utils.process import processor_name
from ..utils.progress import log_if_long
from ..utils.words import digits
from .config import DataConfig
from .config_file import config_text
from .data import read_labelled
from .evaluate import check_kind
from .fine_tune import fine_tuned_config
from .recipe import Clock, Recipe, choose
from .survey import Survey, survey

log = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """Structures of a training, numbers of those to train on, and settings."""

    structures: list[Structure]
    test: list[Structure]
    replay: list[Structure]
    survey: Survey
    recipe: Recipe
    text: str  # of the TOML


def prepare(
    files: Sequence[Path],
    folder: Path,
    hours: float,
    *,
    test: Sequence[Path] = (),
    labels: LabelSettings | None = None,
    start_from: Path | None = None,
    replay: Sequence[Path] = (),
    clock: Clock | None = None,
    started: float | None = None,
) -> Prepared:
    """Read files, survey them and choose the settings of a training.

    Parameters
    ----------
    files : sequence of path
        To train on and, a part of the frames, to validate on.
    folder : path
        That the TOML will be in: paths in it are relative to the folder.
    hours : float
        For everything.
    test : sequence of path
        Files to test on.
    labels : LabelSettings, optional
        Names and units of the labels in all files.
    start_from : path, optional
        Model to fine-tune, whose network the training has.
    replay : sequence of path
        Files of its training, to train on too.
    clock : callable, optional
        Of the machine; by default steps are measured.
    started : float, optional
        Time of ``time.monotonic`` from which the hours count; by default now.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_structures`` and ``survey``, or if a test file has elements that the
        training files lack.
    """
    started = time.monotonic() if started is None else started
    labels = labels or LabelSettings()
    data = DataConfig(
        training=_relative(files, folder),
        test=_relative(test, folder),
        replay=_relative(replay, folder),
        start_from=None if start_from is None else _relative([start_from], folder)[0],
        **dataclasses.asdict(labels),
    )
    source = None if start_from is None else load_model(start_from)
    if source is not None:
        check_kind(source, None, "training", "the model to start from")
    with log_if_long(log, "reading the frames, and counting their pairs"):
        structures = read_labelled(files, (), labels)
        surveyed = survey(structures)
    elements, network = surveyed.all_elements, None
    others = read_labelled(replay, (), labels) if replay else []
    if source is not None:
        network = fine_tuned_config(source.config, [*structures, *others])
        elements = network.elements
    plain = dataclasses.replace(labels, use_weights=False)
    tests = read_labelled(test, (), plain) if test else []
    for structure in tests:
        element_types(structure.symbols, elements, structure.source)
    if clock is None:
        from .clock import MeasuredClock

        clock = MeasuredClock(structures, seconds=min(2.0, 0.004 * 3600 * hours))
    with log_if_long(log, "timing steps of networks"):
        recipe = choose(
            surveyed,
            data,
            hours,
            clock,
            network=network,
            replayed=bool(others),
            spent=time.monotonic() - started,
            can_compile=_can_compile(),
            tested=len(tests),
        )
    if recipe.warning:
        log.warning("%s", recipe.warning)
    text = config_text(recipe, _heading(surveyed, hours))
    return Prepared(structures, tests, others, surveyed, recipe, text)


def _heading(surveyed: Survey, hours: float) -> str:
    names = ", ".join(surveyed.files)
    return (
        f"A training on {names}, as openmm-allegro {__version__} would do it in "
        f"{digits(hours)} h on this machine ({processor_name()}). Change what you "
        "like: docs/train.md has all settings."
    )


def _relative(files: Sequence[Path], folder: Path) -> tuple[str, ...]:
    return tuple(os.path.relpath(path, folder) for path in files)


def _can_compile() -> bool:
    from .compiled import require_compiler

    try:
        require_compiler()
    except RuntimeError:
        return False
    return True
