# SPDX-License-Identifier: MIT
"""Simulate aqueous NaCl with quantum nuclei, as a ring polymer; draw kinetic energies.

Each atom is a ring of beads, whose kinetic energy is that of the quantum nucleus: that
of a proton is four times the classical one. g(r) is that of the beads.

python examples/06_quantum_nuclei.py --output runs/quantum [--qtb] [--resume] [--quick]
"""

import argparse
from pathlib import Path

from openmm import app, unit

from openmm_allegro import AllegroPotential, run
from openmm_allegro.cli import main

SYSTEM = Path(__file__).parents[1] / "systems" / "nacl_aq"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("runs/quantum"))
parser.add_argument("--steps", type=int, default=8000, help="of 0.25 fs")
parser.add_argument("--beads", type=int, default=32)
parser.add_argument("--qtb", action="store_true", help="a quantum thermal bath")
parser.add_argument("--resume", action="store_true", help="an earlier run")
parser.add_argument("--force", action="store_true", help="replace existing output")
parser.add_argument("--quick", action="store_true", help="some steps only, for a test")
options = parser.parse_args()

pdb = app.PDBFile(str(SYSTEM / "nacl_aq.pdb"))
potential = AllegroPotential(SYSTEM / "nacl_aq.safetensors")
system = potential.create_system(pdb.topology, backend="native", two_body="table")
settings = {"integrator": "rpmd", "beads": 2 if options.quick else options.beads}
if options.qtb:
    settings = {"integrator": "qtb"}
prefix = options.output / settings["integrator"]
run(
    pdb.topology,
    pdb.positions,
    system,
    prefix,
    steps=20 if options.quick else options.steps,
    timestep=0.25 * unit.femtosecond,
    temperature=300 * unit.kelvin,
    report_interval=2 if options.quick else 20,
    minimize=False,
    threads=1,
    resume=options.resume,
    overwrite=options.force,
    **settings,
)

window = ["--start", "0"] if options.quick else []
analyze = ["analyze", "kinetic-energy", str(prefix), "--force", *window]
main([*analyze, "--plot", str(options.output / "kinetic_energy.png")])
analyze = ["analyze", "rdf", str(prefix), "O-H", *window]
raise SystemExit(main([*analyze, "--plot", str(options.output / "rdf.png"), "--force"]))
