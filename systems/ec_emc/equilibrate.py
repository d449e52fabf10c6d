# SPDX-License-Identifier: MIT
"""Equilibrate a frame of the data with the trained model: frame.pdb → ec_emc.pdb.

python systems/ec_emc/equilibrate.py [--nvt 5000] [--npt 20000] [--threads 2] [--force]
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
        model="ec_emc.safetensors",
        start="frame",
        box="frame.pdb",
        output="ec_emc.pdb",
    )
    parser.add_argument("--nvt", type=int, default=5000, help="steps of 1 fs at 300 K")
    parser.add_argument("--npt", type=int, default=20000, help="steps of 1 fs at 1 bar")
    options = parser.parse_args()
    refuse_existing(parser, options.output, options.force)

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
    write_box(options.output, topology, positions)


if __name__ == "__main__":
    main()
