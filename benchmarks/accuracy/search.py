# SPDX-License-Identifier: MIT
"""What a setting is worth: trainings that differ from a config in a few values.

    python benchmarks/accuracy/search.py                     # those listed below
    python benchmarks/accuracy/search.py --study few --only 3 layers
    python benchmarks/accuracy/search.py --table

Each is a training of search/base.toml, apart from ethanol.toml so that rows stay
comparable when that changes, on one thread and for the epochs of one of two studies:

fast : 20 epochs of the 950 frames: what makes a network learn quickly
few : 200 epochs of the first 200 frames: what makes it right about others, when it has
    learnt its own; their loss is printed beside that of validation

Errors are those of the 50 validation frames, so that nothing is chosen by what is
reported; time is that of the processor, compiling not counted. Results:
``search.json``, a row for each, kept when the script is run again.
"""

import argparse
import csv
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from openmm_allegro.config import read_toml
from openmm_allegro.lightning_module import MONITOR, TrainingRecord
from openmm_allegro.model import AllegroConfig
from openmm_allegro.process import keep_freed_memory
from openmm_allegro.train import DataConfig, TrainConfig, read_data, train

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hardware import hardware  # noqa: E402

STUDIES = {"fast": (950, 20), "few": (200, 200)}  # frames, epochs
RESULTS = HERE / "search.json"
NEITHER = {"weight_decay": 0.0, "fix_linear_chains": False}
# What differs from base.toml.
VARIANTS: dict[str, dict] = {
    "base": {},
    "mse": {"forces_loss": "mse"},
    "mse, rate 0.007, momentum 0.95, neither": NEITHER
    | {"forces_loss": "mse", "learning_rate": 0.007, "momentum": 0.95},
    "mse, Adam, rate 0.01, neither": NEITHER
    | {"forces_loss": "mse", "optimizer": "adam", "learning_rate": 0.01},
    "Adam, rate 0.002": {"optimizer": "adam", "learning_rate": 0.002},
    "Adam, rate 0.005": {"optimizer": "adam", "learning_rate": 0.005},
    "Adam, rate 0.01": {"optimizer": "adam", "learning_rate": 0.01},
    "rate 0.0018": {"learning_rate": 0.0018},
    "momentum 0.95": {"momentum": 0.95},
    "rate 0.005": {"learning_rate": 0.005},
    "rate 0.01": {"learning_rate": 0.01},
    "batch 2": {"batch_size": 2},
    "batch 10": {"batch_size": 10},
    "batch 10, rate 0.01": {"batch_size": 10, "learning_rate": 0.01},
    "l_max 1": {"l_max": 1},
    "l_max 2": {"l_max": 2},
    "1 layer": {"num_layers": 1},
    "3 layers": {"num_layers": 3},
    "32 scalars, 16 tensors": {"num_scalar_features": 32, "num_tensor_features": 16},
    "16 tensors": {"num_tensor_features": 16},
    "128 scalars": {"num_scalar_features": 128},
    "no odd parity": {"parity": False},
    "cutoff 5": {"cutoff": 5.0},
    "envelope 2": {"envelope_p": 2.0},
    "16 Bessel functions": {"num_bessels": 16},
    "energy weight 100": {"energy_weight": 100.0},
    "energy weight 3000": {"energy_weight": 3000.0},
    "no averaging": {"ema_decay": 0.0},
    "averaging 0.999": {"ema_decay": 0.999},
    "plateau": {"schedule": "plateau", "warmup_steps": 0, "plateau_patience": 2},
    "two hidden layers": {"two_body_depth": 2, "latent_depth": 2},
    "64 tensors": {"num_tensor_features": 64},
    "128 scalars and hidden": {
        "num_scalar_features": 128,
        "two_body_width": 128,
        "latent_width": 128,
    },
    "all of it twice as wide": {
        "num_scalar_features": 128,
        "num_tensor_features": 64,
        "two_body_width": 128,
        "latent_width": 128,
        "readout_width": 64,
    },
    "l_max 4": {"l_max": 4},
    "cutoff 4.5": {"cutoff": 4.5},
    "no weight decay": {"weight_decay": 0.0},
    "weight decay 0.03": {"weight_decay": 0.03},
    "weight decay 0.1": {"weight_decay": 0.1},
    "linear chains trained": {"fix_linear_chains": False},
    "neither decay nor fixed maps": NEITHER,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", choices=STUDIES, default="fast")
    parser.add_argument("--only", nargs="+", help="name of a variant")
    parser.add_argument("--again", action="store_true", help="also those with results")
    parser.add_argument("--table", action="store_true", help="print results alone")
    options = parser.parse_args()
    if not options.table:
        torch.set_num_threads(1)
        keep_freed_memory()
        names = [" ".join(options.only)] if options.only else list(VARIANTS)
        if unknown := sorted(set(names) - set(VARIANTS)):
            parser.error(f"expected names of {list(VARIANTS)}, found {unknown}")
        for name in names:
            if options.again or name not in _results().get(options.study, {}):
                row = _measure(VARIANTS[name], options.study)
                found = _results()  # the other study may have been run meanwhile
                found.setdefault(options.study, {})[name] = row
                RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    found = _results()
    for study, (frames, epochs) in STUDIES.items():
        if study in found:
            print(f"\n{study}: {frames} frames, {epochs} epochs\n")
            _print_table(found[study])


def _results() -> dict[str, dict[str, dict]]:
    """Rows by study and name, as far as there are any."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def _print_table(rows: dict[str, dict]) -> None:
    print(
        "| | force MAE, meV/Å | energy MAE, meV | loss of training / validation, "
        "10⁻³ | weights | processor s an epoch |"
    )
    print("|---|---|---|---|---|---|")
    for name in VARIANTS:
        if name in rows:
            row = rows[name]
            losses = "–"
            if "training_loss" in row:
                pair = row["training_loss"], row["validation_loss"]
                losses = " / ".join(f"{1000 * loss:.1f}" for loss in pair)
            print(
                f"| {name} | {row['forces_mae']:.1f} | {row['energy_mae_mev']:.2f} | "
                f"{losses} | {row['weights']:,} | {row['processor_s_per_epoch']:.1f} |"
            )


def _measure(changes: dict, study: str) -> dict:
    frames, epochs = STUDIES[study]
    tables = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
    base = HERE / "search" / "base.toml"
    config = read_toml(base, tables)
    values = changes | {"max_epochs": epochs}
    for table in ("model", "train"):
        fields = {f.name for f in dataclasses.fields(config[table])}
        own = {key: value for key, value in values.items() if key in fields}
        config[table] = dataclasses.replace(config[table], **own)
    training, validation, record = read_data(config["data"], base.parent)
    clock = _Clock()
    output = Path("runs/accuracy/search") / study
    with clock:
        model = train(
            config["model"],
            config["train"],
            training[:frames],
            validation,
            output,
            overwrite=True,
            provenance=record,
            progress=False,
        )
    atoms = len(validation[0])
    found = model.provenance["validation"]
    with open(output / "log.csv", newline="") as file:
        epoch = list(csv.DictReader(file))[model.provenance["epoch"]]
    row = {
        "training_loss": float(epoch["loss"]),
        "validation_loss": float(epoch[MONITOR]),
        "forces_mae": round(found["forces_mae"], 2),
        "energy_mae_mev": round(found["energy_mae"] * atoms, 3),
        "frames": model.provenance["training_structures"],
        "weights": sum(p.numel() for p in model.energy.parameters()),
        "processor_s_per_epoch": round(clock.per_epoch(), 2),
        "changes": changes,
        "hardware": hardware(1),
    }
    print(row["forces_mae"], changes, flush=True)
    return row


class _Clock:
    """Processor time of the epochs after the first, which compiles."""

    def __enter__(self) -> None:
        self.times: list[float] = []
        self.plain = TrainingRecord.on_validation_epoch_end

        def timed(record: TrainingRecord, trainer: Any, module: Any) -> None:
            self.plain(record, trainer, module)
            self.times.append(time.process_time())

        TrainingRecord.on_validation_epoch_end = timed

    def __exit__(self, *error: object) -> None:
        TrainingRecord.on_validation_epoch_end = self.plain

    def per_epoch(self) -> float:
        return (self.times[-1] - self.times[0]) / (len(self.times) - 1)


if __name__ == "__main__":
    main()
