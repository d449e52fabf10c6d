# SPDX-License-Identifier: MIT
"""Pack phosphates and lithium at random into a cube of the crystal's density.

    python systems/li3po4/amorphous.py --units 6 --seed 1 --output start.extxyz

Soft repulsion moves atoms apart and holds each P-O bond at 1.55 Å. A potential's melt
takes it from there.
"""

import argparse
from pathlib import Path

import ase
import ase.io
import numpy as np
from build import CELL
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

BOND = 1.55  # Å
CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
# Å, below which atoms repel each other, in the order Li, P, O
RADII = np.array([[2.5, 2.7, 1.9], [2.7, 4.0, 2.8], [1.9, 2.8, 2.7]])
OF_A_PHOSPHATE = 2.5  # Å, between its O


def pack(units: int, seed: int) -> ase.Atoms:
    """Pack so many formula units."""
    edge = (units * np.prod(CELL) / 16) ** (1 / 3)
    generator = np.random.default_rng(seed)
    centers = edge * generator.random((units, 3))
    turns = Rotation.random(units, random_state=seed).as_matrix()
    oxygens = (centers[:, None] + BOND * CORNERS @ turns).reshape(-1, 3)
    lithium = edge * generator.random((3 * units, 3))
    start = np.concatenate([lithium, centers, oxygens])
    kinds = np.repeat([0, 1, 2], [3 * units, units, 4 * units])
    radii, bonded = RADII[kinds][:, kinds], np.zeros((8 * units, 8 * units), bool)
    for unit in range(units):
        own = 4 * units + 4 * unit + np.arange(4)
        bonded[3 * units + unit, own] = True
        radii[np.ix_(own, own)] = OF_A_PHOSPHATE
    i, j = np.triu_indices(len(kinds), 1)
    bonds, target = bonded[i, j], np.where(bonded, BOND, radii)[i, j]

    def energy(flat: np.ndarray) -> tuple[float, np.ndarray]:
        xyz = flat.reshape(-1, 3)
        gaps = xyz[i] - xyz[j]
        gaps -= edge * np.round(gaps / edge)
        lengths = np.linalg.norm(gaps, axis=1) + 1e-9
        beyond = lengths - target
        beyond = np.where(bonds, beyond, np.minimum(beyond, 0))
        weights = np.where(bonds, 10.0, 1.0)
        pulls = (2 * weights * beyond / lengths)[:, None] * gaps
        gradient = np.zeros_like(xyz)
        np.add.at(gradient, i, pulls)
        np.add.at(gradient, j, -pulls)
        return float((weights * beyond**2).sum()), gradient.ravel()

    found = minimize(energy, start.ravel(), jac=True, method="L-BFGS-B")
    symbols = np.array(["Li", "P", "O"])[kinds]
    positions = found.x.reshape(-1, 3) % edge
    return ase.Atoms(symbols, positions, cell=[edge] * 3, pbc=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=6, help="of Li3PO4")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    atoms = pack(options.units, options.seed)
    ase.io.write(options.output, atoms)
    print(f"{options.output}: {atoms.get_chemical_formula()}")


if __name__ == "__main__":
    main()
