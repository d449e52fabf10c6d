# SPDX-License-Identifier: MIT
"""Run parallel tempering of alanine dipeptide; find the free energy of its PPII basin.

The model describes the molecule, all 22 atoms, and generalized Born its water (ML/MM).
Replicas from 300 to 500 K exchange temperatures. MBAR weights the frames of all of them
for the free energy at 300 K. With mpi4py, `mpirun -n 4 python ...` shares them out.

python examples/03_parallel_tempering.py --output runs/tempering [--resume] [--quick]
"""

import argparse
from pathlib import Path

import mdtraj
import numpy as np
from openmm import app, unit

from openmm_allegro import AllegroPotential
from openmm_allegro.replica_exchange import (
    basin_free_energy,
    exchanges,
    free_energies,
    parallel_tempering,
    read_replicas,
    temperature_ladder,
    write_temperature,
)

SYSTEM = Path(__file__).parents[1] / "systems" / "alanine_water"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("runs/tempering"))
parser.add_argument("--iterations", type=int, default=500, help="of 100 fs")
parser.add_argument("--resume", action="store_true", help="an earlier run")
parser.add_argument("--force", action="store_true", help="replace existing output")
parser.add_argument("--quick", action="store_true", help="some steps only, for a test")
options = parser.parse_args()

pdb = app.PDBFile(str(SYSTEM / "solute.pdb"))
field = app.ForceField("amber14-all.xml", "implicit/obc2.xml")
potential = AllegroPotential(SYSTEM / "alanine.safetensors")
system = potential.create_mixed_system(
    pdb.topology, field.createSystem(pdb.topology), range(pdb.topology.getNumAtoms())
)
output = options.output / "alanine"
parallel_tempering(
    pdb.topology,
    pdb.positions,
    system,
    output,
    temperatures=temperature_ladder(300 * unit.kelvin, 500 * unit.kelvin, 4),
    iterations=20 if options.quick else options.iterations,
    steps_per_iteration=5 if options.quick else 100,
    timestep=1 * unit.femtosecond,
    checkpoint_interval=1,
    threads=1,
    resume=options.resume,
    overwrite=options.force,
)

result = exchanges(output)
print("\nexchanged with the next:", *(f"{p:.0%}" for p in result.acceptance))
print("round trips of the replicas:", *result.round_trips)
write_temperature(output, 0, options.output / "300K.xtc")  # for the usual analysis

_, replicas = read_replicas(output)
phi = np.stack([mdtraj.compute_phi(r)[1][:, 0] for r in replicas], axis=1)
bent = (np.degrees(phi) > -110) & (phi < 0)
try:
    table = free_energies(output)
    for k, kelvin in enumerate(table.temperatures):
        print(
            f"{kelvin:5.1f} K  f {table.f[k]:9.2f} ± {table.f_error[k]:.2f}  "
            f"energy {table.energy[k]:9.1f} ± {table.energy_error[k]:.1f} kJ/mol"
        )
    value, error = basin_free_energy(output, ~bent, bent, 300.0)
    print(f"PPII against all else at 300 K: {value:.1f} ± {error:.1f} kJ/mol")
except ValueError as error:  # too short a run
    print(error)
