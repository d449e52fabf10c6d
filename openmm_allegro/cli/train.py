# SPDX-License-Identifier: MIT
"""``openmm-allegro train``: train a model as a TOML file says."""

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options
from ..utils.trust import Trust
from .evaluate import Outputs, show_errors
from .output import add_overwrite_option


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " It has the tables [data], [model] and [train]; paths in [data] are relative "
        "to it."
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--output", type=Path, help="new folder (default runs/NAME)")
    _add_fine_tuning(parser)
    parser.add_argument(
        "--resume", action="store_true", help="continue the training in the folder"
    )
    add_settings(parser, Trust)
    add_overwrite_option(parser)


def _add_fine_tuning(parser: argparse.ArgumentParser) -> None:
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


def train(options: argparse.Namespace) -> None:
    """Train, print the errors on the test frames, and name the model file."""
    from ..model.elements import element_types
    from ..training.evaluate import evaluate
    from ..training.train import read_data, read_replay, read_test
    from ..training.train import train as train_model
    from ..utils.process import keep_freed_memory

    tables = _read_tables(options)
    data, folder = tables["data"], options.config.parent
    trust = Trust(**given_options(options, Trust)).trust
    output = options.output or Path("runs") / options.config.stem
    training, validation, record = read_data(data, folder, trust=trust)
    test, replay = (
        read(data, folder, trust=trust) for read in (read_test, read_replay)
    )
    network, settings, source = _configs(
        tables, options.config, [*training, *validation, *test, *replay]
    )
    for structure in test:  # before the training, not after it
        element_types(structure.symbols, network.elements, structure.source)
    if test and all(structure.is_isolated for structure in test):
        raise ValueError("test: expected structures of more atoms, found isolated ones")
    names = "test.json", "test_frames.csv", "parity.png"
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
        resume=options.resume,
        overwrite=options.force,
        provenance=record,
        progress=sys.stderr.isatty(),
    )
    if test:
        show_errors(evaluate(model, test), model.config.elements, outputs)
    print(f"model: {output / 'model.safetensors'}")


def _read_tables(options: argparse.Namespace) -> dict[str, Any]:
    """The tables of the TOML: that of the data as a config, the others as they are."""
    from ..training.config import DataConfig
    from ..utils.config import from_mapping, read_tables

    tables = read_tables(options.config, ("data", "model", "train"))
    data = from_mapping(DataConfig, tables.get("data", {}), f"{options.config} [data]")
    folder = options.config.parent
    if options.start_from:
        path = os.path.relpath(options.start_from, folder)  # as those in the TOML
        data = dataclasses.replace(data, start_from=path)
    if options.replay:
        paths = tuple(os.path.relpath(path, folder) for path in options.replay)
        data = dataclasses.replace(data, replay=paths)
    return tables | {"data": data}


def _configs(
    tables: dict[str, Any], path: Path, structures: Any
) -> tuple[Any, Any, Any]:
    """Configs of the network and the training, and the model to start from or None."""
    from ..model import AllegroConfig
    from ..modelfile import load_model
    from ..training.config import TrainConfig
    from ..training.fine_tune import FINE_TUNING, fine_tuned_config
    from ..utils.config import from_mapping

    network, settings = (tables.get(name, {}) for name in ("model", "train"))
    where = {name: f"{path} [{name}]" for name in ("model", "train")}
    start_from = tables["data"].start_from
    if start_from is None:
        return (
            from_mapping(AllegroConfig, network, where["model"]),
            from_mapping(TrainConfig, settings, where["train"]),
            None,
        )
    source = load_model(path.parent / start_from)
    return (
        fine_tuned_config(source.config, structures, network, where["model"]),
        from_mapping(TrainConfig, FINE_TUNING | settings, where["train"]),
        source,
    )
