# SPDX-License-Identifier: MIT
"""Errors against labels of ethanol: a committee's picks and random ones, three seeds.

    python benchmarks/active_learning.py FOLDER --output runs/active_ethanol

FOLDER has ``ethanol_split01.npz`` of rMD17 (accuracy/README.md). Of its training frames
500 are the pool, whose labels a loop does not see before it picks; errors are those of
test frames. A run that was stopped goes on. Writes results/active_learning.json and the
figure of docs/active-learning.md.
"""

import argparse
import json
import sys
from pathlib import Path

import ase.io
import numpy as np
from hardware import hardware

from openmm_allegro.analysis.figures.learning import plot_learning
from openmm_allegro.learn import learn
from openmm_allegro.report.learning import learning_curve, read_errors

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "accuracy"))

from prepare import convert  # noqa: E402

LOOP = """
[learn]
members = 2
training = ["start_{seed}.extxyz"]
test = ["test.extxyz"]
pick = "{pick}"
rounds = {rounds}
frames = {frames}
seed = {seed}

[labels]
kind = "pool"

[[explore]]
name = "pool"
pool = ["pool_{seed}.extxyz"]

[model]
elements = ["H", "C", "O"]
cutoff = 4.0
l_max = 1
num_layers = 1
num_scalar_features = 32
num_tensor_features = 8

[train]
seed = {seed}
max_epochs = {epochs}
batch_size = 4
device = "cpu"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/active_ethanol"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    results: dict = {}
    convert(options.folder / "ethanol_split01.npz", "ethanol", options.output)
    pool = ase.io.read(options.output / "ethanol_train.extxyz", ":")
    test = ase.io.read(options.output / "ethanol_test.extxyz", ":200")
    ase.io.write(options.output / "test.extxyz", test)
    for seed in range(1, options.seeds + 1):
        order = np.random.default_rng(seed).permutation(len(pool))
        shuffled = [pool[k] for k in order]
        ase.io.write(options.output / f"start_{seed}.extxyz", shuffled[:15])
        ase.io.write(options.output / f"pool_{seed}.extxyz", shuffled[15:515])
        for pick in ("committee", "random"):
            name = f"{pick}_{seed}"
            toml = options.output / f"{name}.toml"
            text = LOOP.format(pick=pick, seed=seed, **vars(options))
            toml.write_text(text)
            folder = options.output / name
            resume = (folder / "loop.json").exists()
            learn(toml, folder, resume=resume, progress=False)
            results.setdefault(pick, []).append(read_errors(folder))
        write(results, options)


def write(results: dict, options: argparse.Namespace) -> None:
    """Write the table and the figure of what is done."""
    curves, table = {}, {}
    for quantity in ("forces_mae_mev_a", "energy_mae_mev_atom"):
        for pick, loops in results.items():
            found = [learning_curve(rows, quantity) for rows in loops]
            values = np.array([y for _, y in found])
            table.setdefault(pick, {"frames": found[0][0].tolist()})
            table[pick][quantity] = values.round(3).tolist()
            if quantity == "forces_mae_mev_a":
                error = values.std(axis=0, ddof=1) if len(values) > 1 else None
                curves[pick] = (found[0][0], values.mean(axis=0), error)
    plot_learning(curves, HERE / "results/active_learning.png", "MAE of forces (meV/Å)")
    record = {"seeds": options.seeds} | table
    record["hardware"] = hardware(threads=1)
    path = HERE / "results/active_learning.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    for pick, values in table.items():
        print(pick, values["frames"], np.mean(values["forces_mae_mev_a"], axis=0))


if __name__ == "__main__":
    main()
