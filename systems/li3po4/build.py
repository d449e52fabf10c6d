# SPDX-License-Identifier: MIT
"""Build crystalline Li3PO4 in the glass' cell: 128 atoms of the gamma phase.

Space group Pnma; sites of Yakubovich and Urusov, Crystallogr. Rep. 42, 261 (1997), with
axes exchanged and scaled to the cell of the teacher's trajectories.

    python systems/li3po4/build.py --output crystal.pdb
"""

import argparse
import sys
from pathlib import Path

import ase
import numpy as np
from ase.spacegroup import crystal

sys.path.insert(0, str(Path(__file__).parents[1]))

from solids import write_pdb

CELL = (12.23, 10.4788, 9.7108)  # Å: 2 b, a, 2 c
SITES = {
    "Li": [(0.1639, 0.5013, 0.3013), (0.4237, 0.75, 0.2056)],
    "P": [(0.4115, 0.25, 0.3081)],
    "O": [(0.3417, 0.0436, 0.2056), (0.0503, 0.25, 0.2936), (0.0895, 0.75, 0.1223)],
}


def build() -> ase.Atoms:
    """Build 2 x 1 x 2 cells of the crystal."""
    b2, a, c2 = CELL
    atoms = crystal(
        [symbol for symbol, sites in SITES.items() for _ in sites],
        [site for sites in SITES.values() for site in sites],
        spacegroup=62,
        cellpar=[a, b2 / 2, c2 / 2, 90, 90, 90],
    ).repeat((1, 2, 2))
    order = np.argsort([list(SITES).index(s) for s in atoms.symbols], kind="stable")
    atoms = atoms[order]
    # the axes in the order of the teacher's cell; an exchange of two keeps distances
    positions = atoms.get_positions()[:, [1, 0, 2]]
    return ase.Atoms(atoms.get_chemical_symbols(), positions, cell=CELL, pbc=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    atoms = build()
    write_pdb(atoms, options.output)
    print(f"{options.output}: {atoms.get_chemical_formula()}")


if __name__ == "__main__":
    main()
