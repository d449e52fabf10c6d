# SPDX-License-Identifier: MIT
"""Find the density of the liquid from runs of npt.py, and check it with the data.

    python systems/ec_emc/density.py runs/ec_emc_npt runs/ec_emc_npt2 [--data ...]

The pressure of the molecules in the frames of a run, as a function of the density, is
the model's equation of state: frames of one volume sample that volume. The labels'
pressures less the model's, times the compressibility, tell how far the model's density
is from that of its training data.
"""

import argparse
import json
from pathlib import Path

import ase
import mdtraj
import numpy as np
from build_box import find_molecules
from pressure import FILES, KBAR, inside_stress, pressures, trace_pressure
from pymbar.timeseries import statistical_inefficiency_multiple

from openmm_allegro.analysis import compressibility
from openmm_allegro.analysis.statistics import (
    Estimate,
    jackknife,
    student_factor,
    sum_blocks,
)
from openmm_allegro.interop.ase import AllegroCalculator

FOLDER = Path(__file__).parent
BLOCK = 10.0  # ps
DALTON_PER_NM3 = 1.66053907e-3  # in g/cm³


def read_run(prefix):
    """Read time (ps), density (g/cm³), volume (nm³) and temperature (K) of a run."""
    table = np.genfromtxt(f"{prefix}.csv", delimiter=",", names=True)
    names = ("Time", "Density", "Box_Volume", "Temperature")
    return [
        table[next(n for n in table.dtype.names if n.startswith(name))]
        for name in names
    ]


def mean_density(series):
    """Average over runs, with the error by their common correlation time.

    Returns the estimate and the statistical inefficiency in values.
    """
    inefficiency = statistical_inefficiency_multiple(series)
    values = np.concatenate(series)
    independent = max(len(values) / inefficiency, 2.0)
    error = student_factor(independent) * values.std(ddof=1) / independent**0.5
    return Estimate(float(values.mean()), float(error)), float(inefficiency)


def describe_run(prefix, discard):
    """Summarise the kept part of a run; return it and the first index kept."""
    time, density, volume, kelvin = read_run(prefix)
    start = int(np.searchsorted(time, discard))
    count = max(round((time[-1] - time[start]) / BLOCK), 1)
    result = {
        "run": Path(prefix).name,
        "ps": float(time[-1]),
        "density_g_cm3": float(density[start:].mean()),
        "block_means_g_cm3": [
            float(block.mean()) for block in np.array_split(density[start:], count)
        ],
        "fluctuation_g_cm3": float(density[start:].std()),
        "temperature_k": float(kelvin[start:].mean()),
        "accepted_volume_moves": float((np.diff(volume) != 0).mean()),
    }
    return result, start


def molecular_pressure(frame, kelvin=300.0):
    """Compute the pressure of molecules: their mean motion and their forces, kbar.

    ``frame`` has a calculator.
    """
    ideal = len(find_molecules(frame)[0]) * ase.units.kB * kelvin / frame.get_volume()
    between = frame.get_stress(voigt=False) - inside_stress(frame)
    return ideal * KBAR + trace_pressure(between)


def equation_of_state(prefix, start, model, stride):
    """Find density (g/cm³) and pressure (kbar) of every ``stride``-th frame."""
    trajectory = mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")[start::stride]
    symbols = [atom.element.symbol for atom in trajectory.topology.atoms]
    calculator = AllegroCalculator(model)
    densities, values = [], []
    for positions, cell in zip(
        trajectory.xyz, trajectory.unitcell_vectors, strict=True
    ):
        frame = ase.Atoms(symbols, 10.0 * positions, cell=10.0 * cell, pbc=True)
        frame.calc = calculator
        mass = frame.get_masses().sum()
        densities.append(mass / frame.get_volume() * 1e3 * DALTON_PER_NM3)
        values.append(molecular_pressure(frame))
    return np.array(densities), np.array(values)


def line(densities, values, center):
    """Fit a straight line: pressure at a density, and slope there, with errors."""
    x = densities - center
    terms = np.stack([np.ones_like(x), x, values, x * x, x * values], axis=1)
    sums = sum_blocks(terms, 10)

    def fit(total):
        n, sx, sy, sxx, sxy = total
        slope = (n * sxy - sx * sy) / (n * sxx - sx * sx)
        return np.array([(sy - slope * sx) / n, slope])

    value, error = jackknife(fit, sums)
    return [Estimate(*map(float, pair)) for pair in zip(value, error, strict=True)]


def label_less_model(paths, model):
    """Subtract the model's pressures (kbar) from the labels', by temperature."""
    calculator = AllegroCalculator(model)
    frames = [frame for path in paths for frame in ase.io.read(path, ":")]
    rows = np.array([pressures(frame, calculator) for frame in frames])
    kelvin, excess = rows[:, 0], rows[:, 2] - rows[:, 6]
    return {
        f"{t:.0f}": [excess[kelvin == t].mean(), excess[kelvin == t].std()]
        for t in np.unique(kelvin)
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", help="prefixes")
    parser.add_argument("--model", type=Path, default=FOLDER / "ec_emc.safetensors")
    parser.add_argument("--data", type=Path, nargs="*", default=FILES)
    parser.add_argument("--discard", type=float, default=5.0, help="first ps of each")
    parser.add_argument("--stride", type=int, default=8, help="of frames")
    parser.add_argument("--json", type=Path, help="write the numbers there")
    options = parser.parse_args()

    runs, densities, volumes, points = [], [], [], []
    for prefix in options.runs:
        run, start = describe_run(prefix, options.discard)
        runs.append(run)
        time, density, volume, _ = read_run(prefix)
        densities.append(density[start:])
        volumes.append(volume[start:])
        points.append(equation_of_state(prefix, start, options.model, options.stride))
    density, inefficiency = mean_density(densities)
    kappa = compressibility(np.concatenate(volumes), 300.0)
    pressure, slope = line(*np.concatenate(points, axis=1), density.value)
    result = {
        "runs": runs,
        "discarded_ps_each": options.discard,
        "density_g_cm3": density,
        "ps_between_independent_values": inefficiency * float(time[1] - time[0]),
        "compressibility_per_kbar": [1e3 * x for x in kappa],
        "pressure_at_that_density_kbar": pressure,
        "slope_of_pressure_kbar_cm3_g": slope,
        "slope_from_compressibility": 1e-3 / (kappa.value * density.value),
    }
    if options.data:
        by_kelvin = label_less_model(options.data, options.model)
        means = np.array([mean for mean, _ in by_kelvin.values()])
        shift = -density.value * 1e3 * kappa.value * means
        result |= {
            "label_less_model_kbar_by_kelvin": by_kelvin,
            "density_shift_that_says_g_cm3": [shift.mean(), shift.std(ddof=1)],
        }
    text = json.dumps(rounded(result), indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def rounded(value):
    """Round numbers to five digits."""
    if isinstance(value, dict):
        return {key: rounded(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
