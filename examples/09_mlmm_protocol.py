# SPDX-License-Identifier: MIT
"""Run ML/MM from a protocol: alanine dipeptide by a model, its water by Amber.

python examples/09_mlmm_protocol.py --output runs/mlmm [--steps 2000] [--quick]

What it writes is run by `openmm-allegro simulate runs/mlmm.toml --output runs/mlmm`. A
single run is

    openmm-allegro simulate MODEL PDB --region "not water" \\
        --forcefield amber14-all.xml,amber14/tip3pfb.xml --output runs/mlmm/nvt
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import mdtraj

from openmm_allegro.cli.main import main

SYSTEM = Path(__file__).parents[1] / "systems" / "alanine_water"
PROTOCOL = """\
[system]
topology = "{system}/alanine_water.pdb"
model = "{system}/alanine.safetensors"
forcefield = ["amber14-all.xml", "amber14/tip3pfb.xml"]
constraints = "h-bonds"  # of the force field; the region's bonds are the model's

[mixing]
region = "not water"

[run]
timestep_fs = 1.0
report_interval = {interval}

[[stages]]
name = "heat"
steps = {heat}
temperature_k = [100, 300]

[[stages]]
name = "nvt"
steps = {steps}
"""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("runs/mlmm"))
parser.add_argument("--steps", type=int, default=2000, help="of 1 fs")
parser.add_argument("--force", action="store_true", help="replace existing output")
parser.add_argument("--quick", action="store_true", help="some steps only, for a test")
options = parser.parse_args()

steps = 4 if options.quick else options.steps
path = options.output.with_suffix(".toml")
path.parent.mkdir(parents=True, exist_ok=True)
given = {"system": SYSTEM.resolve(), "steps": steps, "heat": steps // 2}
path.write_text(PROTOCOL.format(interval=max(1, min(10, steps // 4)), **given))
command = ["simulate", str(path), "--output", str(options.output)]
if main(command + ["--force"] * options.force):
    raise SystemExit(2)

prefix = options.output / "2-nvt"
trajectory = mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")
topology = trajectory.topology
lengths = {}
for name, words in {"C=O, model": "resname ALA", "O-H, Amber": "water"}.items():
    oxygen = topology.select(f"{words} and element O")
    partners = {a: b for bond in topology.bonds for a, b in (bond, bond[::-1])}
    pairs = [(i, partners[topology.atom(i)].index) for i in oxygen]
    lengths[name] = 10 * mdtraj.compute_distances(trajectory, pairs)
    print(f"{name}: {lengths[name].mean():.3f} ± {lengths[name].std():.3f} Å")
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
for name, values in lengths.items():
    axes.plot(trajectory.time, values.mean(axis=1), label=name)
axes.set(xlabel="time / ps", ylabel="bond length / Å", ylim=(0.9, 1.4))
axes.legend()
figure.savefig(options.output / "bonds.png", dpi=150)
