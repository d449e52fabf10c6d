# SPDX-License-Identifier: MIT
"""The table of errors beside the published ones, from ``results/``.

python benchmarks/accuracy/table.py
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def main() -> None:
    published = json.loads((HERE / "published.json").read_text())
    rmd17, bpa = (v for k, v in published.items() if k != "source")
    results = {
        path.stem: json.loads(path.read_text())
        for path in sorted((HERE / "results").glob("*.json"))
    }
    print("revMD17, test MAE, energy (meV) / forces (meV/Å)\n")
    print("| | this package | Allegro | NequIP | weights | training |")
    print("|---|---|---|---|---|---|")
    ours, theirs = [], []
    for name, others in rmd17.items():
        cells = [f"{e:g} / {f:g}" for e, f in (others["Allegro"], others["NequIP"])]
        if name not in results:
            print(f"| {name} | – | {cells[0]} | {cells[1]} | | |")
            continue
        found = results[name]
        test = found["tests"]["test"]
        ours.append((test["energy_mae_mev"], test["forces_mae"]))
        theirs.append((*others["Allegro"], *others["NequIP"]))
        print(
            f"| {name} | {ours[-1][0]:.2f} / {ours[-1][1]:.2f} | {cells[0]} | "
            f"{cells[1]} | {_training(found)} |"
        )
    if ours:
        mean, other = np.mean(ours, axis=0), np.mean(theirs, axis=0)
        print(
            f"| mean of {len(ours)} | {mean[0]:.2f} / {mean[1]:.2f} | "
            f"{other[0]:.2f} / {other[1]:.2f} | {other[2]:.2f} / {other[3]:.2f} | | |"
        )
    if "3bpa" in results:
        found = results["3bpa"]
        print("\n3BPA, test RMSE, energy (meV) / forces (meV/Å)\n")
        print("| | this package | Allegro | NequIP | weights | training |")
        print("|---|---|---|---|---|---|")
        for part, others in bpa.items():
            test = found["tests"][f"test_{part}"]
            cells = [f"{e:g} / {f:g}" for e, f in (others["Allegro"], others["NequIP"])]
            print(
                f"| {part} | {test['energy_rmse_mev']:.2f} / "
                f"{test['forces_rmse']:.2f} | {cells[0]} | {cells[1]} | "
                f"{_training(found)} |"
            )
    for line in sorted({_hardware(found) for found in results.values()}):
        print(f"\n{line}")


def _training(found: dict) -> str:
    epochs, hours = found["train"]["max_epochs"], found.get("training_hours")
    time = "" if hours is None else f", {hours:.2f} h"
    return f"{found['weights']:,} | {epochs} epochs{time}"


def _hardware(found: dict) -> str:
    machine = found.get("hardware")
    if machine is None:
        return "hardware of some trainings: not recorded"
    return f"{machine['processor']}, {machine['threads_used']} thread(s) a training"


if __name__ == "__main__":
    main()
