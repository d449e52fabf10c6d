# SPDX-License-Identifier: MIT
"""Build Li10GeP2S12: the tetragonal crystal, Ge, P and Li at random on their sites.

Sites of Li, Ge and P: Kamaya et al., Nat. Mater. 10, 682 (2011),
doi:10.1038/nmat3066. Half of the 4d sites hold Ge, the others P, at random; Li fills 4d
and two thirds of 16h and 8f together, at random but apart. S is on ideal tetrahedra
about Ge and P, whose planes the space group gives. The edges are those of the training
frame with the lowest energy. They are PBE's; X-rays give 8.694 and 12.599 Å, which is
denser than any frame of the training data.

    python systems/lgps/build.py --cells 2 2 2 --output lgps_400.pdb
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal

sys.path.insert(0, str(Path(__file__).parents[1]))

from solids import assemble, write_pdb

A, C = 8.886, 12.799  # Å
SITES = {
    "Li, 16h": (0.2563, 0.2718, 0.1832),
    "Li, 8f": (0.2463, 0.2463, 0.0),
    "Li, 4d": (0.0, 0.5, 0.9446),
    "Ge or P, 4d": (0.0, 0.5, 0.6907),
    "P, 2b": (0.0, 0.0, 0.5),
}
BOND = 2.04, 2.13  # Å, P-S, and the mean of P-S and Ge-S
FARTHEST = 3.0  # Å, first least distance tried between Li of 16h and 8f


def build(cells: Sequence[int] = (1, 1, 1), seed: int = 1) -> ase.Atoms:
    """Build the crystal.

    Parameters
    ----------
    cells : sequence of int
        Number of cells along each edge.
    seed : int
        Seed of the random choices of sites.

    Raises
    ------
    ValueError
        If ``cells`` are not three whole numbers above 0.
    """
    if len(cells) != 3 or min(cells) < 1 or any(n != int(n) for n in cells):
        raise ValueError(
            f"expected three whole numbers of cells above 0, found {cells}"
        )
    cells = [int(n) for n in cells]
    random = np.random.default_rng(seed)

    def sites(*fractions: Sequence[float]) -> np.ndarray:
        cell = crystal(
            ["X"] * len(fractions),
            list(fractions),
            spacegroup=137,
            setting=1,
            cellpar=[A, A, C, 90, 90, 90],
        )
        return cell.repeat(cells).get_positions()

    mixed = sites(SITES["Ge or P, 4d"])
    holds_ge = np.zeros(len(mixed), bool)
    holds_ge[random.permutation(len(mixed))[::2]] = True
    edges = np.array(cells) * (A, A, C)
    mobile = sites(SITES["Li, 16h"], SITES["Li, 8f"])
    chosen = _apart(mobile, edges, len(mobile) * 2 // 3, random)
    # Half of a tetrahedron's bonds lie in a plane x = const., the others in y = const.
    z = SITES["Ge or P, 4d"][2]
    (p_y, p_z), (y, dz) = (_half_bond(bond) for bond in BOND)
    sulfur = sites(
        (0, p_y, 0.5 - p_z), (0, 0.5 + y, z + dz), (0, 0.5 - y, z - 0.5 - dz)
    )
    positions = {
        "Li": np.concatenate((mobile[chosen], sites(SITES["Li, 4d"]))),
        "Ge": mixed[holds_ge],
        "P": np.concatenate((mixed[~holds_ge], sites(SITES["P, 2b"]))),
        "S": sulfur,
    }
    return assemble(positions, edges)


def _half_bond(length: float) -> tuple[float, float]:
    """Find half a bond's fractions of A across and of C along a tetrahedron's axis."""
    return length * math.sqrt(2 / 3) / A, length * math.sqrt(1 / 3) / C


def _apart(
    positions: np.ndarray, edges: np.ndarray, number: int, random: np.random.Generator
) -> np.ndarray:
    """Choose sites in random order, none close to another; return their indices."""
    sites = ase.Atoms(f"X{len(positions)}", positions, cell=edges, pbc=True)
    i, j, distances = neighbor_list("ijd", sites, FARTHEST)
    starts = np.searchsorted(i, np.arange(len(positions) + 1))
    for closest in np.arange(FARTHEST, 0.0, -0.05):
        for _ in range(20):
            free = np.ones(len(positions), bool)
            taken: list[int] = []
            for site in random.permutation(len(positions)):
                if free[site]:
                    taken.append(site)
                    near = slice(starts[site], starts[site + 1])
                    free[j[near][distances[near] < closest]] = False
                if len(taken) == number:
                    return np.sort(taken)
    raise AssertionError("unreachable: any number are apart by nothing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs=3, default=(1, 1, 1))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    atoms = build(options.cells, options.seed)
    write_pdb(atoms, options.output)
    print(f"{options.output}: {atoms.get_chemical_formula()}")


if __name__ == "__main__":
    main()
