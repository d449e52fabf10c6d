# SPDX-License-Identifier: MIT
"""Put solute.pdb (ACE-ALA-NME) into water: solvated.pdb.

python systems/alanine_water/build_box.py [--box 24] [--force]
"""

import argparse
import sys
from pathlib import Path

from openmm import Vec3, app, unit

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from common import refuse_existing  # noqa: E402

FORCE_FIELD = ("amber14-all.xml", "amber14/tip3pfb.xml")
CUTOFF = 9.0  # Å, of Lennard-Jones and of the direct part of PME


def solvate(pdb, box):
    """Put the solute into the middle of a cube (edge in Å) of TIP3P-FB water."""
    modeller = app.Modeller(pdb.topology, pdb.positions)
    modeller.addSolvent(
        app.ForceField(*FORCE_FIELD),
        model="tip3p",
        boxSize=Vec3(box, box, box) * unit.angstrom,
        neutralize=False,
    )
    return modeller


def classical_system(topology):
    """Make the System: Amber14 and TIP3P-FB, PME, bonds to hydrogen constrained."""
    return app.ForceField(*FORCE_FIELD).createSystem(
        topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=CUTOFF * unit.angstrom,
        constraints=app.HBonds,
    )


def solute_atoms(topology):
    """List the atoms that are not of water."""
    return [atom.index for atom in topology.atoms() if atom.residue.name != "HOH"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--solute", type=Path, default=FOLDER / "solute.pdb")
    parser.add_argument("--box", type=float, default=24.0, help="edge, Å")
    parser.add_argument("--output", type=Path, default=FOLDER / "solvated.pdb")
    parser.add_argument("--force", action="store_true", help="replace the output")
    options = parser.parse_args()
    refuse_existing(parser, options.output, options.force)
    if options.box < 2 * CUTOFF:
        parser.error(f"expected --box of at least {2 * CUTOFF} Å, found {options.box}")

    modeller = solvate(app.PDBFile(str(options.solute)), options.box)
    with options.output.open("w") as file:
        app.PDBFile.writeFile(modeller.topology, modeller.positions, file)
    atoms = modeller.topology.getNumAtoms()
    solute = len(solute_atoms(modeller.topology))
    print(f"{options.output}: {solute} atoms in {(atoms - solute) // 3} waters")


if __name__ == "__main__":
    main()
