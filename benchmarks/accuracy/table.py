# SPDX-License-Identifier: MIT
"""Print tables of the errors in ``results/`` beside the published ones.

python benchmarks/accuracy/table.py
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
METHODS = ("Allegro", "NequIP", "UNiTE", "ACE")  # published, in the table's order
NAMES = {
    "salicylic": "salicylic acid",
    "300K": "300 K",
    "600K": "600 K",
    "1200K": "1200 K",
}


def main() -> None:
    published = json.loads((HERE / "published.json").read_text())
    rmd17, bpa = (v for k, v in published.items() if k != "source")
    results = {
        path.stem: json.loads(path.read_text())
        for path in sorted((HERE / "results").glob("*.json"))
    }
    results = {name: row for name, row in results.items() if row.get("tests")}
    _print_rmd17(results, rmd17)
    if "3bpa" in results:
        _print_bpa(results["3bpa"], bpa)
    for line in sorted({_hardware(row) for row in results.values()}):
        print(f"\n{line}")


def _print_rmd17(results: dict[str, dict], published: dict[str, dict]) -> None:
    print("revMD17, test MAE, energy (meV) / forces (meV/Å)\n")
    _head(METHODS)
    ours, theirs = [], []
    for name, others in published.items():
        cells = " | ".join(_pair(*others[method]) for method in METHODS)
        label = NAMES.get(name, name)
        if name not in results:
            print(f"| {label} | – | {cells} | | | |")
            continue
        test = results[name]["tests"]["test"]
        ours.append((test["energy_mae_mev"], test["forces_mae"]))
        theirs.append([others[method] for method in METHODS])
        mine = _pair(*ours[-1], digits=2)
        print(f"| {label} | {mine} | {cells} | {_training(results[name])} |")
    if ours:
        cells = " | ".join(_pair(*x, digits=2) for x in np.mean(theirs, axis=0))
        mine = _pair(*np.mean(ours, axis=0), digits=2)
        print(f"| mean of {len(ours)} | {mine} | {cells} | | | |")


def _print_bpa(row: dict, published: dict[str, dict]) -> None:
    methods = [m for m in METHODS if m in published["300K"]]
    print("\n3BPA, test RMSE, energy (meV) / forces (meV/Å)\n")
    _head(methods)
    for part, others in published.items():
        test = row["tests"][f"test_{part}"]
        mine = _pair(test["energy_rmse_mev"], test["forces_rmse"], digits=2)
        cells = " | ".join(_pair(*others[method]) for method in methods)
        print(f"| {NAMES[part]} | {mine} | {cells} | {_training(row)} |")


def _head(methods: Sequence[str]) -> None:
    columns = ("", "this package", *methods, "weights", "decay", "training")
    print("|" + "|".join(f" {c} " if c else " " for c in columns) + "|")
    print("|---" * len(columns) + "|")


def _pair(energy: float, forces: float, digits: int | None = None) -> str:
    """Two numbers, rounded to ``digits`` or as published with at least one digit."""
    values = (energy, forces)
    if digits is None:
        return " / ".join(str(float(value)) for value in values)
    return " / ".join(f"{value:.{digits}f}" for value in values)


def _training(row: dict) -> str:
    epochs, hours = row["train"]["max_epochs"], row.get("training_hours")
    time = "" if hours is None else f", {hours:.2f} h"
    decay = row["train"].get("weight_decay", 0.0)  # earlier versions had none
    at_once = row.get("hardware", {}).get("trainings_at_once")
    gpu = "" if at_once is None else f" of 1/{at_once} GPU"
    return f"{row['weights']:,} | {decay:g} | {epochs} epochs{time}{gpu}"


def _hardware(row: dict) -> str:
    machine = row.get("hardware")
    if machine is None:
        return "hardware of some trainings: not recorded"
    at_once = machine.get("trainings_at_once")
    if at_once is not None:
        return f"{machine['gpu']}, {at_once} training(s) at once"
    return f"{machine['processor']}, {machine['threads_used']} thread(s) a training"


if __name__ == "__main__":
    main()
