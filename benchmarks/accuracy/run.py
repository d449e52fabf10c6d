# SPDX-License-Identifier: MIT
"""Train and test on revMD17's molecules and 3BPA, one after the other.

    python benchmarks/accuracy/run.py                      # all of them
    python benchmarks/accuracy/run.py ethanol 3bpa         # some
    python benchmarks/accuracy/run.py --evaluate           # the committed models only

Data: see prepare.py. An interrupted training is resumed from its last epoch; a molecule
whose model is in ``models/`` is not trained again unless ``--again``. Each training
leaves its model in ``models/``, its log in ``logs/`` and its errors, time and hardware
in ``results/``. ``table.py`` prints them beside the published errors.
"""

import argparse
import os
from pathlib import Path

import molecules
import torch

from openmm_allegro import cli
from openmm_allegro.modelfile import load_model
from openmm_allegro.structure import read_structures
from openmm_allegro.training.evaluate import evaluate

RUNS = Path("runs/accuracy")


def main() -> None:
    names = molecules.all_names()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names)}")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--evaluate", action="store_true", help="do not train")
    parser.add_argument(
        "--again", action="store_true", help="train anew where there is a model"
    )
    options = parser.parse_args()
    chosen = options.names or names
    parts = ("test",) if options.evaluate else ("training", "test")
    molecules.check_names(parser, chosen, *parts)
    torch.set_num_threads(options.threads)
    for name in chosen:
        trained = (molecules.HERE / "models" / f"{name}.safetensors").exists()
        if not options.evaluate and (options.again or not trained):
            _train(name, options.threads, again=options.again)
            trained = True
        if trained:
            _evaluate(name)


def _train(name: str, threads: int, *, again: bool) -> None:
    output = RUNS / name
    command = ["train", str(molecules.HERE / f"{name}.toml"), "--output", str(output)]
    if again:
        command.append("--force")
    elif list((output / "checkpoints").glob("*.ckpt")):
        command.append("--resume")
    print(name, *command[2:], flush=True)
    if cli.main(command) != 0:
        raise SystemExit(f"{name}: the training failed")
    molecules.keep_training(name, output, threads=threads)


def _evaluate(name: str) -> None:
    model = load_model(molecules.HERE / "models" / f"{name}.safetensors")
    results = molecules.read_results(name) | {
        "weights": model.num_weights,
        "best_epoch": model.provenance["epoch"],
        "train": model.provenance["train"],
    }
    for file in molecules.files_of(name, "test"):
        structures = read_structures(file)
        metrics = evaluate(model, structures, batch_size=8)["metrics"]
        atoms = len(structures[0])
        test = {
            "frames": len(structures),
            "energy_mae_mev": metrics["energy_mae"] * atoms,
            "energy_rmse_mev": metrics["energy_rmse"] * atoms,
            "forces_mae": metrics["forces_mae"],
            "forces_rmse": metrics["forces_rmse"],
        }
        key = file.stem.removeprefix(f"{name}_")
        results["tests"][key] = test
        print(
            f"{name} {key}: MAE {test['energy_mae_mev']:.2f} meV, "
            f"{test['forces_mae']:.2f} meV/Å; RMSE {test['energy_rmse_mev']:.2f} meV, "
            f"{test['forces_rmse']:.2f} meV/Å",
            flush=True,
        )
    molecules.write_results(name, results)


if __name__ == "__main__":
    main()
