# SPDX-License-Identifier: MIT
"""Measure what makes a model of 3BPA at 300 K hold at 1200 K.

    python benchmarks/accuracy/extrapolation.py             # rows without a result
    python benchmarks/accuracy/extrapolation.py --only "4 Bessel functions" --again
    python benchmarks/accuracy/extrapolation.py --table

Each row is a training of search/bpa.toml, a small network, that differs in the values
of ``VARIANTS``: 40 epochs on one thread. The test errors are beside a decomposition
of those at 1200 K. A bond is outside if it is more than 0.02 Å longer or shorter than
in any training frame. ``pull`` and ``push`` are the mean errors (meV/Å) of the force
along those bonds: positive where long ones pull and short ones push too weakly.
Results: ``extrapolation.json``, a row for each variant, which stays when the script is
run again. Data: see prepare.py.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import molecules
import numpy as np
import torch
from hardware import hardware

from openmm_allegro.modelfile import Model
from openmm_allegro.structure import Structure
from openmm_allegro.topology.elements import covalent_radii
from openmm_allegro.training.data import read_data, read_labelled
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.train import train
from openmm_allegro.utils.config import read_toml
from openmm_allegro.utils.process import keep_freed_memory

RESULTS = molecules.HERE / "extrapolation.json"
BASE = molecules.HERE / "search" / "bpa.toml"
RUNS = Path("runs/accuracy/extrapolation")
OUTSIDE = 0.02  # Å
BONDED = 1.3  # of the sum of covalent radii
CORE = {"zbl": True, "core_rates": (0.5, 1.0, 2.0, 3.0, 4.0, 6.0)}
LINEAR = {"latent_nonlinearity": "none", "readout_nonlinearity": "none"}
VARIANTS: dict[str, dict[str, Any]] = {
    "8 Bessel functions": {},
    "4 Bessel functions": {"num_bessels": 4},
    "linear latents and readout": LINEAR,
    "linear, 4 Bessel functions": LINEAR | {"num_bessels": 4},
    "ZBL": {"zbl": True},
    "fitted core": CORE,
    "fitted core, 4 Bessel functions": CORE | {"num_bessels": 4},
}


class Bonds(NamedTuple):
    """Bonds of a molecule, and their lengths in the training frames."""

    first: np.ndarray  # [B]
    second: np.ndarray  # [B]
    shortest: np.ndarray  # [B] Å
    longest: np.ndarray  # [B] Å


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, metavar="NAME")
    parser.add_argument("--again", action="store_true", help="also those with results")
    parser.add_argument("--table", action="store_true", help="print results alone")
    options = parser.parse_args()
    if not options.table:
        torch.set_num_threads(1)
        keep_freed_memory()
        for name in options.only or VARIANTS:
            if options.again or name not in _results():
                row = _measure(name)
                results = _results() | {name: row}  # another process may have written
                lines = (
                    f" {json.dumps(n)}: {json.dumps(r)}" for n, r in results.items()
                )
                RESULTS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    _print_table(_results())


def _results() -> dict[str, dict]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def _measure(name: str) -> dict:
    config = read_toml(BASE, molecules.TABLES)
    training, validation, record = read_data(config["data"], BASE.parent)
    network = dataclasses.replace(config["model"], **VARIANTS[name])
    started = time.process_time()
    output = RUNS / name.replace(" ", "_").replace(",", "")
    sets = training, validation
    model = train(
        network, config["train"], *sets, output, overwrite=True, provenance=record
    )
    seconds = time.process_time() - started
    bonds = _bonds(training)
    row: dict[str, Any] = {"weights": model.num_weights, "processor_s": round(seconds)}
    for file in config["data"].test:
        structures = read_labelled([BASE.parent / file])
        part = Path(file).stem.removeprefix("3bpa_test_")
        row[part] = _errors(model, structures, bonds)
    return row | {"hardware": hardware(1)}


def _bonds(structures: list[Structure]) -> Bonds:
    """Pairs of atoms that are close in the mean over all frames."""
    first, second = np.triu_indices(len(structures[0]), 1)
    lengths = _lengths(structures, first, second)
    radii = np.array(covalent_radii(structures[0].symbols))
    bonded = lengths.mean(0) < BONDED * (radii[first] + radii[second])
    shortest, longest = lengths.min(0), lengths.max(0)
    return Bonds(*(x[bonded] for x in (first, second, shortest, longest)))


def _lengths(
    structures: list[Structure], first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    positions = np.array([s.positions for s in structures])
    return np.linalg.norm(positions[:, second] - positions[:, first], axis=-1)


def _errors(model: Model, structures: list[Structure], bonds: Bonds) -> dict:
    """RMSE in meV and meV/Å, and what bonds outside have to do with it."""
    arrays = evaluate(model, structures)["arrays"]
    count, atoms = len(structures), len(structures[0])
    energy = arrays["energy_prediction"] - arrays["energy_reference"]
    forces = arrays["forces_prediction"] - arrays["forces_reference"]
    forces = 1000 * forces.reshape(count, atoms, 3)
    lengths = _lengths(structures, bonds.first, bonds.second)
    long = lengths > bonds.longest + OUTSIDE
    short = lengths < bonds.shortest - OUTSIDE
    outside = np.zeros((count, atoms), bool)
    frames, which = np.nonzero(long | short)
    outside[frames, bonds.first[which]] = True
    outside[frames, bonds.second[which]] = True

    positions = np.array([s.positions for s in structures])
    along = positions[:, bonds.second] - positions[:, bonds.first]
    along /= lengths[..., None]
    between = forces[:, bonds.second] - forces[:, bonds.first]
    parting = 0.5 * (between * along).sum(-1)  # error of the force that parts, meV/Å
    return {
        "energy_rmse_mev": 1000 * atoms * _rms(energy),
        "forces_rmse": _rms(forces),
        "median_frame": float(np.median(np.sqrt((forces**2).mean((1, 2))))),
        "atoms_outside": float(outside.mean()),
        "forces_rmse_outside": _rms(forces[outside]),
        "forces_rmse_inside": _rms(forces[~outside]),
        "pull": float(parting[long].mean()) if long.any() else None,
        "push": float(-parting[short].mean()) if short.any() else None,
    }


def _rms(values: np.ndarray) -> float | None:
    return float(np.sqrt((values**2).mean())) if values.size else None


def _print_table(results: dict[str, dict]) -> None:
    print(
        "| | 300 K | 600 K | 1200 K | median frame | bonds outside / inside | "
        "pull | push | s |"
    )
    print("|---" * 9 + "|")
    for name in VARIANTS:
        if name not in results:
            continue
        row = results[name]
        cells = [
            f"{row[t]['energy_rmse_mev']:.1f} / {row[t]['forces_rmse']:.1f}"
            for t in ("300K", "600K", "1200K")
        ]
        hot = row["1200K"]
        cells.append(f"{hot['median_frame']:.0f}")
        cells.append(
            f"{hot['forces_rmse_outside']:.0f} / {hot['forces_rmse_inside']:.0f}"
        )
        cells += [f"{hot['pull']:+.0f}", f"{hot['push']:+.0f}", row["processor_s"]]
        print(f"| {name} | " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
