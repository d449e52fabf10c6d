# SPDX-License-Identifier: MIT
"""Turn a frame of the data into a box with whole, named molecules and their bonds.

OpenMM's barostats move molecules, which they find by bonds; extxyz has none.

    python systems/ec_emc/build_box.py --frame 9 --output frame.pdb
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import ase.io
import numpy as np
from ase.neighborlist import natural_cutoffs, neighbor_list
from openmm import Vec3, unit
from openmm.app import Element, PDBFile, Topology

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import refuse_existing

RESIDUES = {"C3H4O3": "EC", "C4H8O3": "EMC"}


def build_box(frame):
    """Sort a periodic frame into molecules, with a topology.

    Parameters
    ----------
    frame : ase.Atoms
        With an orthorhombic cell.

    Returns
    -------
    topology : openmm.app.Topology
        Residues EC, then EMC, with bonds and the box.
    positions : ndarray [N, 3]
        Å; every molecule is whole.
    order : list of int
        Index of each atom in the frame.

    Raises
    ------
    ValueError
        If a molecule is neither EC nor EMC.
    """
    molecules, bonds, positions = find_molecules(frame)
    symbols = frame.get_chemical_symbols()
    named = sorted((residue_name(symbols, m), m) for m in molecules)
    topology, atoms = Topology(), {}
    chain = topology.addChain()
    for name, molecule in named:
        residue, count = topology.addResidue(name, chain), Counter()
        for i in molecule:
            count[symbols[i]] += 1
            label = f"{symbols[i]}{count[symbols[i]]}"
            atoms[i] = topology.addAtom(label, Element.getBySymbol(symbols[i]), residue)
    for i, j in bonds:
        topology.addBond(atoms[i], atoms[j])
    lengths = frame.cell.lengths() / 10  # nm
    topology.setPeriodicBoxVectors(
        [Vec3(*row) for row in np.diag(lengths)] * unit.nanometer
    )
    order = [i for _, molecule in named for i in molecule]
    return topology, positions[order], order


def find_molecules(frame):
    """Find molecules (lists of atoms), bonds (i, j), and whole positions (Å).

    A bond is a pair nearer than 1.25 times the sum of its covalent radii.
    """
    cutoffs = natural_cutoffs(frame, mult=1.25)
    first, second, vectors = neighbor_list("ijD", frame, cutoffs)
    neighbors = [[] for _ in frame]
    for i, j, vector in zip(first.tolist(), second.tolist(), vectors, strict=True):
        neighbors[i].append((j, vector))
    positions, molecules, seen = frame.get_positions(), [], set()
    for start in range(len(frame)):
        if start in seen:
            continue
        molecule, waiting = [], [start]
        seen.add(start)
        while waiting:
            i = waiting.pop()
            molecule.append(i)
            for j, vector in neighbors[i]:
                if j not in seen:
                    seen.add(j)
                    positions[j] = positions[i] + vector
                    waiting.append(j)
        molecules.append(sorted(molecule))
    bonds = [(i, j) for i, near in enumerate(neighbors) for j, _ in near if i < j]
    return molecules, bonds, positions


def residue_name(symbols, molecule):
    """Name a molecule EC or EMC by its composition; ValueError for any other."""
    count = Counter(symbols[i] for i in molecule)
    formula = "".join(f"{element}{count[element]}" for element in sorted(count))
    if formula not in RESIDUES:
        raise ValueError(f"expected molecules {RESIDUES}, found {formula}")
    return RESIDUES[formula]


def main():
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=here / "data" / "test.extxyz")
    parser.add_argument("--frame", type=int, default=9, help="index in the data")
    parser.add_argument("--output", type=Path, default=here / "frame.pdb")
    parser.add_argument("--force", action="store_true", help="replace the output")
    options = parser.parse_args()
    refuse_existing(parser, options.output, options.force)

    frame = ase.io.read(options.data, options.frame)
    topology, positions, _ = build_box(frame)
    with options.output.open("w") as file:
        PDBFile.writeFile(topology, positions * unit.angstrom, file)
    names = Counter(residue.name for residue in topology.residues())
    density = frame.get_masses().sum() / frame.get_volume() * 1.66053907
    print(f"{options.output}: {dict(names)}, {density:.3f} g/cm³")


if __name__ == "__main__":
    main()
