# SPDX-License-Identifier: MIT
"""Equilibrate the packed box with the trained model: packed.pdb → nacl_aq.pdb.

python systems/nacl_aq/equilibrate.py [--steps 8000] [--threads 2] [--force]
"""

import sys
from pathlib import Path

from openmm import app

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from common import (  # noqa: E402
    equilibrate,
    equilibration_parser,
    refuse_existing,
    write_box,
)

from openmm_allegro import AllegroPotential  # noqa: E402


def main() -> None:
    parser = equilibration_parser(
        __doc__.splitlines()[0],
        FOLDER,
        model="nacl_aq.safetensors",
        start="packed",
        box="packed.pdb",
        output="nacl_aq.pdb",
    )
    parser.add_argument(
        "--steps", type=int, default=8000, help="of 0.5 fs, NVT at 300 K"
    )
    options = parser.parse_args()
    refuse_existing(parser, options.output, options.force)

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
    write_box(options.output, pdb.topology, state.getPositions())


if __name__ == "__main__":
    main()
