# SPDX-License-Identifier: MIT
"""Run NVT of aqueous NaCl with a trained Allegro model, then analyse the structure.

python examples/01_nacl_nvt.py --output runs/demo [--steps 20000] [--force] [--quick]
"""

import argparse
from pathlib import Path

import mdtraj
import numpy as np
from openmm import app, unit

from openmm_allegro import AllegroPotential, analysis, run

SYSTEM = Path(__file__).parents[1] / "systems" / "nacl_aq"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("runs/demo"))
parser.add_argument("--steps", type=int, default=5000, help="of 0.5 fs")
parser.add_argument("--force", action="store_true", help="replace existing output")
parser.add_argument("--quick", action="store_true", help="some steps only, for a test")
options = parser.parse_args()

potential = AllegroPotential(SYSTEM / "nacl_aq.safetensors")
pdb = app.PDBFile(str(SYSTEM / "nacl_aq.pdb"))
system = potential.create_system(pdb.topology)
paths = run(
    pdb.topology,
    pdb.positions,
    system,
    options.output / "nvt",
    steps=40 if options.quick else options.steps,
    temperature=300 * unit.kelvin,
    timestep=0.5 * unit.femtosecond,
    report_interval=2 if options.steps < 1000 or options.quick else 10,
    overwrite=options.force,
)

trajectory = mdtraj.load(paths["trajectory"], top=paths["topology"])
trajectory = trajectory[trajectory.n_frames // 4 :]  # the start is not equilibrated
curves, shells, reference = {}, {}, {}
table = np.genfromtxt(SYSTEM / "reference_rdf.csv", delimiter=",", names=True)
print(f"\n{trajectory.n_frames} frames, {trajectory.time[-1]:.2f} ps in all")
for pair in ("Na-O", "Cl-O", "O-O"):
    selections = [f"element {element}" for element in pair.split("-")]
    curves[pair] = analysis.rdf(trajectory, *selections, bin_width=0.01)
    reference[pair] = analysis.RDF(table["r_nm"], table[pair.replace("-", "")])
    try:
        shells[pair] = analysis.coordination_number(trajectory, *selections)
    except ValueError as error:  # too short a run to have a clear first minimum
        print(f"{pair}: {error}")
        continue
    print(
        f"{pair:5s} first peak {shells[pair].r_peak * 10:.2f} Å (g = "
        f"{shells[pair].g_peak:.2f}), {shells[pair].number:.2f} neighbours within "
        f"{shells[pair].r_max * 10:.2f} Å"
    )
energies = np.genfromtxt(paths["energies"], delimiter=",", skip_header=1, ndmin=2)
kelvin = energies[:, 5]
print(f"temperature {kelvin[len(kelvin) // 4 :].mean():.1f} K")
if trajectory.time[-1] > 5:
    d = analysis.diffusion(trajectory, "element O")
    print(f"D(water) = {d.coefficient:.2g} ± {d.error:.1g} cm²/s")
figures = options.output / "rdf.png", options.output / "temperature.png"
analysis.plot_rdf(
    curves,
    figures[0],
    reference=reference,
    reference_name="frames of the DFT data",
    coordination=shells,
)
analysis.plot_temperature(energies[:, 1], kelvin, figures[1], target=300)
print("figures:", *figures)
