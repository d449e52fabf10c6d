# SPDX-License-Identifier: MIT
"""Files of labelled frames, and what a training on them may take."""

import argparse
import logging
import os
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..structure.labels.settings import LabelSettings
from ..training.budget import Budget
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options, option_of
from ..utils.words import counted

# Of what ``describe_data`` gives.
UNITS_OF_DATA = {"force_rms": "eV/Å", "stress_rms": "eV/Å³"}
log = logging.getLogger(__name__)


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that the settings for a data set depend on."""
    parser.add_argument(
        "--test", type=Path, nargs="+", metavar="FILE", help="frames to test on"
    )
    add_settings(parser, Budget)
    add_settings(parser.add_argument_group("labels"), LabelSettings)


def add_fine_tuning(parser: argparse.ArgumentParser) -> None:
    """Add the options that start from a trained model."""
    parser.add_argument(
        "--from",
        type=Path,
        dest="start_from",
        metavar="MODEL",
        help="start from the weights of a *.safetensors (start_from of [data])",
    )
    parser.add_argument(
        "--replay",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="train on frames of its training, too (replay of [data])",
    )


def given_data_options(options: argparse.Namespace) -> list[str]:
    """Options of ``add_data_options`` that were given."""
    given = [] if options.test is None else ["--test"]
    return given + [
        option_of(settings, name)
        for settings in (Budget, LabelSettings)
        for name in given_options(options, settings)
    ]


def check_files(files: Sequence[Path]) -> None:
    """Refuse what cannot be files of frames, before any work.

    Raises
    ------
    ValueError, FileNotFoundError
    """
    check_once(files)
    for path in files:
        if path.is_dir():
            raise ValueError(
                f"expected a file of labelled frames, found a folder {path}"
            )
        if path.suffix == ".safetensors":
            raise ValueError(f"expected files of labelled frames, found a model {path}")
        if not path.is_file():
            raise FileNotFoundError(
                f"expected a file of labelled frames, found nothing at {path}"
            )


def check_once(files: Sequence[Path]) -> None:
    """Refuse a file that is named twice.

    Raises
    ------
    ValueError
    """
    places: dict[str, Path] = {}
    for path in files:
        first = places.setdefault(os.path.realpath(path), path)
        if first is not path:
            raise ValueError(f"expected each file once, found {first} and {path}")


def described(structures: Sequence[Any]) -> str:
    """Describe frames in a line: their number, atoms and elements."""
    sizes = [len(structure.symbols) for structure in structures]
    counts = Counter(s for structure in structures for s in structure.symbols)
    elements = ", ".join(symbol for symbol, _ in counts.most_common())
    least, most = min(sizes, default=0), max(sizes, default=0)
    size = counted(most, "atom") if least == most else f"{least} to {most} atoms"
    return f"{counted(len(sizes), 'frame')} of {size} ({elements})"


def prepare_files(
    files: Sequence[Path], options: argparse.Namespace, folder: Path
) -> Any:
    """Survey the files, choose settings, and print both in short; a ``Prepared``."""
    started = time.monotonic()
    hours = Budget(**given_options(options, Budget)).hours
    test = options.test or []
    for paths in (files, test, options.replay):
        check_files(paths)
    if options.replay and options.start_from is None:
        raise ValueError(
            "expected a model to start from (--from) beside --replay, found none"
        )
    from ..training.prepare import prepare

    labels = LabelSettings(**given_options(options, LabelSettings))
    prepared = prepare(
        files,
        folder,
        hours,
        test=test,
        labels=labels,
        start_from=options.start_from,
        replay=options.replay,
        started=started,
    )
    print_summary(prepared)
    return prepared


def print_summary(prepared: Any) -> None:
    """Print numbers of a data set and the settings for it."""
    from ..report.data_words import remarks, summary_lines

    recipe = prepared.recipe
    model, train = recipe.model, recipe.train
    for line in summary_lines(prepared.survey):
        print(line)
    for line in remarks(prepared.survey):
        print(f"look at: {line}")
    size = f"{model.num_scalar_features}/{model.num_tensor_features}"
    batch = counted(train.batch_size, "frame")
    print(
        f"network: cutoff {model.cutoff:g} Å, l_max {model.l_max}, {size} features; "
        f"{recipe.pace}, of {batch} each"
    )


def describe_data(prepared: Any) -> dict[str, Any]:
    """Numbers of a data set, and the settings that were chosen for it."""
    from ..report.data_words import remarks

    survey = prepared.survey
    names = ("files", "elements", "compositions", "periodic", "labelled")
    return {
        "frames": survey.frames,
        "atoms": int(survey.sizes.sum()),
        **{name: getattr(survey, name) for name in names},
        "force_rms": {name or "all": rms for name, rms in survey.force_rms.items()},
        "stress_rms": survey.stress_rms,
        "look_at": remarks(survey),
        "settings": tomllib.loads(prepared.text),
    }


def write_page(prepared: Any, path: Path) -> None:
    """Write the page about the data, with the settings chosen for it."""
    from ..report.data import data_page

    data_page(prepared.survey, prepared.recipe, prepared.text, path)
