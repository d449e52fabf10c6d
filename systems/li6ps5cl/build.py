# SPDX-License-Identifier: MIT
"""Build Li6PS5Cl: cells of the argyrodite, 416 or 104 atoms, with S/Cl disorder.

The large box has 2 x 2 x 2 cubic cells. The small one has 2 x 2 x 2 primitive cells: a
rhombic dodecahedron as OpenMM makes one, whose images are 14.0 Å away.

Disorder is the part of the 4a sites that hold S, and of the 4c sites that hold Cl: 0 is
the ordered crystal, 0.5 the training data, 1 a crystal with all Cl on 4c. Space group
and sites: Kraft et al., J. Am. Chem. Soc. 139, 10909 (2017), doi:10.1021/jacs.7b06327.
Each pair of 48h sites holds one Li, at random.

    python systems/li6ps5cl/build.py --disorder 0.5 --output d50.pdb
"""

import argparse
import sys
from pathlib import Path

import ase
import numpy as np
from ase.build import make_supercell
from ase.spacegroup import crystal

sys.path.insert(0, str(Path(__file__).parents[1]))

from solids import assemble, write_pdb

LATTICE = 9.925213  # Å, of the training data
# Half of the edge of 20.3124 Å of the published AIMD's frames (source: README.md); its
# g(r) of P-S integrates to four S around P with that volume.
AIMD_LATTICE = 10.1562
CELLS = 2
SITES = {
    "Li": (0.3128, 0.0247, 0.6872),  # 48h, half of them empty
    "P": (0.0, 0.0, 0.5),  # 4b
    "S": (0.1190, -0.1190, 0.6190),  # 16e, of PS4
    "4a": (0.0, 0.0, 0.0),
    "4c": (0.25, 0.25, 0.75),
}
# Vectors of the small box, in those of a cubic cell.
DODECAHEDRON = ((1, -1, 0), (1, 1, 0), (1, 0, 1))
PAIR = 2.3  # Å, above the distance of two 48h sites that share one Li


def build(
    disorder: float, seed: int = 1, lattice: float = LATTICE, small: bool = False
) -> ase.Atoms:
    """Build the crystal with `disorder` between 0 and 1, to the nearest whole atom.

    Raises
    ------
    ValueError
        If `disorder` is not between 0 and 1.
    """
    if not 0 <= disorder <= 1:
        raise ValueError(f"expected a disorder from 0 to 1, found {disorder}")
    random = np.random.default_rng(seed)
    box = np.eye(3) * lattice * CELLS

    def sites(name: str) -> np.ndarray:
        nonlocal box
        atoms = crystal(
            "X", [SITES[name]], spacegroup=216, cellpar=[lattice] * 3 + [90] * 3
        )
        if not small:
            return atoms.repeat(CELLS).get_positions()
        atoms = make_supercell(atoms, DODECAHEDRON)
        box = atoms.cell.standard_form()[0].array
        return atoms.get_scaled_positions() @ box

    lithium = sites("Li")
    offsets = (lithium[:, None] - lithium) @ np.linalg.inv(box)
    # the nearest images of what is near; those of the rest do not matter
    distances = np.linalg.norm((offsets - np.round(offsets)) @ box, axis=-1)
    np.fill_diagonal(distances, np.inf)
    partner = distances.argmin(1)
    mutual = partner[partner] == np.arange(len(partner))
    if distances.min(1).max() > PAIR or not mutual.all():
        raise ValueError(f"expected 48h sites in pairs closer than {PAIR} Å")
    first = np.flatnonzero(np.arange(len(partner)) < partner)
    chosen = np.where(random.random(len(first)) < 0.5, first, partner[first])

    a, c = sites("4a"), sites("4c")
    swapped = round(disorder * len(a))
    cl_on_c = random.permutation(len(c))[:swapped]
    s_on_a = random.permutation(len(a))[:swapped]
    positions = {
        "Li": lithium[chosen],
        "P": sites("P"),
        "S": np.concatenate((sites("S"), a[s_on_a], np.delete(c, cl_on_c, 0))),
        "Cl": np.concatenate((np.delete(a, s_on_a, 0), c[cl_on_c])),
    }
    return assemble(positions, box)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--disorder", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lattice", type=float, default=LATTICE, help="Å, of one cell")
    parser.add_argument("--small", action="store_true", help="the box of 104 atoms")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    atoms = build(options.disorder, options.seed, options.lattice, options.small)
    write_pdb(atoms, options.output)
    print(f"{options.output}: {atoms.get_chemical_formula()}")


if __name__ == "__main__":
    main()
