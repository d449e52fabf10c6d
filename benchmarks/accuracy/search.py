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

With ``--together`` they are trained at once on one GPU, as together.py does, all that
have no result yet or those named; validated each ten epochs.

Errors are those of the 50 validation frames, so that nothing is chosen by what is
reported; time is that of the processor, compiling not counted, and none of those that
share a GPU. Results:
``search.json``, a row for each, kept when the script is run again.
"""

import argparse
import contextlib
import csv
import dataclasses
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch

from openmm_allegro.model import AllegroConfig
from openmm_allegro.model.file import Model
from openmm_allegro.training.graphs import Training, check
from openmm_allegro.training.record import MONITOR, TrainingRecord
from openmm_allegro.training.train import DataConfig, TrainConfig, read_data, train
from openmm_allegro.utils.config import read_toml
from openmm_allegro.utils.process import keep_freed_memory

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hardware import hardware  # noqa: E402

STUDIES = {"fast": (950, 20), "few": (200, 200)}  # frames, epochs
RESULTS = HERE / "search.json"
TWICE = {
    "num_scalar_features": 128,
    "num_tensor_features": 64,
    "two_body_width": 128,
    "latent_width": 128,
    "readout_width": 64,
}
THREE_TIMES = {key: 3 * value // 2 for key, value in TWICE.items()}
FOUR_TIMES = {key: 2 * value for key, value in TWICE.items()}
TWO_HIDDEN = {"two_body_depth": 2, "latent_depth": 2}
NEITHER = {"weight_decay": 0.0, "fix_linear_chains": False}
# What differs from base.toml.
VARIANTS: dict[str, dict] = {
    "base": {},
    "base, again": {},  # later, by code that rounds otherwise
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
    # Late weights: in the last quarter of the epochs.
    "energy weight 100 at the end": {"late_weights": (100.0, 1.0, 0.0)},
    "energy weight 3000 at the end": {"late_weights": (3000.0, 1.0, 0.0)},
    "no averaging": {"ema_decay": 0.0},
    "averaging 0.999": {"ema_decay": 0.999},
    "averaging 0.98": {"ema_decay": 0.98},
    "rate falling to a fifth": {"final_rate": 0.2},
    "constant rate": {"schedule": "constant"},
    "plateau": {"schedule": "plateau", "warmup_steps": 0, "plateau_patience": 2},
    "two hidden layers": TWO_HIDDEN,
    "64 tensors": {"num_tensor_features": 64},
    "128 scalars and hidden": {
        "num_scalar_features": 128,
        "two_body_width": 128,
        "latent_width": 128,
    },
    "all of it twice as wide": TWICE,
    "twice as wide, 3 layers": TWICE | {"num_layers": 3},
    "twice as wide, l_max 2": TWICE | {"l_max": 2},
    "twice as wide, l_max 4": TWICE | {"l_max": 4},
    "twice as wide, two hidden layers": TWICE | TWO_HIDDEN,
    "twice as wide, 16 Bessel functions": TWICE | {"num_bessels": 16},
    "twice as wide, envelope 2": TWICE | {"envelope_p": 2.0},
    "twice as wide, cutoff 5": TWICE | {"cutoff": 5.0},
    "twice as wide, no weight decay": TWICE | {"weight_decay": 0.0},
    "twice as wide, weight decay 0.003": TWICE | {"weight_decay": 0.003},
    "twice as wide, weight decay 0.03": TWICE | {"weight_decay": 0.03},
    "twice as wide, neither": TWICE | NEITHER,
    "twice as wide, rate 0.002": TWICE | {"learning_rate": 0.002},
    "twice as wide, rate 0.007": TWICE | {"learning_rate": 0.007},
    "twice as wide, momentum 0.95": TWICE | {"momentum": 0.95},
    "twice as wide, momentum 0.95, rate 0.007": TWICE
    | {"momentum": 0.95, "learning_rate": 0.007},
    "twice as wide, momentum 0.995": TWICE | {"momentum": 0.995},
    "twice as wide, momentum 0.98": TWICE | {"momentum": 0.98},
    "twice as wide, momentum 0.98, rate 0.005": TWICE
    | {"momentum": 0.98, "learning_rate": 0.005},
    "twice as wide, rate 0.005, warmup 1000": TWICE
    | {"learning_rate": 0.005, "warmup_steps": 1000},
    "twice as wide, weight decay 0.1": TWICE | {"weight_decay": 0.1},
    "twice as wide, averaging 0.999": TWICE | {"ema_decay": 0.999},
    "twice as wide, three hidden layers": TWICE
    | {"two_body_depth": 3, "latent_depth": 3},
    "twice as wide, 3 layers, momentum 0.95": TWICE
    | {"num_layers": 3, "momentum": 0.95},
    "twice as wide, energy weight 100": TWICE | {"energy_weight": 100.0},
    "twice as wide, seed 2": TWICE | {"seed": 2},
    "three times as wide, two hidden layers": THREE_TIMES | TWO_HIDDEN,
    "four times as wide": FOUR_TIMES,
    "four times as wide, 3 layers": FOUR_TIMES | {"num_layers": 3},
    "four times as wide, two hidden layers": FOUR_TIMES | TWO_HIDDEN,
    "l_max 4": {"l_max": 4},
    "cutoff 4.5": {"cutoff": 4.5},
    "no weight decay": {"weight_decay": 0.0},
    "weight decay 0.03": {"weight_decay": 0.03},
    "weight decay 0.1": {"weight_decay": 0.1},
    "linear chains trained": {"fix_linear_chains": False},
    "neither decay nor fixed maps": NEITHER,
    "seed 2": {"seed": 2},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", choices=STUDIES, default="fast")
    parser.add_argument("--only", nargs="+", help="name of a variant")
    parser.add_argument(
        "--together", nargs="*", metavar="NAME", help="at once, on CUDA"
    )
    parser.add_argument("--again", action="store_true", help="also those with results")
    parser.add_argument("--table", action="store_true", help="print results alone")
    options = parser.parse_args()
    if options.together is not None:
        if options.only or options.again or options.table:
            parser.error("expected --together with --study alone")
        if not torch.cuda.is_available():
            parser.error("expected a CUDA device for --together, found none")
        _measure_together(options.together, options.study, "cuda")
    elif not options.table:
        torch.set_num_threads(1)
        keep_freed_memory()
        names = [" ".join(options.only)] if options.only else list(VARIANTS)
        if unknown := sorted(set(names) - set(VARIANTS)):
            parser.error(f"expected names of {list(VARIANTS)}, found {unknown}")
        for name in names:
            if options.again or name not in _results().get(options.study, {}):
                _keep(options.study, name, _measure(VARIANTS[name], options.study))
    found = _results()
    for study, (frames, epochs) in STUDIES.items():
        if study in found:
            print(f"\n{study}: {frames} frames, {epochs} epochs\n")
            _print_table(found[study])


def _results() -> dict[str, dict[str, dict]]:
    """Rows by study and name, as far as there are any."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def _keep(study: str, name: str, row: dict) -> None:
    found = _results()  # the other study may have been run meanwhile
    found.setdefault(study, {})[name] = row
    RESULTS.write_text(_as_lines(found))


def _as_lines(found: dict[str, dict[str, dict]]) -> str:
    """JSON with a line for each row."""
    studies = []
    for study, rows in found.items():
        lines = [f"  {json.dumps(n)}: {json.dumps(row)}" for n, row in rows.items()]
        studies.append(f" {json.dumps(study)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(studies) + "\n}\n"


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
            seconds = row.get("processor_s_per_epoch")
            seconds = f"{seconds:.1f}" if seconds else "GPU"
            print(
                f"| {name} | {row['forces_mae']:.1f} | {row['energy_mae_mev']:.2f} | "
                f"{losses} | {row['weights']:,} | {seconds} |"
            )


def _config(changes: dict, epochs: int) -> dict[str, Any]:
    tables = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
    base = HERE / "search" / "base.toml"
    config = read_toml(base, tables)
    values = changes | {"max_epochs": epochs}
    if "late_weights" in changes:
        values["late_epoch"] = epochs * 3 // 4
    for table in ("model", "train"):
        fields = {f.name for f in dataclasses.fields(config[table])}
        own = {key: value for key, value in values.items() if key in fields}
        config[table] = dataclasses.replace(config[table], **own)
    return config


def _measure(changes: dict, study: str) -> dict:
    frames, epochs = STUDIES[study]
    config = _config(changes, epochs)
    training, validation, record = read_data(config["data"], HERE / "search")
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
    row = _row(model, output / "log.csv", len(validation[0]), changes)
    row["processor_s_per_epoch"] = round(clock.per_epoch(), 2)
    print(row["forces_mae"], changes, flush=True)
    return row


def _measure_together(names: list[str], study: str, device: str) -> None:
    from together import train_together

    frames, epochs = STUDIES[study]
    if unknown := sorted(set(names) - set(VARIANTS)):
        raise SystemExit(f"expected names of {list(VARIANTS)}, found {unknown}")
    config = _config({}, epochs)
    training, validation, record = read_data(config["data"], HERE / "search")
    data = training[:frames], validation, record
    if not names:
        done = _results().get(study, {})
        left = [name for name in VARIANTS if name not in done]
        names = [name for name in left if _needs_no_host(name, epochs, data)]
    trainings = {}
    for name in names:
        config = _config(VARIANTS[name], epochs)
        output = Path("runs/accuracy/search") / study / name.replace(" ", "_")
        shutil.rmtree(output, ignore_errors=True)
        trainings[name] = Training(
            "model", config, data, output, plain=True, device=device
        )
    with contextlib.suppress(FloatingPointError):  # it says so; the others have results
        train_together(list(trainings.values()), 10)
    for name, training in trainings.items():
        log = training.output / "logs" / "model.csv"  # there when it is done
        if not log.exists():
            continue
        row = _row(training.model, log, len(validation[0]), VARIANTS[name])
        row["hardware"]["trainings_at_once"] = len(trainings)
        _keep(study, name, row)


def _needs_no_host(name: str, epochs: int, data: tuple) -> bool:
    try:
        check(name, _config(VARIANTS[name], epochs)["train"], data)
    except ValueError as error:
        print(error, flush=True)
        return False
    return True


def _row(model: Model, log: Path, atoms: int, changes: dict) -> dict:
    found = model.provenance["validation"]
    with open(log, newline="") as file:
        epochs = {int(row["epoch"]): row for row in csv.DictReader(file)}
    epoch = epochs[model.provenance["epoch"]]
    return {
        "training_loss": float(epoch["loss"]),
        "validation_loss": float(epoch[MONITOR]),
        "forces_mae": round(found["forces_mae"], 2),
        "energy_mae_mev": round(found["energy_mae"] * atoms, 3),
        "frames": model.provenance["training_structures"],
        "weights": model.num_weights,
        "changes": changes,
        "hardware": hardware(1),
    }


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
