# SPDX-License-Identifier: MIT
"""What the stresses in the data are, and what density they imply.

For each frame: the labelled pressure (minus a third of the trace of the stress), and
the part of it that comes from inside the molecules, sum (r_i - R) · F_i / 3V over the
atoms of each molecule with its centre of mass R, which the labelled forces give alone.

    python systems/ec_emc/pressure.py [--model ec_emc.safetensors]
"""

import argparse
from pathlib import Path

import ase.io
import ase.units
import numpy as np
from build_box import find_molecules

from openmm_allegro.interop.ase import AllegroCalculator

FOLDER = Path(__file__).parent
KBAR = 1 / (1000 * ase.units.bar)  # per eV/Å³


def pressures(frame, calculator=None):
    """Temperature (K), density (g/cm³), then pressures in kbar.

    Labelled, from inside the molecules, ideal gas of the atoms, ideal gas of the
    molecules, and the calculator's (NaN without one).
    """
    volume, molecules = frame.get_volume(), find_molecules(frame)[0]
    kelvin = frame.info["temperature"]
    ideal = ase.units.kB * kelvin / volume * KBAR
    predicted = np.nan
    if calculator is not None:
        copy = frame.copy()
        copy.calc = calculator
        predicted = _pressure(copy.get_stress(voigt=False))
    return (
        kelvin,
        frame.get_masses().sum() / volume * 1.66053907,
        _pressure(frame.get_stress(voigt=False)),
        _pressure(inside_stress(frame)),
        len(frame) * ideal,
        len(molecules) * ideal,
        predicted,
    )


def _pressure(stress):
    return -np.trace(stress) / 3 * KBAR


def inside_stress(frame):
    """Of the labelled forces along the arms to the molecules' centres, eV/Å³ [3, 3]."""
    molecules, _, positions = find_molecules(frame)
    forces, masses = frame.get_forces(), frame.get_masses()
    virial = np.zeros((3, 3))
    for molecule in molecules:
        arms = positions[molecule] - np.average(
            positions[molecule], axis=0, weights=masses[molecule]
        )
        virial += arms.T @ forces[molecule]
    return -(virial + virial.T) / (2 * frame.get_volume())


def shear(stress):
    """What is left of a stress without its trace, six components."""
    return (stress - np.trace(stress) / 3 * np.eye(3))[np.triu_indices(3)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[FOLDER / "data" / f"{name}.extxyz" for name in ("train", "test")],
    )
    parser.add_argument("--model", type=Path, help="compare with its pressures")
    options = parser.parse_args()
    calculator = AllegroCalculator(options.model) if options.model else None
    frames = [frame for path in options.data for frame in ase.io.read(path, ":")]
    table = np.array([pressures(frame, calculator) for frame in frames])
    kelvin, density, label, inside, atoms, molecules, predicted = table.T

    ours = np.concatenate([shear(inside_stress(frame)) for frame in frames])
    theirs = np.concatenate([shear(f.get_stress(voigt=False)) for f in frames])
    slope, correlation = np.polyfit(ours, theirs, 1)[0], np.corrcoef(ours, theirs)[0, 1]
    print(
        "traceless part of the label against that from inside the molecules: "
        f"slope {slope:.3f}, correlation {correlation:.3f}"
    )
    print(
        "kbar:   T/K      g/cm³  frames  label  inside  rest±   N kT/V  n kT/V  model"
    )
    for t in np.unique(kelvin):
        k = kelvin == t
        rest = (label - inside)[k]
        print(
            f"{t:11.0f}  {density[k].min():.2f}–{density[k].max():.2f}  {k.sum():5d}"
            f"  {label[k].mean():6.2f}  {inside[k].mean():6.2f}  {rest.mean():5.2f}"
            f" ±{rest.std() / k.sum() ** 0.5:.2f}  {atoms[k].mean():6.2f}"
            f"  {molecules[k].mean():6.2f}  {predicted[k].mean():6.2f}"
        )


if __name__ == "__main__":
    main()
