# SPDX-License-Identifier: MIT
"""Evaluate the LGPS model on cells of 50 atoms, like its training data, and of 400.

    python systems/lgps/evaluate.py

Writes ``metrics.json`` (50 atoms), ``metrics_400atoms.json`` and ``parity.png``, which
shows both sizes. Data: see README.md.
"""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from openmm_allegro import load_model, read_structures
from openmm_allegro.training.evaluate import evaluate

HERE = Path(__file__).parent
SETS = {"test_50atoms": "metrics.json", "test_400atoms": "metrics_400atoms.json"}
LABELS = {"test_50atoms": "50 atoms", "test_400atoms": "400 atoms"}
UNITS = {"energy": "meV/atom", "forces": "meV/Å", "stress": "meV/Å³"}
COLORS = {"test_50atoms": "C0", "test_400atoms": "C1"}


def main() -> None:
    model = load_model(HERE / "lgps.safetensors")
    results = {}
    for name, target in SETS.items():
        structures = read_structures(HERE / "data" / f"{name}.extxyz")
        results[name] = evaluate(model, structures)
        metrics = results[name]["metrics"]
        (HERE / target).write_text(json.dumps(metrics, indent=2) + "\n")
        numbers = [
            f"{quantity} MAE {metrics[f'{quantity}_mae']:.3g}, RMSE "
            f"{metrics[f'{quantity}_rmse']:.3g} {unit}"
            for quantity, unit in UNITS.items()
        ]
        print(f"{name}, {len(structures)} frames:", "; ".join(numbers))
    _plot(results)


def _plot(results: dict) -> None:
    figure = Figure(figsize=(12, 4), layout="constrained")
    axes = figure.subplots(1, 3)
    scales = {"energy": 1000.0, "forces": 1.0, "stress": 1000.0}
    labels = {
        "energy": "energy − mean of the set (meV/atom)",
        "forces": "force (eV/Å)",
        "stress": "stress (meV/Å³)",
    }
    random = np.random.default_rng(0)
    for ax, (quantity, scale) in zip(axes, scales.items(), strict=True):
        for name, result in results.items():
            arrays = result["arrays"]
            reference = arrays[f"{quantity}_reference"].ravel()
            prediction = arrays[f"{quantity}_prediction"].ravel()
            if quantity == "energy":  # relative to the set's mean
                prediction = prediction - reference.mean()
                reference = reference - reference.mean()
            if len(reference) > 20_000:
                kept = random.choice(len(reference), 20_000, replace=False)
                reference, prediction = reference[kept], prediction[kept]
            rmse = result["metrics"][f"{quantity}_rmse"]
            ax.plot(
                scale * reference,
                scale * prediction,
                "o",
                ms=2.5,
                mew=0,
                alpha=0.3,
                color=COLORS[name],
                label=f"{LABELS[name]}: RMSE {rmse:.3g} {UNITS[quantity]}",
                rasterized=True,
            )
        limits = ax.get_xlim()
        ax.plot(limits, limits, color="0.6", lw=0.8, zorder=0)
        ax.set(
            xlabel=f"PBE {labels[quantity]}",
            ylabel=f"Allegro {labels[quantity]}",
            box_aspect=1,
        )
        ax.legend(frameon=False, markerscale=2)
    figure.savefig(HERE / "parity.png", dpi=170)


if __name__ == "__main__":
    main()
