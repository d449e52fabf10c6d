# SPDX-License-Identifier: MIT
"""Measure what charges are worth in short trainings, and what their energies need.

    python benchmarks/accuracy/charges.py …/train.extxyz --test …/test.extxyz
    python benchmarks/accuracy/charges.py                        # the table

All trainings have the same frames, without the two that are polarised, the same
network and steps, and the defaults of ``[train]`` but for the batch. A row has errors
on the test frames but the polarised one, with the energies of the elements as they were
at the start and refitted, and what is left of the longest wave of the polarised frames.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from polarised_frame import wave_left

from openmm_allegro.model import AllegroConfig
from openmm_allegro.structure import read_structures
from openmm_allegro.training.config import TrainConfig
from openmm_allegro.training.data import split
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.refit import energy_residuals, refit_shifts
from openmm_allegro.training.samples import make_samples
from openmm_allegro.training.train import train
from openmm_allegro.utils.process import keep_freed_memory, processor_name

RESULTS = Path(__file__).with_suffix(".json")
POLARISED, POLARISED_TEST = (698, 741), 64
NETWORK: dict[str, Any] = {
    "elements": ("H", "O", "Na", "Cl"),
    "cutoff": 4.5,
    "pair_cutoffs": {"H-H": 3.0, "H-O": 3.5, "H-Na": 4.0, "H-Cl": 4.0, "O-H": 4.0},
    **{"l_max": 1, "num_layers": 1, "num_scalar_features": 32},
    **{"num_tensor_features": 16, "two_body_width": 32, "latent_width": 32},
    "readout_width": 16,
}
SCREENED = {"H": 0.27, "O": -0.54, "Na": 0.64, "Cl": -0.64}
SMALLER = {"H": 0.2, "O": -0.4, "Na": 0.5, "Cl": -0.5}
LEARNED = {"charges": "learned", "charge_start": SCREENED}
VARIANTS: dict[str, dict[str, Any]] = {
    "none": {},
    "constant": LEARNED | {"charges": "constant"},
    "learned": LEARNED,
    "learned, from smaller charges": LEARNED | {"charge_start": SMALLER},
    "learned, α 0.25 1/Å": LEARNED | {"charge_alpha": 0.25},
    "learned, charge_scale 0.1": LEARNED | {"charge_scale": 0.1},
}


def main() -> None:
    """Train what is asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, help="frames to train on")
    parser.add_argument("--test", type=Path, help="frames to test on")
    parser.add_argument("--frames", type=int, default=300, help="to train on")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=VARIANTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if options.file is not None:
        for seed in options.seeds:
            for name in options.only:
                row = _measure(VARIANTS[name], options, seed)
                row |= {"processor": processor_name(), "torch": torch.__version__}
                rows.setdefault(name, {})[f"{seed}"] = row
                RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    _print(rows)


def _measure(
    changes: dict[str, Any], options: argparse.Namespace, seed: int
) -> dict[str, Any]:
    """Train a variant, and compute its errors before and after the refit."""
    every = read_structures(options.file)
    ordinary = [s for i, s in enumerate(every) if i not in POLARISED]
    training, validation = split(ordinary, [options.frames, 20], seed=0)
    network = AllegroConfig(**(NETWORK | changes))
    settings = TrainConfig(
        **{"seed": seed, "batch_size": 1, "max_epochs": options.epochs},
        refit_shifts=False,
    )
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        model = train(network, settings, training, validation, folder, progress=False)
        seconds = time.process_time() - start
    refitted = refit_shifts(model, training).model
    test = read_structures(options.test)
    test = [s for i, s in enumerate(test) if i != POLARISED_TEST]
    residuals = energy_residuals(model, make_samples(test, model.config), "cpu")
    result = evaluate(refitted, test)
    arrays, metrics = result["arrays"], result["metrics"]
    squares = ((arrays["forces_prediction"] - arrays["forces_reference"]) ** 2).mean(1)
    is_long = [np.linalg.norm(s.cell, axis=1).max() > 15 for s in test]
    is_long = np.repeat(is_long, arrays["sizes"])
    row: dict[str, Any] = {"processor_seconds": round(seconds)}
    row |= {"frames": options.frames, "epochs": options.epochs}
    row |= {
        "energy": residuals.metrics()["energy_rmse"],
        "energy_refitted": metrics["energy_rmse"],
        "forces_cubic": 1e3 * float(squares[~is_long].mean() ** 0.5),
        "forces_long": 1e3 * float(squares[is_long].mean() ** 0.5),
        "left": [wave_left(refitted, every[i]).factor for i in POLARISED],
    }
    charges = metrics.get("charges", {})
    return row | {"charges": {e: value["mean"] for e, value in charges.items()}}


def _print(rows: dict[str, Any]) -> None:
    print(
        "| charges | seed | forces, cells of 12 / 20 Å | energy at first | refitted | "
        "λ of two polarised frames | H / O / Na / Cl | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, seeds in rows.items():
        for seed, row in seeds.items():
            charges = " / ".join(f"{q:+.2f}" for q in row["charges"].values())
            print(
                f"| {name} | {seed} | {row['forces_cubic']:.1f} / "
                f"{row['forces_long']:.1f} | {row['energy']:.2f} | "
                f"{row['energy_refitted']:.2f} | "
                + ", ".join(f"{x:+.2f}" for x in row["left"])
                + f" | {charges or '–'} | {row['processor_seconds']} |"
            )


if __name__ == "__main__":
    main()
