# SPDX-License-Identifier: MIT
"""Measure what a setting is worth, by trainings that differ in a few values.

    python benchmarks/accuracy/search.py                     # all of variants.py
    python benchmarks/accuracy/search.py --study few --only 3 layers
    python benchmarks/accuracy/search.py --table

Each is a training of search/base.toml, which is not ethanol.toml so that rows stay
comparable when that changes, on one thread and in one of two studies:

fast : 20 epochs of the 950 frames, which show what makes a network learn quickly
few : 200 epochs of the first 200 frames, which show what makes it predict others well;
    the loss of training is printed beside that of validation

``--together`` trains at once on one GPU, as together.py does, the named variants or all
that have no result yet, with a validation every ten epochs.

Errors are those of the 50 validation frames, so that nothing is chosen by the test
errors that are reported. Times are of the processor, without compiling, and not
measured on a GPU. Results: ``search.json``, a row for each variant, which stays when
the script is run again.
"""

import argparse
import csv
import dataclasses
import json
import shutil
import time
from pathlib import Path
from typing import Any

import molecules
import torch
from variants import STUDIES, VARIANTS

from openmm_allegro.modelfile import Model
from openmm_allegro.training.data import read_data
from openmm_allegro.training.graphs import GraphTraining, check_graphs, train_together
from openmm_allegro.training.record import MONITOR, TrainingRecord
from openmm_allegro.training.train import train
from openmm_allegro.utils.config import read_toml
from openmm_allegro.utils.process import keep_freed_memory

RESULTS = molecules.HERE / "search.json"


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
        _measure_together(options.together, options.study)
    elif not options.table:
        torch.set_num_threads(1)
        keep_freed_memory()
        names = [" ".join(options.only)] if options.only else list(VARIANTS)
        _check_names(names)
        for name in names:
            if options.again or name not in _results().get(options.study, {}):
                _keep(options.study, name, _measure(VARIANTS[name], options.study))
    results = _results()
    for study, (frames, epochs) in STUDIES.items():
        if study in results:
            print(f"\n{study}: {frames} frames, {epochs} epochs\n")
            _print_table(results[study])


def _check_names(names: list[str]) -> None:
    if unknown := sorted(set(names) - set(VARIANTS)):
        raise SystemExit(f"expected names of {list(VARIANTS)}, found {unknown}")


def _results() -> dict[str, dict[str, dict]]:
    """Rows by study and name, as far as there are any."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def _keep(study: str, name: str, row: dict) -> None:
    results = _results()  # the other study may have been run meanwhile
    results.setdefault(study, {})[name] = row
    RESULTS.write_text(_as_lines(results))


def _as_lines(results: dict[str, dict[str, dict]]) -> str:
    """JSON with a line for each row."""
    studies = []
    for study, rows in results.items():
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
    config = read_toml(molecules.HERE / "search" / "base.toml", molecules.TABLES)
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
    training, validation, record = read_data(config["data"], molecules.HERE / "search")
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


def _measure_together(names: list[str], study: str) -> None:
    frames, epochs = STUDIES[study]
    _check_names(names)
    base = _config({}, epochs)
    training, validation, record = read_data(base["data"], molecules.HERE / "search")
    structures = training[:frames], validation
    if not names:
        done = _results().get(study, {})
        left = [name for name in VARIANTS if name not in done]
        names = [name for name in left if _needs_no_host(name, epochs, structures)]
    trainings = {}
    for name in names:
        config = _config(VARIANTS[name], epochs)
        # Compiling each of many networks takes longer than it saves.
        settings = dataclasses.replace(config["train"], compile=False)
        output = Path("runs/accuracy/search") / study / name.replace(" ", "_")
        shutil.rmtree(output, ignore_errors=True)
        trainings[name] = GraphTraining(
            config["model"], settings, *structures, output, provenance=record
        )
    try:
        train_together(list(trainings.values()), every=10)
    except FloatingPointError as error:  # the others have results
        print(error, flush=True)
    for name, training in trainings.items():
        if training.done:
            log = training.output / "log.csv"
            row = _row(training.model, log, len(validation[0]), VARIANTS[name])
            row["hardware"]["trainings_at_once"] = len(trainings)
            _keep(study, name, row)


def _needs_no_host(name: str, epochs: int, structures: tuple) -> bool:
    try:
        check_graphs(name, _config(VARIANTS[name], epochs)["train"], *structures)
    except ValueError as error:
        print(error, flush=True)
        return False
    return True


def _row(model: Model, log: Path, atoms: int, changes: dict) -> dict:
    errors = model.provenance["validation"]
    with open(log, newline="") as file:
        epochs = {int(row["epoch"]): row for row in csv.DictReader(file)}
    epoch = epochs[model.provenance["epoch"]]
    return {
        "training_loss": float(epoch["loss"]),
        "validation_loss": float(epoch[MONITOR]),
        "forces_mae": round(errors["forces_mae"], 2),
        "energy_mae_mev": round(errors["energy_mae"] * atoms, 3),
        "frames": model.provenance["training_structures"],
        "weights": model.num_weights,
        "changes": changes,
        "hardware": molecules.hardware(1),
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
