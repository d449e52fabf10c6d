# SPDX-License-Identifier: MIT
"""Measure the kinetic energy of protons of aqueous NaCl at 300 K.

Runs a ring polymer of 32 beads and a quantum thermal bath of systems/nacl_aq (60 H2O,
2 Na, 2 Cl), which are resumed where they were interrupted, and writes
results/proton_kinetic_energy.json beside this file. With --only-measure it measures
what is there.

python benchmarks/proton_kinetic_energy.py --folder runs/protons [--beads 32]
    [--steps 1600] [--timestep 0.25] [--kinds rpmd qtb] [--only-measure]
"""

import argparse
import json
from pathlib import Path

from hardware import hardware, use_threads
from openmm import app, unit

from openmm_allegro import AllegroPotential, run
from openmm_allegro.measure.quantities import QUANTITIES
from openmm_allegro.runs.run import read_run
from openmm_allegro.runs.source import Source

HERE = Path(__file__).parent
SYSTEM = HERE.parent / "systems" / "nacl_aq"
RESULTS = HERE / "results" / "proton_kinetic_energy.json"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, required=True)
parser.add_argument("--beads", type=int, default=32)
parser.add_argument("--steps", type=int, default=1600)
parser.add_argument("--timestep", type=float, default=0.25)
parser.add_argument("--kinds", nargs="+", choices=("rpmd", "qtb"), default=["rpmd"])
parser.add_argument("--only-measure", action="store_true")
options = parser.parse_args()
use_threads(1)

runs = {
    "qtb": {
        "steps": 16_000,
        "timestep": 0.5 * unit.femtosecond,
        "friction": 20.0 / unit.picosecond,
        "qtb_adaptation": 0.1,
    },
    f"rpmd-{options.beads}": {
        "steps": options.steps,
        "timestep": options.timestep * unit.femtosecond,
        "beads": options.beads,
        "bead_interval": 80,
    },
}
runs = {k: v for k, v in runs.items() if k.partition("-")[0] in options.kinds}
if not options.only_measure:
    pdb = app.PDBFile(str(SYSTEM / "nacl_aq.pdb"))
    potential = AllegroPotential(SYSTEM / "nacl_aq.safetensors")
    system = potential.create_system(pdb.topology, backend="native", two_body="table")
    for name, settings in runs.items():
        options.folder.mkdir(parents=True, exist_ok=True)
        run(
            pdb.topology,
            pdb.positions,
            system,
            options.folder / name,
            integrator=name.partition("-")[0],
            temperature=300 * unit.kelvin,
            report_interval=20,
            checkpoint_interval=100,
            seed=1,
            threads=1,
            platform="CPU",
            resume=True,
            **settings,
        )

results = {}
for name in runs:
    source = Source([read_run(options.folder / name)])
    measured = QUANTITIES["kinetic-energy"].measure(source)
    results[name] = {
        row.item: {"mev": row.value, "error": row.error}
        for row in measured.rows
        if row.quantity == "kinetic energy" and row.unit == "meV"
    } | {"picoseconds": source.runs[0].simulated}
    print(name, f"{source.runs[0].simulated:.2f} ps")
    for row in measured.rows:
        print("  ", *row)
RESULTS.write_text(
    json.dumps({"results": results, "hardware": hardware(1)}, indent=1) + "\n"
)
