# SPDX-License-Identifier: MIT
"""Equilibrate the packed box with the trained model: packed.pdb → nacl_aq.pdb.

python systems/nacl_aq/equilibrate.py [--steps 8000] [--threads 2] [--force]
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
    parser.add_argument("--model", type=Path, default=FOLDER / "nacl_aq.safetensors")
    parser.add_argument("--packed", type=Path, default=FOLDER / "packed.pdb")
    parser.add_argument("--output", type=Path, default=FOLDER / "nacl_aq.pdb")
    parser.add_argument(
        "--steps", type=int, default=8000, help="of 0.5 fs, NVT at 300 K"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--force", action="store_true", help="replace the output")
    options = parser.parse_args()
    refuse_existing(parser, options.output, options.force)
    torch.set_num_threads(options.threads)

    pdb = app.PDBFile(str(options.packed))
    state = equilibrate(
        pdb.topology,
        pdb.positions,
        AllegroPotential(options.model).create_system(pdb.topology),
        steps=options.steps,
        threads=options.threads,
        timestep=0.5,
        friction=5.0,  # strong: the first hydrogen bonds set much energy free
    )
    with open(options.output, "w") as file:
        app.PDBFile.writeFile(pdb.topology, state.getPositions(), file, keepIds=True)
    print(options.output)


if __name__ == "__main__":
    main()
