# SPDX-License-Identifier: MIT
"""``openmm-allegro train``: train a model on a data set, or as a TOML file says."""

import argparse
import dataclasses
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..modelfile.provenance import TEST_ERRORS
from ..training.budget import Budget
from ..utils.files import replace_file
from ..utils.progress import log_if_long
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options
from ..utils.trust import Trust
from ..utils.words import counted
from .datafiles import (
    add_data_options,
    add_fine_tuning,
    check_files,
    given_data_options,
    prepare_files,
    write_page,
)
from .error_tables import UNITS
from .evaluate import Outputs, show_errors
from .outcome import Outcome
from .output import add_overwrite_option, print_next, quoted

log = logging.getLogger(__name__)
# Settings chosen for files, and a page about those, in the folder of their training.
CONFIG, PAGE = "config.toml", "data.html"


class _Task(NamedTuple):
    """A training that was asked for."""

    config: Path  # TOML
    output: Path
    resume: bool
    prepared: Any = None  # structures, if they were read already


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " For files of labelled frames the settings are chosen by the hours and the "
        "machine, and written to config.toml in the output. A TOML has the tables "
        "[data], [model] and [train]; paths in [data] are relative to it."
    )
    parser.usage = "%(prog)s CONFIG.toml | DATA [DATA ...]  [--output DIR] [...]"
    parser.add_argument("inputs", type=Path, nargs="+", metavar="DATA, or CONFIG.toml")
    parser.add_argument("--output", type=Path, help="new folder (default runs/NAME)")
    add_fine_tuning(parser)
    parser.add_argument(
        "--resume", action="store_true", help="continue the training in the folder"
    )
    add_settings(parser, Trust)
    add_overwrite_option(parser)
    add_data_options(parser)


def train(options: argparse.Namespace) -> Outcome:
    """Train, print the errors on the test frames, and name the model file."""
    started = time.monotonic()
    task = _task_of(options)
    output = task.output
    tables = _read_tables(task.config, options)
    _check_tables(tables, task.config)
    from ..model.elements import element_types
    from ..training.data import report_repeated
    from ..training.evaluate import evaluate
    from ..training.train import read_data, read_replay, read_test
    from ..training.train import train as train_model
    from ..utils.process import keep_freed_memory

    data, folder = tables["data"], task.config.parent
    trust = Trust(**given_options(options, Trust)).trust
    known = task.prepared
    training, validation, record = read_data(
        data, folder, trust=trust, structures=known and known.structures
    )
    test, replay = (
        (known.test, known.replay)
        if known
        else (read(data, folder, trust=trust) for read in (read_test, read_replay))
    )
    network, settings, source = _configs(
        tables, task.config, [*training, *validation, *test, *replay]
    )
    if _has_more_hours(options):  # the deadline is the only limit
        settings = dataclasses.replace(settings, max_hours=0.0)
    for structure in test:  # before the training, not after it
        element_types(structure.symbols, network.elements, structure.source)
    report_repeated("replay", replay, [*training, *validation])
    report_repeated("test", test, [*training, *validation, *replay])
    if test and all(structure.is_isolated for structure in test):
        raise ValueError("test: expected structures of more atoms, found isolated ones")
    names = TEST_ERRORS, "test_frames.csv", "parity.png"
    outputs = Outputs(*(output / name for name in names))
    # where there is a model or no folder can be, train_model says what to do
    if test and output.is_dir() and not (output / "model.safetensors").exists():
        outputs.check(options.force or options.resume)
    keep_freed_memory()
    model = train_model(
        network,
        settings,
        training,
        validation,
        output,
        start_from=source,
        replay=replay,
        resume=task.resume,
        overwrite=options.force,
        provenance=record,
        progress=sys.stderr.isatty(),
        deadline=_deadline(task, options, started, len(test or validation)),
    )
    if test:
        print(f"errors on {len(test)} test frames:")
    else:
        count = len(validation)
        print(f"errors on {count} validation frames, which chose the best epoch:")
        outputs = Outputs(None, None, None)
    frames = test or validation
    with log_if_long(log, f"computing the errors on {counted(len(frames), 'frame')}"):
        shown = evaluate(model, frames)
    errors = show_errors(shown, model.config.elements, outputs)
    units = {name: unit for name, unit in UNITS.items() if name in errors}
    path = output / "model.safetensors"
    print(f"model: {path}")
    written = [path, output / "log.csv", *filter(None, outputs)]
    return Outcome(
        {"errors_of": "test" if test else "validation", "errors": errors},
        units,
        files=[file for file in written if file.exists()],
        next=print_next(
            *_going_on(options, task, model, poor="warnings" in errors),
            f"simulate {quoted(path)} BOX.pdb --output runs/first",
            *_of_a_frame(path, data, folder),
            f"evaluate {quoted(path)} OTHER.extxyz --frames frames.csv",
        ),
    )


def _going_on(
    options: argparse.Namespace, task: _Task, model: Any, *, poor: bool
) -> list[str]:
    """Command that trains a model further that has learnt too little, or none."""
    from ..training.finish import CUT

    known = model.provenance
    cut, seconds = known.get(CUT), known["training_seconds"]
    if not cut and not poor:
        return []
    files = " ".join(map(quoted, options.inputs))
    given = Budget(**given_options(options, Budget)).hours
    if cut:
        rest = (cut["planned_steps"] - cut["steps"]) * seconds / max(known["step"], 1)
        hours = max(given, 1.2 * rest / 3600)
        return [
            f"train {files} --output {quoted(task.output)} --resume --hours {hours:.2g}"
        ]
    longer = task.output.with_name(f"{task.output.name}-longer")
    if task.prepared is None:
        return []  # its TOML has the epochs
    return [f"train {files} --output {quoted(longer)} --hours {4 * given:.2g}"]


def _of_a_frame(model: Path, data: Any, folder: Path) -> list[str]:
    """Command that simulates a frame of the data, where its format is read for that."""
    file = Path(os.path.relpath(folder / (data.test or data.training)[0]))
    if file.suffix.lower() != ".extxyz":
        return []
    return [f"simulate {quoted(model)} {quoted(file)} --frame 0 --output runs/frame"]


def _deadline(
    task: _Task, options: argparse.Namespace, started: float, frames: int
) -> Any:
    """Time at which all is done, where hours for it were given: not with a TOML."""
    from ..training.pace import Deadline

    if task.prepared is None and not _has_more_hours(options):
        return None
    whole = 3600 * Budget(**given_options(options, Budget)).hours
    return Deadline(started + whole, whole, frames)


def _has_more_hours(options: argparse.Namespace) -> bool:
    """Tell whether a training is resumed with hours that begin now."""
    return options.resume and bool(given_options(options, Budget))


def _task_of(options: argparse.Namespace) -> _Task:
    """What to train with: a TOML that is given, or one that is made for files."""
    first = options.inputs[0]
    output = options.output or Path("runs") / first.stem
    if all(path.suffix != ".toml" for path in options.inputs):
        return _task_of_files(options, output)
    if len(options.inputs) > 1:
        raise ValueError(
            "expected either one TOML or files of labelled frames, found "
            f"{', '.join(map(str, options.inputs))}; the files of a training are named "
            "in [data] of its TOML"
        )
    given = _fixed_options(options)
    if given:
        raise ValueError(
            f"expected the settings of a training in {first}, found {', '.join(given)} "
            "beside it"
        )
    return _Task(first, output, options.resume)


def _task_of_files(options: argparse.Namespace, output: Path) -> _Task:
    """Settings that the folder holds, if it is resumed, or new ones for the files."""
    from ..training.resume import CHECKPOINTS, find_checkpoint

    check_files(options.inputs)
    path = output / CONFIG
    if options.resume and path.is_file():
        given = _fixed_options(options)
        if given:
            raise ValueError(
                f"expected the settings of {path} to resume the training, found "
                f"{', '.join(given)} too; change the file"
            )
        _check_same_files(options.inputs, path, options)
        # a kill may come before the first checkpoint
        return _Task(path, output, any(output.glob(CHECKPOINTS)))
    find_checkpoint(output, CHECKPOINTS, resume=options.resume, overwrite=options.force)
    if path.exists() and not options.force:
        raise FileExistsError(
            f"expected no settings yet at {path}, found some, which may have been "
            "changed; --resume trains with them, --force chooses new ones"
        )
    prepared = prepare_files(options.inputs, options, output)
    output.mkdir(parents=True, exist_ok=True)
    write_page(prepared, output / PAGE)
    replace_file(path, prepared.text)
    print(f"settings: {path}\npage about the data: {output / PAGE}", flush=True)
    return _Task(path, output, False, prepared)


def _fixed_options(options: argparse.Namespace) -> list[str]:
    """Options of the data that stand in a TOML; hours are more, to resume with."""
    given = given_data_options(options)
    return [name for name in given if not (options.resume and name == "--hours")]


def _check_same_files(
    files: Sequence[Path], path: Path, options: argparse.Namespace
) -> None:
    known = _read_tables(path, options)["data"].training
    there = [os.path.realpath(path.parent / name) for name in known]
    if [os.path.realpath(file) for file in files] != there:
        raise ValueError(
            f"expected the files of {path} to resume its training, "
            f"{', '.join(known)}, found {', '.join(map(str, files))}"
        )


def _read_tables(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The tables of the TOML: that of the data as a config, the others as they are."""
    from ..training.config import DataConfig
    from ..utils.config import from_mapping, read_tables

    tables = read_tables(path, ("data", "model", "train"))
    data = from_mapping(DataConfig, tables.get("data", {}), f"{path} [data]")
    folder = path.parent
    if options.start_from:
        start_from = os.path.relpath(options.start_from, folder)  # as those in the TOML
        data = dataclasses.replace(data, start_from=start_from)
    if options.replay:
        paths = tuple(os.path.relpath(path, folder) for path in options.replay)
        data = dataclasses.replace(data, replay=paths)
    return tables | {"data": data}


def _check_tables(tables: dict[str, Any], path: Path) -> None:
    """Refuse settings that cannot be, before libraries are loaded and files read."""
    from ..model import AllegroConfig
    from ..training.config import TrainConfig
    from ..utils.config import from_mapping

    from_mapping(TrainConfig, tables.get("train", {}), f"{path} [train]")
    if tables["data"].start_from is None:
        from_mapping(AllegroConfig, tables.get("model", {}), f"{path} [model]")


def _configs(
    tables: dict[str, Any], path: Path, structures: Any
) -> tuple[Any, Any, Any]:
    """Configs of the network and the training, and the model to start from or None."""
    from ..model import AllegroConfig
    from ..modelfile import load_model
    from ..training.config import TrainConfig
    from ..training.fine_tune import fine_tuned_config
    from ..utils.config import from_mapping

    network, settings = (tables.get(name, {}) for name in ("model", "train"))
    settings = from_mapping(TrainConfig, settings, f"{path} [train]")
    where = f"{path} [model]"
    start_from = tables["data"].start_from
    if start_from is None:
        return from_mapping(AllegroConfig, network, where), settings, None
    source = load_model(path.parent / start_from)
    network = fine_tuned_config(source.config, structures, network, where)
    return network, settings, source
