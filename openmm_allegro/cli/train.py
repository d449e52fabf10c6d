# SPDX-License-Identifier: MIT
"""``openmm-allegro train``: train a model as a TOML file says."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options
from ..utils.trust import Trust
from .evaluate import print_metrics
from .output import add_overwrite_option, check_free, write_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " It has the tables [data], [model] and [train]; paths in [data] are relative "
        "to it."
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--output", type=Path, help="new folder (default runs/NAME)")
    parser.add_argument(
        "--resume", action="store_true", help="continue the training in the folder"
    )
    add_settings(parser, Trust)
    add_overwrite_option(parser)


def train(options: argparse.Namespace) -> None:
    """Train, print the errors on the test frames, and name the model file."""
    from ..model import AllegroConfig
    from ..model.elements import element_types
    from ..training.train import DataConfig, TrainConfig, read_data, read_test
    from ..training.train import train as train_model
    from ..utils.config import read_toml
    from ..utils.process import keep_freed_memory

    tables = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
    config = read_toml(options.config, tables)
    folder = options.config.parent
    trust = Trust(**given_options(options, Trust)).trust
    output = options.output or Path("runs") / options.config.stem
    training, validation, record = read_data(config["data"], folder, trust=trust)
    test = read_test(config["data"], folder, trust=trust)
    for structure in test:  # before the training, not after it
        element_types(structure.symbols, config["model"].elements, structure.source)
    if test and all(structure.is_isolated for structure in test):
        raise ValueError("test: expected structures of more atoms, found isolated ones")
    results = {"json": output / "test.json", "plot": output / "parity.png"}
    # where there is a model or no folder can be, train_model says what to do
    if test and output.is_dir() and not (output / "model.safetensors").exists():
        for path in results.values():
            check_free(path, options.force or options.resume)
    keep_freed_memory()
    model = train_model(
        config["model"],
        config["train"],
        training,
        validation,
        output,
        resume=options.resume,
        overwrite=options.force,
        provenance=record,
        progress=sys.stderr.isatty(),
    )
    if test:
        _evaluate(model, test, results)
    print(f"model: {output / 'model.safetensors'}")


def _evaluate(model: Any, structures: Any, results: dict[str, Path]) -> None:
    from ..training.evaluate import evaluate
    from ..training.parity import parity_plot

    result = evaluate(model, structures)
    write_json(results["json"], result["metrics"])
    parity_plot(result["arrays"], model.config.elements, results["plot"])
    print_metrics(result["metrics"])
