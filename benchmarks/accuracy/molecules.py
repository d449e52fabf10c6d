# SPDX-License-Identifier: MIT
"""Molecules of this benchmark: their names, files and finished trainings."""

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openmm_allegro.model import AllegroConfig
from openmm_allegro.training.config import DataConfig, TrainConfig
from openmm_allegro.utils.config import read_toml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hardware import hardware  # noqa: E402

TABLES = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}


def all_names() -> list[str]:
    """Names of the TOMLs beside this script."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def read_config(name: str) -> dict[str, Any]:
    """Tables of a molecule's TOML."""
    return read_toml(HERE / f"{name}.toml", TABLES)


def files_of(name: str, part: str) -> list[Path]:
    """Files of "training" or "test"."""
    return [HERE / path for path in getattr(read_config(name)["data"], part)]


def check_names(
    parser: argparse.ArgumentParser, names: Sequence[str], *parts: str
) -> None:
    """End with a message if a name has no TOML, or its data is missing."""
    known = all_names()
    if unknown := sorted(set(names) - set(known)):
        parser.error(f"expected names of {known}, found {unknown}")
    for name in names:
        for path in (path for part in parts for path in files_of(name, part)):
            if not path.is_file():
                parser.error(f"expected {path}, found nothing; see prepare.py")


def keep_training(
    name: str, folder: Path, output: Path | None = None, **machine: Any
) -> None:
    """Copy a finished training's model and log, and write its time and hardware.

    They come to folders in ``output``, by default where this script is. ``machine`` are
    values to add to the hardware. Results of tests of another model are
    dropped.
    """
    output = output or HERE
    for kind, source, suffix in (
        ("models", "model.safetensors", ".safetensors"),
        ("logs", "log.csv", ".csv"),
    ):
        (output / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / source, output / kind / f"{name}{suffix}")
    with open(folder / "log.csv", newline="") as file:
        *_, last = csv.DictReader(file)
    results = {
        "tests": {},
        "training_hours": round(float(last["seconds"]) / 3600, 3),
        "hardware": hardware(machine.pop("threads", 1)) | machine,
    }
    write_results(name, results, output)


def read_results(name: str) -> dict[str, Any]:
    """Results of a molecule, without tests where there are none yet."""
    path = HERE / "results" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {"tests": {}}


def write_results(
    name: str, results: dict[str, Any], output: Path | None = None
) -> None:
    """Write results/NAME.json, by default where this script is."""
    path = (output or HERE) / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
