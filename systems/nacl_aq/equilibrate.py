# SPDX-License-Identifier: MIT
"""Equilibrate the packed box with the trained model: packed.pdb → nacl_aq.pdb.

python systems/nacl_aq/equilibrate.py [--steps 8000] [--threads 2] [--force]
"""

import argparse
import tempfile
from pathlib import Path

import openmm
import torch
from openmm import app, unit

from openmm_allegro import AllegroPotential, run

FOLDER = Path(__file__).parent

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", type=Path, default=FOLDER / "nacl_aq.safetensors")
parser.add_argument("--packed", type=Path, default=FOLDER / "packed.pdb")
parser.add_argument("--output", type=Path, default=FOLDER / "nacl_aq.pdb")
parser.add_argument("--steps", type=int, default=8000, help="of 0.5 fs, NVT at 300 K")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--force", action="store_true", help="replace the output")
options = parser.parse_args()
torch.set_num_threads(options.threads)
if options.output.exists() and not options.force:
    parser.error(f"expected no file yet at {options.output}; --force replaces it")

pdb = app.PDBFile(str(options.packed))
system = AllegroPotential(options.model).create_system(pdb.topology)
with tempfile.TemporaryDirectory() as folder:
    paths = run(
        pdb.topology,
        pdb.positions,
        system,
        Path(folder) / "equilibration",
        steps=options.steps,
        # strong, so that the energy set free by the first hydrogen bonds goes away
        friction=5 / unit.picosecond,
        report_interval=100,
        threads=options.threads,
        platform="CPU",
        seed=1,
    )
    state = openmm.XmlSerializer.deserialize(paths["state"].read_text())
with open(options.output, "w") as file:
    app.PDBFile.writeFile(pdb.topology, state.getPositions(), file, keepIds=True)
print(options.output)
