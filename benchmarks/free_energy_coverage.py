# SPDX-License-Identifier: MIT
"""Count how often errors of free energy surfaces hold the truth, over seeds.

A particle moves without inertia in a double well with a barrier of 14 kJ/mol at 300 K:
in umbrella windows, under a bias that flattens the well to a part, and under
well-tempered metadynamics with several bias factors. Value ± error of -RT ln p should
hold the exact mean of each bin 68 times in 100. Prints a table and writes
results/free_energy_coverage.json beside this file.

python benchmarks/free_energy_coverage.py [--seeds 40]
"""

import argparse
import json
from pathlib import Path

import numpy as np
from hardware import hardware

from openmm_allegro.analysis import (
    Axis,
    Hills,
    bias_offsets,
    combine_windows,
    hills_surface,
    reweighted_surface,
)
from openmm_allegro.units import GAS_CONSTANT

KELVIN = 300.0
RT = GAS_CONSTANT * KELVIN
STEP = 2e-4
AXIS = Axis("x", "", np.linspace(-1.5, 1.5, 31))
INNER = slice(2, 28)  # bins that all methods visit
WIDE = Axis("x", "", np.linspace(-2.0, 2.0, 81))


def well(x):
    return 12.0 * (x * x - 1) ** 2 + 2 * x


def slope(x):
    return 48.0 * x * (x * x - 1) + 2


def exact():
    """-RT ln of the mean density in each bin, normalised over the axis."""
    points = np.linspace(-1.5, 1.5, 30001)
    density = np.exp(-well(0.5 * (points[1:] + points[:-1])) / RT)
    density = density.reshape(30, -1).mean(axis=1)
    return -RT * np.log(density / density.sum() / AXIS.width)


def move(x, force, random):
    """One step without inertia."""
    return x + STEP * force + np.sqrt(2 * RT * STEP) * random.standard_normal(len(x))


def windows(seeds, steps):
    """Surfaces of 14 umbrella windows each."""
    centers, constant = np.linspace(-1.3, 1.3, 14), 150.0
    random = np.random.default_rng(0)
    at = np.tile(centers, seeds)
    x, paths = at.copy(), []
    for number in range(steps):
        x = move(x, -slope(x) - constant * (x - at), random)
        if number % 10 == 0 and number > 1000:
            paths.append(x)
    paths = np.array(paths).reshape(-1, seeds, len(centers))
    for seed in range(seeds):
        runs = [column[:, None] for column in paths[:, seed].T]
        energies = [0.5 * constant * (run - centers) ** 2 for run in runs]
        yield combine_windows(runs, energies, (AXIS,), KELVIN).surface


def flattened(seeds, steps):
    """Surfaces of runs on 0.3 of the well, weighted."""
    random, x, paths = np.random.default_rng(1), np.full(seeds, -1.0), []
    for number in range(steps):
        x = move(x, -0.3 * slope(x), random)
        if number % 20 == 0 and number > 5000:
            paths.append(x)
    for path in np.array(paths).T:
        logs = [-0.7 * well(path) / RT]
        yield reweighted_surface([path[:, None]], (AXIS,), KELVIN, log_weights=logs)


def metadynamics(seeds, steps, factor):
    """Surfaces of metadynamics, by hills and by weights."""
    width, pace, grid = 0.08, 50, np.linspace(-2.2, 2.2, 441)
    spacing, rows = grid[1] - grid[0], np.arange(seeds)
    bias, x = np.zeros((seeds, len(grid))), np.full(seeds, -1.0)
    random, paths, energies, centers, heights = np.random.default_rng(2), [], [], [], []
    for number in range(1, steps + 1):
        at = np.clip((x - grid[0]) / spacing, 0, len(grid) - 1.001)
        low = at.astype(int)
        left, right = bias[rows, low], bias[rows, low + 1]
        energy = left + (at - low) * (right - left)
        if number % 10 == 0:
            paths.append(x)
            energies.append(energy)
        force = -slope(x) - (right - left) / spacing
        if number % pace == 0:
            hill = np.exp(-energy / (RT * (factor - 1)))
            gaussian = np.exp(-0.5 * ((grid - x[:, None]) / width) ** 2)
            bias += hill[:, None] * gaussian
            centers.append(x)
            heights.append(hill)
        x = move(x, force, random)
    paths, energies, centers, heights = map(
        np.array, (paths, energies, centers, heights)
    )
    before = (np.arange(len(paths)) * 10 + 9) // pace  # hills at each sample
    half = len(paths) // 2
    by_hills, by_weights = [], []
    for k in range(seeds):
        widths = np.full((len(centers), 1), width)
        hills = Hills(centers[:, k, None], widths, heights[:, k], factor)
        by_hills.append(hills_surface(hills, (AXIS,), KELVIN))
        offsets = bias_offsets(hills, (WIDE,), KELVIN)[before]
        logs = ((energies[:, k] - offsets) / RT)[half:]
        run = [paths[half:, k, None]]
        by_weights.append(reweighted_surface(run, (AXIS,), KELVIN, log_weights=[logs]))
    return by_hills, by_weights


def summary(surfaces):
    """Coverage, root mean square deviation and mean error over bins and seeds."""
    truth, inside, away, errors, independent = exact(), [], [], [], []
    for surface in surfaces:
        density = np.exp(-surface.values / RT)
        values = surface.values + RT * np.log(np.nansum(density) * AXIS.width)
        away.append((values - truth)[INNER])
        errors.append(surface.errors[INNER])
        inside.append(np.abs(away[-1]) < errors[-1])
        independent.append(surface.independent)
    return {
        "surfaces": len(away),
        "coverage": float(np.mean(inside)),
        "deviation_kj_mol": float(np.sqrt(np.nanmean(np.square(away)))),
        "error_kj_mol": float(np.nanmean(errors)),
        "independent": float(np.mean(independent)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    options = parser.parse_args()
    seeds, results = options.seeds, {}
    results["windows"] = summary(windows(seeds, 12000))
    results["fixed bias, weights"] = summary(flattened(seeds, 200000))
    for factor in (4.0, 12.0):
        names = [f"metadynamics γ = {factor:g}, {x}" for x in ("hills", "weights")]
        for name, found in zip(names, metadynamics(seeds, 200000, factor), strict=True):
            results[name] = summary(found)
    for name, row in results.items():
        print(
            f"{name:32s} coverage {row['coverage']:.2f}, deviation "
            f"{row['deviation_kj_mol']:.2f}, error {row['error_kj_mol']:.2f} kJ/mol, "
            f"{row['independent']:.0f} independent values"
        )
    path = Path(__file__).parent / "results" / "free_energy_coverage.json"
    content = {"seeds": seeds, "hardware": hardware(1), "results": results}
    path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
