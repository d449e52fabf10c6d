# SPDX-License-Identifier: MIT
"""Density of the liquid at 300 K and 1 bar, from ec_emc.pdb.

python systems/ec_emc/npt.py --output runs/ec_emc_npt [--steps 100000] [--force]
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from openmm import app, unit

from openmm_allegro import AllegroPotential, run

FOLDER = Path(__file__).parent
BLOCKS = 5


def mean_and_error(values):
    """Mean, and the standard error of it from the means of `BLOCKS` blocks."""
    blocks = [block.mean() for block in np.array_split(values, BLOCKS)]
    return np.mean(values), np.std(blocks, ddof=1) / BLOCKS**0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=FOLDER / "ec_emc.safetensors")
    parser.add_argument("--start", type=Path, default=FOLDER / "ec_emc.pdb")
    parser.add_argument("--output", type=Path, default=Path("runs/ec_emc_npt"))
    parser.add_argument("--steps", type=int, default=100000, help="of 1 fs")
    parser.add_argument("--pressure", type=float, default=1.0, help="bar")
    parser.add_argument("--interval", type=int, default=25, help="of volume moves")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--force", action="store_true", help="replace existing output")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    pdb = app.PDBFile(str(options.start))
    system = AllegroPotential(options.model).create_system(pdb.topology)
    paths = run(
        pdb.topology,
        pdb.positions,
        system,
        options.output,
        steps=options.steps,
        ensemble="npt",
        pressure=options.pressure * unit.bar,
        barostat_interval=options.interval,
        timestep=1 * unit.femtosecond,
        # as often as volume moves, so that each one that was accepted shows
        report_interval=options.interval,
        minimize=False,
        threads=options.threads,
        platform="CPU",
        seed=options.seed,
        overwrite=options.force,
    )
    table = np.genfromtxt(paths["energies"], delimiter=",", names=True)
    names = table.dtype.names
    volume = table[next(n for n in names if n.startswith("Box_Volume"))]
    density = table[next(n for n in names if n.startswith("Density"))]
    kept = density[len(density) // 5 :]  # the first fifth is not equilibrated
    mean, error = mean_and_error(kept)
    result = {
        "steps": options.steps,
        "pressure_bar": options.pressure,
        "density_g_cm3": round(float(mean), 4),
        "standard_error_g_cm3": round(float(error), 4),
        "fluctuation_g_cm3": round(float(kept.std()), 4),
        "accepted_volume_moves": round(float((np.diff(volume) != 0).mean()), 3),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
