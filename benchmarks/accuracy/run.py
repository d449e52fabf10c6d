# SPDX-License-Identifier: MIT
"""Train and test on revMD17's molecules and 3BPA, one after the other.

    python benchmarks/accuracy/run.py                      # all of them
    python benchmarks/accuracy/run.py ethanol 3bpa         # some
    python benchmarks/accuracy/run.py --evaluate           # the committed models only

Data: see prepare.py. A training that was interrupted goes on at its last epoch; one
whose model is in ``models/`` is not run again unless ``--again``. Each leaves its model
in ``models/``, its log in ``logs/`` and its errors, time and hardware in ``results/``.
``table.py`` prints them beside the published ones.
"""

import argparse
import json
import os
import shutil
import sys
import tomllib
from pathlib import Path

import torch

from openmm_allegro import cli
from openmm_allegro.model.file import load_model
from openmm_allegro.structure import read_structures
from openmm_allegro.training.evaluate import evaluate

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hardware import hardware  # noqa: E402

RUNS = Path("runs/accuracy")


def main() -> None:
    names = sorted(path.stem for path in HERE.glob("*.toml"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names)}")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--evaluate", action="store_true", help="do not train")
    parser.add_argument("--again", action="store_true", help="train what is there")
    options = parser.parse_args()
    chosen = options.names or names
    unknown = sorted(set(chosen) - set(names))
    if unknown:
        parser.error(f"expected names of {names}, found {unknown}")
    torch.set_num_threads(options.threads)
    for name in chosen:
        parts = ("test",) if options.evaluate else ("training", "test")
        for path in _files(name, *parts):
            if not path.is_file():
                parser.error(f"expected {path}, found nothing; see prepare.py")
    for name in chosen:
        there = (HERE / "models" / f"{name}.safetensors").exists()
        wanted = not options.evaluate and (options.again or not there)
        if wanted:
            _train(name, again=options.again)
        if wanted or there:
            _evaluate(name, options.threads, trained=wanted)


def _train(name: str, *, again: bool) -> None:
    output = RUNS / name
    command = ["train", str(HERE / f"{name}.toml"), "--output", str(output)]
    if again:
        command.append("--force")
    elif list((output / "checkpoints").glob("*.ckpt")):
        command.append("--resume")
    print(name, *command[2:], flush=True)
    if cli.main(command) != 0:
        raise SystemExit(f"{name}: the training failed")
    for folder, source, suffix in (
        ("models", "model.safetensors", ".safetensors"),
        ("logs", "log.csv", ".csv"),
    ):
        (HERE / folder).mkdir(exist_ok=True)
        shutil.copy(output / source, HERE / folder / f"{name}{suffix}")


def _evaluate(name: str, threads: int, *, trained: bool) -> None:
    model = load_model(HERE / "models" / f"{name}.safetensors")
    path = HERE / "results" / f"{name}.json"
    found = {"tests": {}}
    if path.exists():
        found = json.loads(path.read_text())
    found |= {
        "weights": model.num_weights,
        "best_epoch": model.provenance["epoch"],
        "train": model.provenance["train"],
    }
    if trained:
        rows = (HERE / "logs" / f"{name}.csv").read_text().splitlines()
        header, last = rows[0].split(","), rows[-1].split(",")
        found["training_hours"] = round(float(last[header.index("seconds")]) / 3600, 3)
        found["hardware"] = hardware(threads)
    for file in _files(name, "test"):
        structures = read_structures(file)
        metrics = evaluate(model, structures, batch_size=8)["metrics"]
        atoms = len(structures[0])
        key = file.stem.removeprefix(f"{name}_")
        found["tests"][key] = {
            "frames": len(structures),
            "energy_mae_mev": metrics["energy_mae"] * atoms,
            "energy_rmse_mev": metrics["energy_rmse"] * atoms,
            "forces_mae": metrics["forces_mae"],
            "forces_rmse": metrics["forces_rmse"],
        }
        print(
            f"{name} {key}: MAE {metrics['energy_mae'] * atoms:.2f} meV, "
            f"{metrics['forces_mae']:.2f} meV/Å; RMSE "
            f"{metrics['energy_rmse'] * atoms:.2f} meV, "
            f"{metrics['forces_rmse']:.2f} meV/Å",
            flush=True,
        )
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


def _files(name: str, *parts: str) -> list[Path]:
    with open(HERE / f"{name}.toml", "rb") as file:
        data = tomllib.load(file)["data"]
    return [HERE / path for part in parts for path in data[part]]


if __name__ == "__main__":
    main()
