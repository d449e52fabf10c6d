# SPDX-License-Identifier: MIT
"""Train on six data sets with the bare command, and compare with the committed models.

    python benchmarks/accuracy/defaults.py --data FOLDER --minutes 8     # all of them
    python benchmarks/accuracy/defaults.py --data FOLDER --minutes 8 lgps ethanol
    python benchmarks/accuracy/defaults.py --table                       # what is done

The folder holds ``nacl_aq``, ``ec_emc``, ``lgps`` and ``li6ps5cl`` with the files that
the systems' README name, ``rmd17/ethanol_split01.npz`` and ``3bpa``. An interrupted
training is resumed; what ``defaults.json`` has for the same minutes is not done again.
"""

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import molecules
import prepare
import torch

from openmm_allegro import cli
from openmm_allegro.modelfile import load_model

HERE = Path(__file__).parent
SYSTEMS = HERE.parents[1] / "systems"
RUNS = Path("runs/defaults")
RESULTS = HERE / "defaults.json"


class Case(NamedTuple):
    """Files of a data set, in the folder of all."""

    training: str
    test: str
    atoms: int = 1  # that the committed energies are of


# Systems by their folders' names, molecules by those of their results.
CASES = {
    "nacl_aq": Case("nacl_aq/train.extxyz", "nacl_aq/test.extxyz"),
    "ec_emc": Case("ec_emc/train.extxyz", "ec_emc/test.extxyz"),
    "lgps": Case("lgps/train_50atoms.extxyz", "lgps/test_50atoms.extxyz"),
    "li6ps5cl": Case("li6ps5cl/train.extxyz", "li6ps5cl/test.extxyz"),
    "ethanol": Case("ethanol_train.extxyz", "ethanol_test.extxyz", 9),
    "3bpa": Case("3bpa/train_300K.extxyz", "3bpa/test_300K.extxyz", 27),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CASES)}")
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--minutes", type=float, default=60.0, help="for each training")
    parser.add_argument("--table", action="store_true", help="do not train")
    options = parser.parse_args()
    names = options.names or list(CASES)
    if unknown := sorted(set(names) - set(CASES)):
        parser.error(f"expected names of {list(CASES)}, found {unknown}")
    if options.data is None and not options.table:
        parser.error("expected --data or --table, found neither")
    torch.set_num_threads(1)
    for name in () if options.table else names:
        if str(options.minutes) in read().get(name, {}):
            continue
        write(name, options.minutes, trained(name, options.data, options.minutes))
    print_table()


def trained(name: str, data: Path, minutes: float) -> dict[str, Any]:
    """Results of a training with the bare command."""
    output = RUNS / f"{name}_{minutes:g}"
    training, test = files(name, data)
    command = ["train", str(training), "--output", str(output)]
    if (output / "config.toml").exists():
        command.append("--resume")
    else:
        command += ["--test", str(test), "--hours", repr(minutes / 60)]
    begun = time.monotonic()
    print(name, *command, flush=True)
    if cli.main(command) != 0:
        raise SystemExit(f"{name}: the training failed")
    seconds = time.monotonic() - begun
    model = load_model(output / "model.safetensors")
    with open(output / "log.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    metrics = json.loads((output / "test.json").read_text())
    config = model.config
    return {
        "errors": {k: v for k, v in metrics.items() if not isinstance(v, dict)},
        "whole_minutes": round(seconds / 60, 2),
        "resumed": "--resume" in command,
        "training_minutes": round(float(last["seconds"]) / 60, 2),
        "steps": int(last["step"]),
        "network": {
            "cutoff": config.cutoff,
            "pair_cutoffs": config.pair_cutoffs,
            "l_max": config.l_max,
            "num_scalar_features": config.num_scalar_features,
            "num_tensor_features": config.num_tensor_features,
        },
        "train": model.provenance["train"],
        "hardware": molecules.hardware(1),
    }


def files(name: str, data: Path) -> tuple[Path, Path]:
    """Files to train and to test on."""
    case = CASES[name]
    if name == "ethanol":
        folder = RUNS / "data"
        if not (folder / case.test).exists():
            folder.mkdir(parents=True, exist_ok=True)
            prepare.convert(data / "rmd17" / "ethanol_split01.npz", name, folder)
        data = folder
    for path in (data / case.training, data / case.test):
        if not path.is_file():
            raise SystemExit(f"{name}: expected {path}, found nothing")
    return data / case.training, data / case.test


def committed(name: str) -> dict[str, float]:
    """Errors of the committed model on the same frames, meV/atom, meV/Å, and hours."""
    if (SYSTEMS / name).is_dir():
        metrics = json.loads((SYSTEMS / name / "metrics.json").read_text())
        with open(SYSTEMS / name / "training_log.csv", newline="") as file:
            seconds = float(list(csv.DictReader(file))[-1]["seconds"])
        return metrics | {"hours": seconds / 3600}
    results = molecules.read_results(name)
    tests = results["tests"]
    test = tests.get("test") or tests["test_300K"]
    return {
        "energy_rmse": test["energy_rmse_mev"] / CASES[name].atoms,
        "forces_rmse": test["forces_rmse"],
        "hours": results["training_hours"],
    }


def read() -> dict[str, Any]:
    """All results by data set and minutes."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def write(name: str, minutes: float, result: dict[str, Any]) -> None:
    """Add a result to those that are there."""
    results = read()
    results.setdefault(name, {})[str(minutes)] = result
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def print_table() -> None:
    """Print errors beside those of the committed models."""
    print(
        "| data | minutes | l_max, features | steps | energy RMSE, meV/atom "
        "| forces RMSE, meV/Å | committed: energy | forces | hours |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    for name, by_minutes in read().items():
        other = committed(name)
        for minutes, result in by_minutes.items():
            network, errors = result["network"], result["errors"]
            size = (
                f"{network['l_max']}, {network['num_scalar_features']}/"
                f"{network['num_tensor_features']}"
            )
            print(
                f"| {name} | {float(minutes):g} | {size} | {result['steps']:,} "
                f"| {errors['energy_rmse']:.2f} | {errors['forces_rmse']:.1f} "
                f"| {other['energy_rmse']:.2f} | {other['forces_rmse']:.1f} "
                f"| {other['hours']:.2f} |"
            )


if __name__ == "__main__":
    main()
