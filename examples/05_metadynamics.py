# SPDX-License-Identifier: MIT
"""Turn alanine dipeptide by metadynamics or OPES; draw its free energy over phi.

The model describes the molecule, all 22 atoms, and generalized Born its water (ML/MM).
It was made for explicit water: take the basins for an exercise, not for alanine's.
A restraint keeps its first peptide bond trans. Free energies are those of the hills,
and of frames that are weighted by the bias that acted on them.

python examples/05_metadynamics.py --output runs/phi [--opes] [--resume] [--quick]
"""

import argparse
from pathlib import Path

from openmm import app, unit

from openmm_allegro import AllegroPotential, run
from openmm_allegro.bias import Metadynamics, Opes, Restraint, Variable
from openmm_allegro.cli import main

SYSTEM = Path(__file__).parents[1] / "systems" / "alanine_water"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("runs/phi"))
parser.add_argument("--steps", type=int, default=400_000, help="of 1 fs")
parser.add_argument("--opes", action="store_true", help="OPES, not metadynamics")
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
    backend="native",
)
pace = 4 if options.quick else 400
bias = Metadynamics(
    variables=("phi",), widths=(20.0,), height_kj_mol=1.0, bias_factor=8.0, pace=pace
)
if options.opes:
    bias = Opes(variables=("phi",), widths=(15.0,), barrier_kj_mol=35.0, pace=pace)
run(
    pdb.topology,
    pdb.positions,
    system,
    options.output / "alanine",
    steps=80 if options.quick else options.steps,
    timestep=1 * unit.femtosecond,
    report_interval=20 if options.quick else 400,
    variable_interval=4 if options.quick else 40,
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

analyze = ["analyze", "free-energy", str(options.output / "alanine"), "phi"]
analyze += ["--plot", str(options.output / "free_energy.png"), "--force"]
if options.quick:
    analyze += ["--start", "0", "--bins", "4", "--blocks", "2"]
raise SystemExit(main(analyze))
