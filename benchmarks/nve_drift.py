# SPDX-License-Identifier: MIT
"""Measure energy conservation in 10 ps of NVE of aqueous NaCl at 0.5 fs, on each path.

All runs start from the same positions and velocities, equilibrated at 300 K.
Writes results/nve_drift.json and .png beside this file. Paths that are not run again
keep their results there; an empty --paths only draws. Paths that name no backend have
that of --backend, and so has the equilibration.

python benchmarks/nve_drift.py [--steps 20000] [--threads 1] [--paths fused table]
    [--backend auto] [--platform CPU] [--model FILE --results JSON]
"""

import argparse
import json
from pathlib import Path

import numpy as np
import openmm
from hardware import add_backend, hardware, use_threads
from matplotlib.figure import Figure
from openmm import app, unit

from openmm_allegro import AllegroPotential
from openmm_allegro.units import EV_TO_KJ_PER_MOL

ROOT = Path(__file__).parents[1]
SYSTEM = ROOT / "systems" / "nacl_aq"
EVERY = 10  # steps
MEV = EV_TO_KJ_PER_MOL / 1000  # kJ/mol
PATHS = {
    "table": {"two_body": "table"},
    "fused": {"kernel": "fused"},
    "fused, double": {"kernel": "fused", "precision": "double"},
    "plain": {"kernel": "plain"},
    "native": {"backend": "native"},
    "native, table": {"backend": "native", "two_body": "table"},
    "pythonforce": {"backend": "pythonforce"},
}
USUAL = [path for path in PATHS if path != "pythonforce"]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=20_000)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--paths", nargs="*", choices=PATHS, default=USUAL)
parser.add_argument("--model", type=Path, default=SYSTEM / "nacl_aq.safetensors")
parser.add_argument("--platform", choices=("CPU", "CUDA"), default="CPU")
add_backend(parser)
parser.add_argument(
    "--results", type=Path, default=Path(__file__).parent / "results" / "nve_drift.json"
)
options = parser.parse_args()
use_threads(options.threads)

pdb = app.PDBFile(str(SYSTEM / "nacl_aq.pdb"))
potential = AllegroPotential(options.model)
atoms = pdb.topology.getNumAtoms()
platform = openmm.Platform.getPlatformByName(options.platform)
on_processor, on_card = {"Threads": str(options.threads)}, {"Precision": "mixed"}
properties = on_processor if options.platform == "CPU" else on_card

system = potential.create_system(pdb.topology, backend=options.backend)
warm = openmm.LangevinMiddleIntegrator(
    300 * unit.kelvin, 5 / unit.picosecond, 0.5 * unit.femtosecond
)
warm.setRandomNumberSeed(1)
context = openmm.Context(system, warm, platform, properties)
context.setPositions(pdb.positions)
context.setVelocitiesToTemperature(300 * unit.kelvin, 1)
warm.step(min(1000, options.steps))
start = context.getState(positions=True, velocities=True)

for path in options.paths:
    chosen = {"backend": options.backend} | PATHS[path]
    system = potential.create_system(pdb.topology, **chosen)
    integrator = openmm.VerletIntegrator(0.5 * unit.femtosecond)
    context = openmm.Context(system, integrator, platform, properties)
    context.setState(start)
    energies, kinetic = [], []
    for _ in range(options.steps // EVERY):
        integrator.step(EVERY)
        state = context.getState(energy=True)
        kinetic.append(state.getKineticEnergy()._value)
        energies.append(state.getPotentialEnergy()._value + kinetic[-1])
    times = (np.arange(len(energies)) + 1) * EVERY * 0.5e-3  # ps
    per_atom = (np.array(energies) - energies[0]) / atoms / MEV
    slope, intercept = np.polyfit(times, per_atom, 1)
    residual = per_atom - (slope * times + intercept)

    # Read again, because another process may have added a path.
    file = options.results
    result = json.loads(file.read_text()) if file.exists() else {}
    result |= {
        "hardware": hardware(options.threads),
        "atoms": atoms,
        "timestep_fs": 0.5,
    }
    result.setdefault("paths", {})[path] = {
        "drift_mev_per_atom_per_ps": float(slope),
        "fluctuation_mev_per_atom": float(residual.std()),
        "kinetic_fluctuation_mev_per_atom": float(np.std(kinetic) / atoms / MEV),
        "length_ps": float(times[-1]),
        "times_ps": times[::20].round(3).tolist(),
        "energies_mev_per_atom": per_atom[::20].round(4).tolist(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{path}: drift {slope:+.5f} meV/atom/ps", flush=True)

result = json.loads(options.results.read_text())
figure = Figure(figsize=(6, 3.8), layout="constrained")
axes = figure.subplots()
for path, numbers in result["paths"].items():
    label = f"{path}: {numbers['drift_mev_per_atom_per_ps']:+.4f} meV/atom/ps"
    axes.plot(
        numbers["times_ps"], numbers["energies_mev_per_atom"], lw=0.8, label=label
    )
axes.set(xlabel="time (ps)", ylabel="total energy − start (meV/atom)")
axes.legend(
    frameon=False,
    fontsize=8,
    loc="lower left",
    bbox_to_anchor=(0.0, 1.0),
)
figure.savefig(options.results.with_suffix(".png"), dpi=180)
