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
    """Train a molecule; with a second TOML in stages/, from the first one's model."""
    output = RUNS / name
    _run(name, molecules.HERE / f"{name}.toml", output, again=again)
    first = None
    stage = molecules.HERE / "stages" / f"{name}.toml"
    if stage.exists():
        first, output = output, RUNS / f"{name}_2"
        source = str(first / "model.safetensors")
        _run(name, stage, output, "--from", source, again=again)
    molecules.keep_training(name, output, first=first, threads=threads)


def _run(name: str, config: Path, output: Path, *options: str, again: bool) -> None:
    """Run one training, or what is left of it."""
    command = ["train", str(config), "--output", str(output), *options]
    if again:
        command.append("--force")
    elif list((output / "checkpoints").glob("*.ckpt")):
        command.append("--resume")
    print(name, *command[2:], flush=True)
    if cli.main(command) != 0:
        raise SystemExit(f"{name}: the training failed")


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
