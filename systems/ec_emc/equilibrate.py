# SPDX-License-Identifier: MIT
"""Equilibrate a frame of the data with the trained model: frame.pdb → ec_emc.pdb.

python systems/ec_emc/equilibrate.py [--nvt 5000] [--npt 20000] [--threads 2] [--force]
"""

import argparse
import sys
from pathlib import Path

import torch
from openmm import app

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from common import equilibrate, refuse_existing  # noqa: E402

from openmm_allegro import AllegroPotential  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=FOLDER / "ec_emc.safetensors")
    parser.add_argument("--frame", type=Path, default=FOLDER / "frame.pdb")
    parser.add_argument("--output", type=Path, default=FOLDER / "ec_emc.pdb")
    parser.add_argument("--nvt", type=int, default=5000, help="steps of 1 fs at 300 K")
    parser.add_argument("--npt", type=int, default=20000, help="steps of 1 fs at 1 bar")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--force", action="store_true", help="replace the output")
    options = parser.parse_args()
    refuse_existing(parser, options.output, options.force)
    torch.set_num_threads(options.threads)

    pdb = app.PDBFile(str(options.frame))
    topology, positions = pdb.topology, pdb.positions
    potential = AllegroPotential(options.model)
    for ensemble, steps in (("nvt", options.nvt), ("npt", options.npt)):
        state = equilibrate(
            topology,
            positions,
            potential.create_system(topology),
            steps=steps,
            threads=options.threads,
            ensemble=ensemble,
            # strong at first: the frame comes from a hot run
            friction=5.0 if ensemble == "nvt" else 1.0,
            minimize=ensemble == "nvt",
        )
        positions = state.getPositions()
        topology.setPeriodicBoxVectors(state.getPeriodicBoxVectors())
    with open(options.output, "w") as file:
        app.PDBFile.writeFile(topology, positions, file, keepIds=True)
    print(options.output)


if __name__ == "__main__":
    main()
