# SPDX-License-Identifier: MIT
"""Umbrella windows along the distance of an ion pair, and its potential of mean force.

python examples/07_umbrella_windows.py [--steps 10000] [--output runs/pair]

With 10,000 steps of 2 fs in each of 13 windows on one core: about half an hour.
"""

import argparse
import logging
from pathlib import Path

import numpy as np

from openmm_allegro import AllegroPotential
from openmm_allegro.analysis import combine_windows, make_axis, plot_profiles
from openmm_allegro.bias import Variable
from openmm_allegro.simulate import Umbrella, read_coordinates, run_umbrella

SYSTEM = Path("systems/nacl_aq")
FORCE_CONSTANT = 60.0  # kJ/mol/Å²: a standard deviation of √(RT/k) = 0.2 Å
KELVIN = 300.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000, help="of each window")
    parser.add_argument("--output", type=Path, default=Path("runs/pair"))
    parser.add_argument("--quick", action="store_true", help="three short windows")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    centers = np.arange(2.75, 5.8, 0.25)
    if options.quick:
        centers, options.steps = centers[8:11], 60

    box = read_coordinates(SYSTEM / "nacl_aq.pdb")
    model = AllegroPotential(SYSTEM / "nacl_aq.safetensors")
    ions = {atom.residue.name: atom.index for atom in box.topology.atoms()}
    pair = Variable("r", "distance", atoms=(ions["NA"], ions["CL"]))
    umbrella = Umbrella(
        variables=("r",),
        centers=tuple(centers.round(2).tolist()),
        force_constants=(FORCE_CONSTANT,),
        steps=options.steps,
        equilibration_steps=options.steps // 10,
    )
    files = run_umbrella(
        box.topology,
        box.positions,
        model.create_system(box.topology, backend="native"),
        umbrella,
        options.output,
        variables=[pair],
        settings={
            "temperature_k": KELVIN,
            "timestep_fs": 2.0,
            "hydrogen_mass_da": 3.0,  # masses do not change free energies
            "variable_interval": 2 if options.quick else 10,
        },
        seed=1,
        resume=True,  # a run that was interrupted goes on
    )

    # What `openmm-allegro analyze free-energy runs/pair --radial` does.
    windows, energies = [], []
    for paths in files.values():
        table = np.genfromtxt(paths["variables"], delimiter=",", names=True)
        r = table["r_angstrom"][table["step"] > umbrella.equilibration_steps, None]
        windows.append(r)
        energies.append(0.5 * FORCE_CONSTANT * (r - centers) ** 2)
    bins = 8 if options.quick else 40
    axis = make_axis("r", "Å", np.concatenate(windows), bins=bins)
    found = combine_windows(windows, energies, (axis,), KELVIN)
    least = np.diag(found.overlap, 1).min()
    print(f"least overlap of neighbours: {least:.2f}; parts: {len(found.weak())}")
    plot_profiles({"Na–Cl": found.surface.radial()}, options.output / "pmf.png")


if __name__ == "__main__":
    main()
