# SPDX-License-Identifier: MIT
"""Compare averages of the weights, and refitted shifts, in short trainings.

    python benchmarks/accuracy/averages.py data/ethanol.extxyz …  # train, write
    python benchmarks/accuracy/averages.py data/ethanol.extxyz --set energy_weight 100
    python benchmarks/accuracy/averages.py                      # the table

Each file is trained on once, with the defaults of ``[train]`` but for ``--set``, and
several averages of the same weights; of its frames those of the commonest size are
taken. A row has errors on held-back frames, of the energies also about their mean,
without the constant offset, and after ``refit_shifts`` to the training frames.
"""

import argparse
import copy
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openmm_allegro.model import AllegroConfig
from openmm_allegro.model.model import Model
from openmm_allegro.structure import Structure, read_structures
from openmm_allegro.training.averaging import share_of_next
from openmm_allegro.training.config import TrainConfig
from openmm_allegro.training.data import split
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.graphs import GraphTraining
from openmm_allegro.training.refit import refit_shifts
from openmm_allegro.utils.process import processor_name

RESULTS = Path(__file__).with_suffix(".json")
DECAY = 0.995
# Share of the weights after a step in the average, by the number of steps before it.
SHARES: dict[str, Callable[[int], float]] = {
    "current weights": lambda steps: 1.0,
    "decay 0.995": lambda steps: 1 - DECAY if steps else 1.0,
    "(1 + t) / (10 + t), 0.995": lambda steps: max(1 - DECAY, 9 / (10 + steps)),
    "a fiftieth of the steps, 0.995": lambda steps: share_of_next(steps, DECAY),
}
NETWORK = {"cutoff": 5.0, "num_scalar_features": 32, "num_tensor_features": 16}
NETWORK |= {"two_body_width": 32, "latent_width": 32}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=160, help="to train on")
    parser.add_argument("--held-back", type=int, default=80)
    parser.add_argument("--steps", type=int, default=1296)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--name", help="of the row, that of the file otherwise")
    parser.add_argument(
        "--set", nargs=2, action="append", default=[], metavar=("KEY", "NUMBER")
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for path in options.files:
        changes = {key: float(value) for key, value in options.set}
        name = ", ".join(
            [options.name or path.stem, *(f"{k} {v:g}" for k, v in changes.items())]
        )
        rows[name] = _measure(path, changes, options)
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    _print(rows)


def _measure(
    path: Path, changes: dict[str, float], options: argparse.Namespace
) -> dict[str, Any]:
    structures = read_structures(path)
    size, _ = Counter(map(len, structures)).most_common(1)[0]
    structures = [s for s in structures if len(s) == size]
    sizes = [options.frames, options.held_back]
    training, held_back = split(structures, sizes, seed=0)
    elements = tuple(sorted({e for s in structures for e in s.symbols}))
    epochs = options.steps * options.batch // options.frames
    sizes = {"max_epochs": epochs, "batch_size": options.batch}
    config = TrainConfig(**sizes, stress_weight=0.0, device="cpu", **changes)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = GraphTraining(
            AllegroConfig(elements, **NETWORK), config, training, held_back[:4], folder
        )
        current = list(run.graph.energy.parameters())
        averages = {name: copy.deepcopy(run.graph.energy) for name in SHARES}
        for step in range(run.graph.total):
            run.replay()
            with torch.no_grad():
                for name, average in averages.items():
                    share = SHARES[name](step)
                    torch._foreach_lerp_(list(average.parameters()), current, share)
    seconds = time.process_time() - start
    return {
        "atoms": len(training[0]),
        "training": len(training),
        "held_back": len(held_back),
        "steps": run.graph.total,
        "processor_seconds": round(seconds),
        "processor": processor_name(),
        "torch": torch.__version__,
        "averages": {
            name: _errors(_model(run, energy), training, held_back)
            for name, energy in averages.items()
        },
    }


def _model(run: GraphTraining, energy: Any) -> Model:
    config, numbers = run.model.config, run.model.statistics
    return Model(config, numbers, energy, provenance=run.model.provenance)


def _errors(
    model: Model, training: list[Structure], held_back: list[Structure]
) -> dict[str, float]:
    result = evaluate(model, held_back)
    arrays = result["arrays"]
    errors = 1000 * (arrays["energy_prediction"] - arrays["energy_reference"])
    refitted = evaluate(refit_shifts(model, training).model, held_back)["metrics"]
    return {
        "forces_rmse": result["metrics"]["forces_rmse"],
        "energy_rmse": result["metrics"]["energy_rmse"],
        "energy_about_mean": float(np.std(errors)),
        "energy_refitted": refitted["energy_rmse"],
    }


def _print(rows: dict[str, Any]) -> None:
    print("| | average | forces | energy | about its mean | refitted |")
    print("|---|---|---|---|---|---|")
    for name, row in rows.items():
        label = f"{name}, {row['steps']} steps"
        for average, errors in row["averages"].items():
            numbers = (
                f"{errors['forces_rmse']:.1f}",
                f"{errors['energy_rmse']:.2f}",
                f"{errors['energy_about_mean']:.2f}",
                f"{errors['energy_refitted']:.2f}",
            )
            print(f"| {label} | {average} | {' | '.join(numbers)} |")
            label = ""


if __name__ == "__main__":
    main()
