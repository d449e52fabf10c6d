# SPDX-License-Identifier: MIT
"""Analyse the stresses in the data, and the density that they imply.

For each frame it finds the labelled pressure (minus a third of the trace of the stress)
and the part from inside the molecules, sum (r_i - R) · F_i / 3V over the atoms of each
molecule with its centre of mass R. The labelled forces alone determine this part.

    python systems/ec_emc/pressure.py [--model ec_emc.safetensors]
"""

import argparse
import sys
from pathlib import Path

import ase.io
import ase.units
import numpy as np
from build_box import find_molecules

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import virial_pressure

from openmm_allegro.interop.ase import AllegroCalculator

FOLDER = Path(__file__).parent
FILES = [FOLDER / "data" / f"{name}.extxyz" for name in ("train", "test")]
KBAR = 1 / (1000 * ase.units.bar)  # per eV/Å³
# Powers of density and temperature in the pressure beyond that of an ideal gas
FORMS = (
    ((2, 0), (3, 0)),
    ((2, 0), (4, 0)),
    ((2, 0), (2, 1), (3, 0)),
    ((2, 0), (2, 1), (4, 0)),
    ((2, 0), (2, 1), (3, 0), (3, 1)),
    ((2, 0), (2, 1), (3, 0), (4, 0)),
    ((2, 0), (2, 1), (4, 0), (4, 1)),
    ((2, 0), (2, 1), (3, 0), (3, 1), (4, 0), (4, 1)),
)


def pressures(frame, calculator=None):
    """Compute temperature (K), density (g/cm³) and pressures (kbar) of a frame.

    The pressures are: labelled, from inside the molecules, ideal gas of the atoms,
    ideal gas of the molecules, and the calculator's (NaN without one).
    """
    volume, molecules = frame.get_volume(), find_molecules(frame)[0]
    kelvin = frame.info["temperature"]
    ideal = ase.units.kB * kelvin / volume * KBAR
    predicted = np.nan
    if calculator is not None:
        copy = frame.copy()
        copy.calc = calculator
        predicted = trace_pressure(copy.get_stress(voigt=False))
    return (
        kelvin,
        frame.get_masses().sum() / volume * 1.66053907,
        trace_pressure(frame.get_stress(voigt=False)),
        trace_pressure(inside_stress(frame)),
        len(frame) * ideal,
        len(molecules) * ideal,
        predicted,
    )


def trace_pressure(stress):
    """Compute minus a third of the trace of a stress (eV/Å³), kbar."""
    return virial_pressure(stress) / 1000


def inside_stress(frame):
    """Compute the stress of forces on arms to the molecules' centres, eV/Å³ [3, 3]."""
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
    """Take the traceless part of a stress, six components."""
    return (stress - np.trace(stress) / 3 * np.eye(3))[np.triu_indices(3)]


def extrapolate(kelvin, density, pressure, ideal, form):
    """Fit ``form`` and find the density at 300 K and no pressure, and residual (kbar).

    The density is NaN if the fit has none up to 2.5 g/cm³.
    """

    def terms(density, kelvin):
        return np.array([density**m * (kelvin / 300) ** n for m, n in form]).T

    design = terms(density, kelvin)
    weights = np.linalg.lstsq(design, pressure - ideal, rcond=None)[0]
    residual = np.std(pressure - ideal - design @ weights)
    grid = np.linspace(0.5, 2.5, 2001)
    at_300 = terms(grid, np.full_like(grid, 300.0)) @ weights
    at_300 += np.mean(ideal / (density * kelvin)) * 300 * grid
    crossings = np.flatnonzero((at_300[:-1] < 0) & (at_300[1:] >= 0))
    return (grid[crossings[0]] if len(crossings) else np.nan), residual


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=FILES,
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
    print("fits of n kT/V + rest, residual in kbar: density at 300 K and no pressure")
    for form in FORMS:
        zero_pressure, residual = extrapolate(
            kelvin, density, molecules + label - inside, molecules, form
        )
        print(
            f"  {residual:.2f}: {zero_pressure:.2f} g/cm³   powers of (g/cm³, T) {form}"
        )


if __name__ == "__main__":
    main()
