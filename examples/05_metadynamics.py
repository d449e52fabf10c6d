# SPDX-License-Identifier: MIT
"""Turn alanine dipeptide by metadynamics or OPES; draw its free energy over phi.

The model describes the molecule, all 22 atoms, and generalized Born its water (ML/MM).
A restraint keeps its two peptide bonds trans. Free energies are of the hills, and of
frames that are weighted by the bias that acted on them.

python examples/05_metadynamics.py --output runs/phi [--opes] [--resume] [--quick]
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from openmm import app, unit

from openmm_allegro import AllegroPotential, run
from openmm_allegro.bias import Metadynamics, Opes, Restraint, Variable

SYSTEM = Path(__file__).parents[1] / "systems" / "alanine_water"
KT = 300 * 0.0083144626  # kJ/mol

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("runs/phi"))
parser.add_argument("--steps", type=int, default=1_000_000, help="of 1 fs")
parser.add_argument("--opes", action="store_true", help="OPES, not metadynamics")
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
pace = 10 if options.quick else 500
bias = Metadynamics(
    variables=("phi",), widths=(20.0,), height_kj_mol=1.0, bias_factor=8.0, pace=pace
)
if options.opes:
    bias = Opes(variables=("phi",), widths=(15.0,), barrier_kj_mol=35.0, pace=pace)
paths = run(
    pdb.topology,
    pdb.positions,
    system,
    options.output / "alanine",
    steps=200 if options.quick else options.steps,
    timestep=1 * unit.femtosecond,
    report_interval=20 if options.quick else 500,
    variable_interval=10 if options.quick else 50,
    variables=[
        Variable("phi", "dihedral", atoms=(4, 6, 8, 14)),
        Variable("omega", "dihedral", atoms=(1, 4, 6, 8)),
    ],
    restraints=[Restraint("omega", 180.0, 100.0, flat=30.0)],
    bias=bias,
    threads=1,
    resume=options.resume,
    overwrite=options.force,
)

table = np.genfromtxt(paths["variables"], delimiter=",", names=True)
table = table[len(table) // 5 :]  # from where the bias changes slowly
weights = np.exp((table["bias_kj_mol"] - table["bias_kj_mol"].max()) / KT)
density, edges = np.histogram(table["phi_deg"], 36, (-180, 180), weights=weights)
energy = -KT * np.log(np.where(density > 0, density, np.nan))
plt.plot(0.5 * (edges[1:] + edges[:-1]), energy - np.nanmin(energy), "o-")
plt.xlabel("φ (degrees)")
plt.ylabel("free energy (kJ/mol)")
plt.savefig(options.output / "free_energy.png", dpi=150)
print(f"phi from {table['phi_deg'].min():.0f} to {table['phi_deg'].max():.0f} degrees")
