# SPDX-License-Identifier: MIT
"""Measure what a pair core is worth in short trainings, beside ZBL and neither.

    python benchmarks/accuracy/pair_core.py data/ethanol_train.extxyz --name ethanol
    python benchmarks/accuracy/pair_core.py                      # the table

The file's frames of the commonest size are split at random. All trainings of a file
have the same frames, network, steps and seed, and the defaults of ``[train]``. A row
has errors on held-back frames. A row of a file whose name is known is replaced.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from extrapolation import CORE

from openmm_allegro.model import AllegroConfig
from openmm_allegro.structure import read_structures
from openmm_allegro.training.config import TrainConfig
from openmm_allegro.training.data import split
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.train import train
from openmm_allegro.utils.process import keep_freed_memory, processor_name

RESULTS = Path(__file__).with_suffix(".json")
NETWORK = {"cutoff": 5.0, "num_scalar_features": 32, "num_tensor_features": 16}
NETWORK |= {"two_body_width": 32, "latent_width": 32}
VARIANTS: dict[str, dict[str, Any]] = {
    "neither": {},
    "ZBL": {"zbl": True},
    "core": CORE,
    "core, 4 Bessel functions": CORE | {"num_bessels": 4},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=160, help="to train on")
    parser.add_argument("--held-back", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--name", help="of the row, that of the file otherwise")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=VARIANTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if options.file is not None:
        row = rows.setdefault(options.name or options.file.stem, {"errors": {}})
        for name in options.only:
            errors = _measure(VARIANTS[name], options)
            row |= {k: getattr(options, k) for k in ("frames", "epochs", "batch")}
            row |= {"processor": processor_name(), "torch": torch.__version__}
            row["errors"][name] = errors
            RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    _print(rows)


def _measure(changes: dict[str, Any], options: argparse.Namespace) -> dict[str, float]:
    structures = read_structures(options.file)
    size, _ = Counter(map(len, structures)).most_common(1)[0]
    structures = [s for s in structures if len(s) == size]
    sets = split(structures, [options.frames, options.held_back], seed=0)
    elements = tuple(sorted({e for s in structures for e in s.symbols}))
    network = AllegroConfig(elements, **(NETWORK | changes))
    settings = TrainConfig(max_epochs=options.epochs, batch_size=options.batch)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        model = train(network, settings, *sets, folder, progress=False)
        seconds = time.process_time() - start
        metrics = evaluate(model, sets[1])["metrics"]
    kept = "forces_rmse", "forces_mae", "energy_rmse", "stress_rmse"
    errors = {key: metrics[key] for key in kept if key in metrics}
    return errors | {"processor_seconds": round(seconds)}


def _print(rows: dict[str, Any]) -> None:
    print("| data | | forces, meV/Å | energy, meV/atom | stress, meV/Å³ |")
    print("|---|---|---|---|---|")
    for name, row in rows.items():
        label = f"{name}, {row['frames']} frames, {row['epochs']} epochs"
        for variant, errors in row["errors"].items():
            stress = errors.get("stress_rmse")
            stress = "" if stress is None else f"{stress:.2f}"
            cells = f"{errors['forces_rmse']:.1f} | {errors['energy_rmse']:.2f}"
            print(f"| {label} | {variant} | {cells} | {stress} |")
            label = ""


if __name__ == "__main__":
    main()
