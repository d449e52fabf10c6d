# SPDX-License-Identifier: MIT
"""Measure stability, temperature and structure in 20 ps of NVT of aqueous NaCl.

Runs systems/nacl_aq at 300 K and 0.5 fs. Then it checks the temperature against its
statistical error, every O-H bond in every frame, and g(r) against that of the reference
frames. Writes results/nacl_nvt.json and .png beside this file.

python benchmarks/nacl_nvt.py [--steps 40000] [--threads 1] [--backend auto] [--reuse]
"""

import argparse
import json
from pathlib import Path

import mdtraj
import numpy as np
from blocks import block_error
from hardware import add_backend, hardware, use_threads
from matplotlib.figure import Figure
from openmm import app, unit

from openmm_allegro import AllegroPotential, run
from openmm_allegro.analysis import coordination_number, diffusion, rdf
from openmm_allegro.runs.names import SUFFIXES

ROOT = Path(__file__).parents[1]
SYSTEM = ROOT / "systems" / "nacl_aq"
TARGET = 300.0  # K
LONGEST_BOND = 1.3  # Å; a longer O-H bond of water is broken
SHELLS = {"O-O": 0.36, "Na-O": 0.335, "Cl-O": 0.41}  # nm, first minima of g(r)
PAIRS = tuple(SHELLS)


def first_peak(r: np.ndarray, g: np.ndarray) -> float:
    """Find the position of the largest g(r) by a parabola through three points."""
    i = int(np.argmax(g))
    a, b, _ = np.polyfit(r[i - 1 : i + 2], g[i - 1 : i + 2], 2)
    return float(-b / (2 * a))


def draw(curves: dict, reference: np.ndarray, energies: np.ndarray, path: Path) -> None:
    """Draw g(r) over the reference's, and the temperature."""
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(2, 1))
    for column, pair in enumerate(PAIRS):
        axes = figure.add_subplot(grid[0, column])
        name = pair.replace("-", "")
        axes.plot(
            reference["r_nm"] * 10, reference[name], "k--", lw=1, label="DFT frames"
        )
        r, g = curves[pair]
        axes.plot(r * 10, g, lw=1.6, label="Allegro in OpenMM, NVT")
        axes.axhline(1, color="0.85", lw=0.8, zorder=0)
        axes.set(xlabel="r (Å)", ylabel=f"g(r) {pair.replace('-', '–')}", xlim=(2, 6.2))
        axes.set_ylim(0, None)
        if column == 0:
            axes.legend(frameon=False, fontsize=9)
    axes = figure.add_subplot(grid[1, :])
    axes.plot(energies[:, 1], energies[:, 5], lw=0.6, color="C1")
    axes.axhline(TARGET, color="k", lw=0.8)
    axes.set(xlabel="time (ps)", ylabel="temperature (K)", xlim=(0, energies[-1, 1]))
    figure.savefig(path, dpi=180)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=40_000)
parser.add_argument("--threads", type=int, default=1)
add_backend(parser)
parser.add_argument("--reuse", action="store_true", help="analyse the last run again")
parser.add_argument("--output", type=Path, default=ROOT / "runs" / "nacl_nvt" / "nvt")
parser.add_argument(
    "--results", type=Path, default=Path(__file__).parent / "results" / "nacl_nvt.json"
)
options = parser.parse_args()
use_threads(options.threads)

paths = {name: Path(f"{options.output}{end}") for name, end in SUFFIXES.items()}
if not options.reuse:
    pdb = app.PDBFile(str(SYSTEM / "nacl_aq.pdb"))
    potential = AllegroPotential(SYSTEM / "nacl_aq.safetensors")
    run(
        pdb.topology,
        pdb.positions,
        potential.create_system(pdb.topology, backend=options.backend),
        options.output,
        steps=options.steps,
        temperature=TARGET * unit.kelvin,
        timestep=0.5 * unit.femtosecond,
        report_interval=20,
        platform="CPU",
        threads=options.threads,
        seed=2,
        overwrite=True,
    )

trajectory = mdtraj.load(paths["trajectory"], top=paths["topology"])
energies = np.genfromtxt(paths["energies"], delimiter=",", skip_header=1)
later = slice(len(energies) // 10, None)  # the first tenth is equilibration
kelvin = energies[later, 5]
bonds = np.array([[b[0].index, b[1].index] for b in trajectory.topology.bonds])
lengths = mdtraj.compute_distances(trajectory, bonds, periodic=True) * 10
reference = np.genfromtxt(SYSTEM / "reference_rdf.csv", delimiter=",", names=True)

result = {
    "hardware": hardware(options.threads),
    "model": "systems/nacl_aq/nacl_aq.safetensors",
    "run": json.loads(paths["record"].read_text()),
    "temperature_k": {
        "mean": float(kelvin.mean()),
        "standard_error": block_error(kelvin, 10),
        "target": TARGET,
    },
    "oh_bonds": {
        "count": len(bonds),
        "longest_angstrom": float(lengths.max()),
        "mean_angstrom": float(lengths.mean()),
        "broken": int((lengths.max(axis=0) > LONGEST_BOND).sum()),
    },
    "first_peaks_angstrom": {},
    "coordination": {},
    "diffusion_cm2_per_s": {},
}
curves = {}
for pair in PAIRS:
    selections = [f"element {element}" for element in pair.split("-")]
    curves[pair] = r, g = rdf(
        trajectory[later], *selections, r_max=0.62, bin_width=0.01
    )
    expected = reference[pair.replace("-", "")]
    result["first_peaks_angstrom"][pair] = {
        "simulation": 10 * first_peak(r, g),
        "reference_frames": 10 * first_peak(reference["r_nm"], expected),
        "integrated_absolute_difference_angstrom": float(
            np.trapezoid(np.abs(np.interp(reference["r_nm"], r, g) - expected))
            * (reference["r_nm"][1] - reference["r_nm"][0])
            * 10
        ),
    }
    shell = coordination_number(trajectory[later], *selections, r_max=SHELLS[pair])
    result["coordination"][pair] = {
        "number": float(shell.number),
        "r_max_angstrom": float(shell.r_max * 10),
    }
for element in ("O", "Na", "Cl"):
    d = diffusion(trajectory[later], f"element {element}")
    result["diffusion_cm2_per_s"][element] = [float(d.coefficient), float(d.error)]
options.results.parent.mkdir(parents=True, exist_ok=True)
options.results.write_text(json.dumps(result, indent=2) + "\n")
draw(curves, reference, energies, options.results.with_suffix(".png"))
print(json.dumps(result, indent=2))
