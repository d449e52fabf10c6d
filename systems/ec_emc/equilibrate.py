# SPDX-License-Identifier: MIT
"""Equilibrate a frame of the data with the trained model: frame.pdb → ec_emc.pdb.

python systems/ec_emc/equilibrate.py [--nvt 5000] [--npt 20000] [--threads 2] [--force]
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
parser.add_argument("--model", type=Path, default=FOLDER / "ec_emc.safetensors")
parser.add_argument("--frame", type=Path, default=FOLDER / "frame.pdb")
parser.add_argument("--output", type=Path, default=FOLDER / "ec_emc.pdb")
parser.add_argument("--nvt", type=int, default=5000, help="steps of 1 fs at 300 K")
parser.add_argument("--npt", type=int, default=20000, help="steps of 1 fs at 1 bar")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--force", action="store_true", help="replace the output")
options = parser.parse_args()
torch.set_num_threads(options.threads)
if options.output.exists() and not options.force:
    parser.error(f"expected no file yet at {options.output}; --force replaces it")

pdb = app.PDBFile(str(options.frame))
topology, positions = pdb.topology, pdb.positions
potential = AllegroPotential(options.model)
with tempfile.TemporaryDirectory() as folder:
    for ensemble, steps in (("nvt", options.nvt), ("npt", options.npt)):
        paths = run(
            topology,
            positions,
            potential.create_system(topology),
            Path(folder) / ensemble,
            steps=steps,
            ensemble=ensemble,
            timestep=1 * unit.femtosecond,
            # strong at first: the frame comes from a hot run
            friction=(5 if ensemble == "nvt" else 1) / unit.picosecond,
            report_interval=min(100, steps),
            minimize=ensemble == "nvt",
            threads=options.threads,
            platform="CPU",
            seed=1,
        )
        state = openmm.XmlSerializer.deserialize(paths["state"].read_text())
        positions = state.getPositions()
        topology.setPeriodicBoxVectors(state.getPeriodicBoxVectors())
with open(options.output, "w") as file:
    app.PDBFile.writeFile(topology, positions, file, keepIds=True)
print(options.output)
