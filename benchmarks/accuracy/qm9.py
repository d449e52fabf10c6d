# SPDX-License-Identifier: MIT
"""Train on energies of QM9's molecules, and print the errors beside the paper's.

    pip install qm9pack==1.0.3
    python benchmarks/accuracy/qm9.py                          # U0, three sizes, a CPU
    python benchmarks/accuracy/qm9.py --molecules 110000 --epochs 100      # for a GPU
    python benchmarks/accuracy/qm9.py --target all --molecules 10000
    python benchmarks/accuracy/qm9.py --table                  # of what has results

QM9 (doi:10.1038/sdata.2014.22, CC0) is read from qm9pack: 130,831 molecules of 3 to 29
atoms, with internal energies at 0 and 298.15 K (U0, U), enthalpies H and free energies
G, in hartree. A seeded permutation gives 110,000 molecules to train on, of which
``--molecules`` takes the first, 10,000 to validate on, of which a tenth as many (at
least 200) are taken, and the rest to test on.

Each training is on energies alone. It is resumed if it was interrupted, and a target
that has a result for as many molecules is not trained again. ``--hours`` ends each
training in time. Results with seeds, hours and hardware: ``results/qm9.json``.
"""

import argparse
import csv
import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from openmm_allegro.model import AllegroConfig
from openmm_allegro.modelfile import Model
from openmm_allegro.structure import Structure
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.train import TrainConfig, train
from openmm_allegro.units import ENERGY_UNITS_IN_EV
from openmm_allegro.utils.process import keep_freed_memory

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hardware import hardware, use_threads  # noqa: E402

RESULTS = HERE / "results" / "qm9.json"
RUNS = Path("runs/accuracy/qm9")
COLUMNS = {
    "U0": "InternalEnergy_0K_au",
    "U": "InternalEnergy_298K_au",
    "H": "Enthalphy_298K_au",  # as the file spells it
    "G": "GibbsFreeEnergy_298K_au",
}
# MAE in meV of 110,000 molecules: Musaelian et al., doi:10.1038/s41467-023-36329-y,
# table 3; the names of the networks are the paper's.
PUBLISHED = {
    "Allegro, 1 layer": {"U0": 5.7, "U": 5.3, "H": 5.3, "G": 6.6},
    "Allegro, 3 layers": {"U0": 4.7, "U": 4.4, "H": 4.4, "G": 5.7},
}
ELEMENTS = ("H", "C", "N", "O", "F")
SIZES = (110_000, 10_000)  # to train and to validate on, at most; the rest is the test
EPOCHS = {1_000: 60, 3_000: 30, 10_000: 15}


class Split(NamedTuple):
    """Rows of the molecules, in the order of their files."""

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def main() -> None:
    options = read_options()
    if not options.table:
        use_threads(options.threads)
        keep_freed_memory()
        targets = list(COLUMNS) if options.target == "all" else [options.target]
        for molecules in options.molecules:
            for target in targets:
                key = f"{target} {molecules}"
                if options.again or key not in read_results():
                    keep(key, measure(target, molecules, options))
    print_table(read_results())


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--molecules", type=int, nargs="+", default=list(EPOCHS))
    parser.add_argument("--target", choices=(*COLUMNS, "all"), default="U0")
    parser.add_argument("--epochs", type=int, help="in the place of 15 to 60")
    parser.add_argument("--test", type=int, help="molecules to test on, not all")
    parser.add_argument("--hours", type=float, default=0.0, help="of each training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="also what has a result")
    parser.add_argument("--table", action="store_true", help="print results alone")
    options = parser.parse_args()
    if not all(100 <= n <= SIZES[0] for n in options.molecules):
        parser.error(f"expected --molecules from 100 to {SIZES[0]}")
    return options


def measure(target: str, molecules: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train on a target, and return a row of results."""
    files = data_files()
    rows = split(count_rows(files), molecules)
    rows = rows._replace(test=rows.test[: options.test])
    chosen = read_molecules(files, np.concatenate(rows), target)
    parts = [[chosen[i] for i in part] for part in rows]
    folder = RUNS / f"{target}_{molecules}_{options.seed}"
    epochs = options.epochs or EPOCHS.get(molecules, 15)
    resume = bool(list((folder / "checkpoints").glob("*.ckpt")))
    model = train(
        network(),
        settings(epochs, options),
        *parts[:2],
        folder,
        resume=resume and not options.again,
        overwrite=options.again or not resume,
        progress=sys.stderr.isatty(),
    )
    errors = total_errors(model, parts[2])
    done = model.provenance
    return {
        "target": target,
        "molecules": molecules,
        "validation": len(parts[1]),
        "test": len(parts[2]),
        "mae_mev": 1000 * float(np.abs(errors).mean()),
        "rmse_mev": 1000 * float(np.sqrt((errors**2).mean())),
        "median_mev": 1000 * float(np.median(np.abs(errors))),
        "weights": model.num_weights,
        "best_epoch": done["epoch"],
        "hours": done["training_seconds"] / 3600,
        "seed": options.seed,
        "train": done["train"],
        "hardware": hardware(options.threads),
    }


def network() -> AllegroConfig:
    return AllegroConfig(
        ELEMENTS,
        cutoff=5.0,
        l_max=2,
        num_layers=1,
        num_scalar_features=64,
        num_tensor_features=32,
        two_body_width=128,
        latent_depth=2,
        latent_width=128,
    )


def settings(epochs: int, options: argparse.Namespace) -> TrainConfig:
    return TrainConfig(
        seed=options.seed,
        max_epochs=epochs,
        max_hours=options.hours,
        batch_size=16,
        optimizer="muon",
        learning_rate=0.005,
        momentum=0.95,
        weight_decay=0.01,
        warmup_steps=100,
        final_rate=0.0,
        energy_weight=1.0,
        forces_weight=0.0,
        energy_loss="huber",
        energy_per_atom=False,
        huber_delta=0.01,
    )


def total_errors(model: Model, structures: list[Structure]) -> np.ndarray:
    """Errors of the energies of whole molecules, eV."""
    arrays = evaluate(model, structures, batch_size=32, distances=torch.float32)[
        "arrays"
    ]
    sizes = np.array([len(s) for s in structures])
    return (arrays["energy_prediction"] - arrays["energy_reference"]) * sizes


def data_files() -> list[Path]:
    package = importlib.util.find_spec("qm9pack")
    if package is None:
        raise SystemExit(
            "expected QM9 in the package qm9pack, found none; pip install "
            "qm9pack==1.0.3"
        )
    folder = Path(package.submodule_search_locations[0]) / "data"
    return sorted(folder.glob("qm9_part*.csv"))


def count_rows(files: list[Path]) -> int:
    """Count the molecules of files, which have a line of titles each."""
    count = 0
    for file in files:
        with open(file, "rb") as lines:
            count += sum(1 for _ in lines) - 1
    return count


def split(count: int, molecules: int) -> Split:
    """Nested training sets, and the same test set for all of them."""
    order = np.random.default_rng(0).permutation(count)
    first, second = SIZES
    held_out = min(max(molecules // 10, 200), second)
    return Split(
        order[:molecules],
        order[first : first + held_out],
        order[first + second :],
    )


def read_molecules(
    files: list[Path], rows: np.ndarray, target: str
) -> dict[int, Structure]:
    """Molecules with a target as their energy (eV), by row."""
    wanted, column = {int(row) for row in rows}, COLUMNS[target]
    hartree = ENERGY_UNITS_IN_EV["hartree"]
    found: dict[int, Structure] = {}
    index = -1
    for file in files:
        with open(file, newline="") as text:
            for row in csv.DictReader(text):
                index += 1
                if index not in wanted:
                    continue
                numbers = row["XYZ_Ang"].replace("[", " ").replace("]", " ")
                positions = np.array(numbers.replace(",", " ").split(), dtype=float)
                symbols = row["Elements"].strip("[]").replace("'", "").split(",")
                found[index] = Structure(
                    tuple(symbol.strip() for symbol in symbols),
                    positions.reshape(-1, 3),
                    np.zeros((3, 3)),
                    np.zeros(3, dtype=bool),
                    energy=float(row[column]) * hartree,
                    source=row["XYZ_file"],
                )
    return found


def read_results() -> dict[str, dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def keep(key: str, row: dict[str, Any]) -> None:
    results = read_results() | {key: row}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """Print MAE in meV by target and number of molecules, and the learning curve."""
    print("\nQM9, MAE of the test molecules (meV)\n")
    print(f"| training molecules | {' | '.join(COLUMNS)} | epochs | hours of U0 |")
    print("|---" * (len(COLUMNS) + 3) + "|")
    sizes = sorted({row["molecules"] for row in results.values()})
    for size in sizes:
        rows = [results.get(f"{target} {size}") for target in COLUMNS]
        cells = ["" if row is None else f"{row['mae_mev']:.1f}" for row in rows]
        known = next(row for row in rows if row is not None)
        cells += [str(known["best_epoch"] + 1), f"{known['hours']:.2f}"]
        print(f"| {size:,} | {' | '.join(cells)} |")
    for name, row in PUBLISHED.items():
        values = " | ".join(str(row[target]) for target in COLUMNS)
        print(f"| 110,000 ({name}, published) | {values} | | |")
    curve = sorted(
        (row["molecules"], row["mae_mev"])
        for row in results.values()
        if row["target"] == "U0"
    )
    if len(curve) > 1:
        print_curve(curve)


def print_curve(curve: list[tuple[int, float]]) -> None:
    """Print a power law through the errors of U0, and what it gives for 110,000."""
    sizes, errors = np.log(np.array(curve)).T
    slope, begin = np.polyfit(sizes, errors, 1)
    value = math.exp(begin + slope * math.log(SIZES[0]))
    print(
        f"\nU0: error ~ N^{slope:.2f} through {len(curve)} sizes. Extrapolated, not "
        f"trained: {value:.1f} meV for {SIZES[0]:,} molecules."
    )


if __name__ == "__main__":
    main()
