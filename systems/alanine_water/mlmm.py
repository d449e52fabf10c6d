# SPDX-License-Identifier: MIT
"""Run ML/MM of alanine in water and draw bonds over time and a Ramachandran plot.

python systems/alanine_water/mlmm.py --output runs/alanine [--steps 100000] [--force]
"""

import argparse
import json
from pathlib import Path

import matplotlib
import mdtraj
import numpy as np
from build_box import classical_system, solute_atoms
from matplotlib.figure import Figure
from openmm import app, unit

from openmm_allegro import AllegroPotential, run

FOLDER = Path(__file__).parent


def simulate(options):
    """Run NVT at 300 K from alanine_water.pdb; return the paths of the files."""
    pdb = app.PDBFile(str(options.start))
    mm_system = classical_system(pdb.topology)
    system = AllegroPotential(options.model).create_mixed_system(
        pdb.topology, mm_system, solute_atoms(pdb.topology)
    )
    return run(
        pdb.topology,
        pdb.positions,
        system,
        options.output,
        steps=options.steps,
        timestep=1 * unit.femtosecond,
        report_interval=min(50, options.steps),
        minimize=False,
        threads=options.threads,
        platform="CPU",
        seed=options.seed,
        overwrite=options.force,
    )


def bond_lengths(trajectory):
    """Measure the bonds: their names, and lengths [frames, bonds] in Å."""
    bonds = list(trajectory.topology.bonds)
    pairs = np.array([[a.index, b.index] for a, b in bonds])
    lengths = mdtraj.compute_distances(trajectory, pairs, periodic=False) * 10
    return [f"{a.residue.name}:{a.name}-{b.name}" for a, b in bonds], lengths


def drift(times, lengths):
    """Fit slopes of the lengths (Å/ns), with standard errors from ten blocks."""
    blocks = np.array([b.mean(0) for b in np.array_split(lengths, 10)])
    centers = np.array([b.mean() for b in np.array_split(times, 10)]) / 1000
    (slope, _), residual, *_ = np.polyfit(centers, blocks, 1, full=True)
    spread = ((centers - centers.mean()) ** 2).sum()
    return slope, np.sqrt(residual / (len(centers) - 2) / spread)


def plot(trajectory, times, names, lengths, path):
    """Draw a Ramachandran plot, and bonds between heavy atoms over time."""
    phi = np.degrees(mdtraj.compute_phi(trajectory)[1][:, 0])
    psi = np.degrees(mdtraj.compute_psi(trajectory)[1][:, 0])
    with matplotlib.rc_context({"font.size": 9, "axes.linewidth": 0.8}):
        figure = Figure(figsize=(7.2, 3.3), layout="constrained")
        left, right = figure.subplots(1, 2)
        points = left.scatter(phi, psi, s=5, c=times, cmap="viridis", linewidths=0)
        figure.colorbar(points, ax=left, label="time / ps", pad=0.02)
        left.set(xlim=(-180, 180), ylim=(-180, 180), xlabel="φ / °", ylabel="ψ / °")
        left.set(xticks=range(-180, 181, 90), yticks=range(-180, 181, 90))
        left.set_aspect("equal")
        window = max(1, len(times) // 100)
        kernel = np.ones(window) / window
        middle = np.convolve(times, kernel, "valid")
        for name, length in zip(names, lengths.T, strict=True):
            if "H" not in name.split(":")[1].replace("CH3", "C"):
                mean = np.convolve(length, kernel, "valid")
                right.plot(middle, mean, linewidth=0.8, label=name)
        right.set(xlabel="time / ps", ylabel="bond length / Å", xlim=(0, times[-1]))
        right.legend(
            fontsize=6, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
        )
        figure.savefig(path, dpi=200)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=FOLDER / "alanine.safetensors")
    parser.add_argument("--start", type=Path, default=FOLDER / "alanine_water.pdb")
    parser.add_argument("--output", type=Path, default=Path("runs/alanine"))
    parser.add_argument("--steps", type=int, default=100000, help="of 1 fs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--force", action="store_true", help="replace existing output")
    options = parser.parse_args()

    paths = simulate(options)
    topology = mdtraj.load_topology(paths["topology"])
    trajectory = mdtraj.load(
        paths["trajectory"], top=topology, atom_indices=topology.select("not water")
    )
    names, lengths = bond_lengths(trajectory)
    slopes, errors = drift(trajectory.time, lengths)
    worst = int(np.argmax(np.abs(slopes / errors)))
    plot(trajectory, trajectory.time, names, lengths, f"{options.output}.png")
    table = np.genfromtxt(paths["energies"], delimiter=",", names=True)
    result = {
        "ps": round(float(trajectory.time[-1]), 3),
        "temperature_k": round(float(table["Temperature_K"].mean()), 2),
        "longest_bond_A": round(float(lengths.max()), 3),
        "largest_drift_A_per_ns": round(float(slopes[worst]), 4),
        "its_standard_error": round(float(errors[worst]), 4),
        "its_bond": names[worst],
        "mean_lengths_A": {
            name: round(float(mean), 4)
            for name, mean in zip(names, lengths.mean(0), strict=True)
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
