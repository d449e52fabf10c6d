# SPDX-License-Identifier: MIT
"""Compute the free energy of replacing a force field by a model, by two methods.

Capped alanine in generalized Born water: λ leads from Amber14 to the model. Replicas
exchange λ (MBAR); and λ is switched from structures of both ends (BAR). Either alone
would do, and both together check each other.

python examples/08_mm_to_ml.py --output runs/mm_to_ml [--resume] [--quick]
"""

import argparse
from pathlib import Path

from openmm import app

from openmm_allegro import AllegroPotential
from openmm_allegro.alchemical import LambdaSettings, SwitchingSettings, free_energy

SYSTEM = Path(__file__).parents[1] / "systems" / "alanine_water"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("runs/mm_to_ml"))
parser.add_argument("--iterations", type=int, default=200, help="of 100 fs")
parser.add_argument("--switches", type=int, default=50, help="in each direction")
parser.add_argument("--resume", action="store_true", help="an earlier run")
parser.add_argument("--force", action="store_true", help="replace existing output")
parser.add_argument("--quick", action="store_true", help="some steps only, for a test")
options = parser.parse_args()

pdb = app.PDBFile(str(SYSTEM / "solute.pdb"))
field = app.ForceField("amber14-all.xml", "implicit/obc2.xml")
potential = AllegroPotential(SYSTEM / "alanine.safetensors")
system = potential.create_mixed_system(
    pdb.topology,
    field.createSystem(pdb.topology),
    range(pdb.topology.getNumAtoms()),
    interpolate=True,
    backend="native",
)
exchange = LambdaSettings(
    lambdas=(0, 0.5, 1) if options.quick else (0, 0.25, 0.5, 0.75, 1),
    iterations=30 if options.quick else options.iterations,
    steps_per_iteration=4 if options.quick else 100,
    timestep_fs=1.0,
)
switching = SwitchingSettings(
    switches=4 if options.quick else options.switches,
    switch_steps=20 if options.quick else 1000,
    interval=10 if options.quick else 200,
    equilibration=20 if options.quick else 2000,
    timestep_fs=1.0,
)
results = free_energy(
    pdb.topology,
    pdb.positions,
    system,
    options.output,
    exchange=exchange,
    switching=switching,
    threads=1,
    seed=1,
    resume=options.resume,
    overwrite=options.force,
)

for name, result in results.items():
    value, error = result["free_energy_kj_mol"], result["error_kj_mol"]
    print(f"{name}: ΔG = {value:.2f} ± {error:.2f} kJ/mol")
    for text in result["warnings"]:
        print(f"  {text}")
print(
    "overlap with the next λ:",
    *(f"{row[k + 1]:.2f}" for k, row in enumerate(results["exchange"]["overlap"][:-1])),
)
print(f"figures: {options.output}/overlap.png, {options.output}/works.png")
