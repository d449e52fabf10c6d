# SPDX-License-Identifier: MIT
"""Build the box of aqueous NaCl: water and ion pairs packed into a periodic cube.

The defaults are the composition and cell of many frames of the training data: 60 H2O
and 2 NaCl (1.85 mol/kg) in a cube of 12.42 Å.

    python systems/nacl_aq/build_box.py --output packed.pdb
"""

import argparse
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
from openmm import Vec3, unit
from openmm.app import Element, PDBFile, Topology

from openmm_allegro.inputs.packing import run_packmol

# Water's geometry, near that of the liquid.
OH_LENGTH = 0.98  # Å
HOH_ANGLE = 105.0  # degrees

# Least distance of two atoms of different molecules: the sum of their radii. Packmol's
# default of 2.0 Å for every pair would allow O-O and Cl-O contacts far inside the
# repulsive wall, where a machine-learned potential has seen no data.
RADIUS = {"O": 1.3, "H": 0.8, "Na": 1.1, "Cl": 1.7}  # Å


def build_box(waters, ion_pairs, box, seed):
    """Pack water and ions into a periodic cube.

    Parameters
    ----------
    waters, ion_pairs : int
        Numbers of H2O and of Na+ Cl- pairs.
    box : float
        Edge of the cube, Å.
    seed : int
        Seed of packmol's random numbers.

    Returns
    -------
    topology : openmm.app.Topology
        Residues HOH, NA, CL with O-H bonds and the periodic box.
    positions : openmm.unit.Quantity
        Shape (atoms, 3); every molecule is whole.
    """
    positions = pack(waters, ion_pairs, box, seed)
    return make_topology(waters, ion_pairs, box), positions * unit.angstrom


def pack(waters, ion_pairs, box, seed):
    """Pack by packmol; positions (atoms, 3) in Å of O H H of waters, then Na, Cl."""
    half = math.radians(HOH_ANGLE) / 2
    x, y = OH_LENGTH * math.sin(half), OH_LENGTH * math.cos(half)
    water = [("O", (0, 0, 0)), ("H", (x, y, 0)), ("H", (-x, y, 0))]
    molecules = [
        ("water", water, waters),
        ("sodium", [("Na", (0, 0, 0))], ion_pairs),
        ("chloride", [("Cl", (0, 0, 0))], ion_pairs),
    ]
    with tempfile.TemporaryDirectory() as folder:
        lines = ["tolerance 2.0", "filetype xyz", "output packed.xyz", f"seed {seed}"]
        # A box with room packs within a few loops; the default of 50 per molecule
        # would search a too small one for minutes.
        lines += [f"pbc {box} {box} {box}", "nloop 50"]
        for name, atoms, count in molecules:
            if count:
                Path(folder, f"{name}.xyz").write_text(xyz(name, atoms))
                lines += [f"structure {name}.xyz", f"  number {count}"]
                for i, (element, _) in enumerate(atoms, start=1):
                    lines += [f"  atoms {i}", f"    radius {RADIUS[element]}"]
                    lines += ["  end atoms"]
                lines += ["end structure"]
        if not run_packmol("\n".join(lines) + "\n", folder):
            raise RuntimeError(
                f"expected a box with room for every molecule, found {box} Å, with "
                "which packmol did not converge; enlarge --box, pack fewer molecules "
                "or try another --seed"
            )
        rows = Path(folder, "packed.xyz").read_text().splitlines()[2:]
    positions = np.array([row.split()[1:4] for row in rows], dtype=float)
    expected = (3 * waters + 2 * ion_pairs, 3)
    if positions.shape != expected:
        raise RuntimeError(f"expected {expected} from packmol, found {positions.shape}")
    return positions


def xyz(name, atoms):
    """Write one molecule as text in the xyz format."""
    rows = [f"{e} {x:.6f} {y:.6f} {z:.6f}" for e, (x, y, z) in atoms]
    return "\n".join([str(len(atoms)), name, *rows]) + "\n"


def make_topology(waters, ion_pairs, box):
    """Make the topology in the order of `pack`."""
    topology = Topology()
    chain = topology.addChain()
    for _ in range(waters):
        residue = topology.addResidue("HOH", chain)
        oxygen, *hydrogens = (
            topology.addAtom(name, Element.getBySymbol(name[0]), residue)
            for name in ("O", "H1", "H2")
        )
        for hydrogen in hydrogens:
            topology.addBond(oxygen, hydrogen)
    for symbol in ["Na"] * ion_pairs + ["Cl"] * ion_pairs:
        residue = topology.addResidue(symbol.upper(), chain)
        topology.addAtom(symbol.upper(), Element.getBySymbol(symbol), residue)
    edge = box / 10  # nm
    topology.setPeriodicBoxVectors(
        (Vec3(edge, 0, 0), Vec3(0, edge, 0), Vec3(0, 0, edge)) * unit.nanometer
    )
    return topology


def main():
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(
        description="Pack water and NaCl into a periodic cube and write a PDB file.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--waters", type=int, default=60, help="number of H2O")
    parser.add_argument("--ions", type=int, default=2, help="number of Na+ Cl- pairs")
    parser.add_argument("--box", type=float, default=12.42, help="edge of the cube, Å")
    parser.add_argument("--seed", type=int, default=1, help="packmol's random seed")
    parser.add_argument("--output", type=Path, default=here / "packed.pdb")
    parser.add_argument(
        "--force", action="store_true", help="overwrite an existing output"
    )
    args = parser.parse_args()

    if args.waters < 0 or args.ions < 0 or args.waters + args.ions == 0:
        parser.error(
            "expected --waters and --ions of 0 or more and at least one molecule, "
            f"found {args.waters} and {args.ions}"
        )
    if not (math.isfinite(args.box) and args.box > 0):
        parser.error(f"expected --box above 0 Å, found {args.box}")
    if args.seed < 1:  # packmol takes a negative seed for "seed me by the clock"
        parser.error(f"expected --seed of 1 or more, found {args.seed}")
    if not args.output.parent.is_dir():
        parser.error(f"--output: no such folder: {args.output.parent}")
    if args.output.exists() and not args.force:
        parser.error(f"{args.output} exists; pass --force to overwrite it")

    try:
        topology, positions = build_box(args.waters, args.ions, args.box, args.seed)
    except (ImportError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    with args.output.open("w") as file:
        PDBFile.writeFile(topology, positions, file)
    print(
        f"{args.output}: {args.waters} H2O, {args.ions} NaCl, "
        f"{topology.getNumAtoms()} atoms in a cube of {args.box} Å"
    )


if __name__ == "__main__":
    main()
