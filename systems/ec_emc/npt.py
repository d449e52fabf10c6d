# SPDX-License-Identifier: MIT
"""Run the liquid at 300 K and 1 bar, from ec_emc.pdb; density.py finds its density.

python systems/ec_emc/npt.py --output runs/ec_emc_npt [--steps 100000] [--force]
python systems/ec_emc/npt.py --hydrogen-mass 3 --timestep 2 --two-body table

The second is four times as fast. Heavier hydrogens, at the cost of the atoms they are
bonded to, change no average over positions and allow longer steps.
"""

import argparse
from pathlib import Path

from openmm import app, unit

from openmm_allegro import AllegroPotential, run

FOLDER = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=FOLDER / "ec_emc.safetensors")
    parser.add_argument("--start", type=Path, default=FOLDER / "ec_emc.pdb")
    parser.add_argument("--output", type=Path, default=Path("runs/ec_emc_npt"))
    parser.add_argument("--steps", type=int, default=100000)
    parser.add_argument("--timestep", type=float, default=1.0, help="fs")
    parser.add_argument("--hydrogen-mass", type=float, help="Da")
    parser.add_argument("--pressure", type=float, default=1.0, help="bar")
    parser.add_argument("--interval", type=int, default=25, help="of volume moves")
    parser.add_argument(
        "--two-body", default="exact", help='or "table", which is twice as fast'
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--force", action="store_true", help="replace existing output")
    options = parser.parse_args()

    pdb = app.PDBFile(str(options.start))
    system = AllegroPotential(options.model).create_system(
        pdb.topology, two_body=options.two_body
    )
    mass = options.hydrogen_mass
    paths = run(
        pdb.topology,
        pdb.positions,
        system,
        options.output,
        steps=options.steps,
        ensemble="npt",
        pressure=options.pressure * unit.bar,
        barostat_interval=options.interval,
        timestep=options.timestep * unit.femtosecond,
        hydrogen_mass=None if mass is None else mass * unit.dalton,
        # as often as volume moves, so that each accepted one shows
        report_interval=options.interval,
        minimize=False,
        threads=options.threads,
        platform="CPU",
        seed=options.seed,
        overwrite=options.force,
    )
    print(paths["energies"])


if __name__ == "__main__":
    main()
