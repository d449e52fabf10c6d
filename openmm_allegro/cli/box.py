# SPDX-License-Identifier: MIT
"""``openmm-allegro box``: a liquid of molecules, or a supercell of a crystal."""

import argparse
import io
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from ..inputs.settings import InputsConfig
from ..simulate.settings import PACKED_TOLERANCE
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options
from .outcome import Outcome
from .output import add_overwrite_option, check_free

_ENDINGS = (".pdb", ".cif", ".mmcif")
_UNITS = {"box": "nm"}
_OF_CRYSTALS = ("positions", "frame", "atom_style", "box_nm", "elements")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.usage = (
        "%(prog)s MOLECULE=COUNT [...] --density G/CM3 | --box A,B,C  --output FILE\n"
        "       %(prog)s CRYSTAL --repeat A B C  --output FILE"
    )
    parser.description += (
        " A molecule is the symbol of an ion (Na), water, smiles:CCO (with rdkit; "
        "'smiles:CCO EOH=64' names it), or an xyz, sdf or PDB file; packmol "
        "places them. A crystal is a POSCAR, CIF, extxyz, PDB, LAMMPS data or other "
        "file that simulate reads. Bonds are the file's, or found by distances, and "
        "are written."
    )
    parser.add_argument("inputs", nargs="+", metavar="MOLECULE=COUNT, or CRYSTAL")
    parser.add_argument(
        "--output", type=Path, required=True, help="file to write: .pdb, .cif or .mmcif"
    )
    parser.add_argument(
        "--density", type=float, metavar="G/CM3", help="density of the liquid, g/cm³"
    )
    parser.add_argument(
        "--repeat",
        type=int,
        nargs=3,
        metavar=("A", "B", "C"),
        help="copies of the crystal's cell along each of its vectors",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=2.0,
        metavar="A",
        help="how far molecules are packed apart, Å: 1.3 of it between heavy atoms, "
        "0.8 between hydrogens (default 2.0)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of packmol's random numbers (default 1)"
    )
    add_settings(parser, InputsConfig, _OF_CRYSTALS)
    add_overwrite_option(parser)


def box(options: argparse.Namespace) -> Outcome:
    """Make the box, write it, and print what it is and what to type next."""
    if options.output.suffix.lower() not in _ENDINGS:
        raise ValueError(
            f"expected an output named {', '.join(_ENDINGS)}, found {options.output}"
        )
    check_free(options.output, options.force)
    made = _pack(options) if _counts(options.inputs) else _repeat(options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    _write(options.output, *made)
    print(f"made:     {_described(made.topology)}")
    rounded = options.output.suffix.lower() == ".pdb"
    note = ", positions to 0.001 Å (.cif has more digits)" if rounded else ""
    print(f"written:  {options.output}{note}")
    path = shlex.quote(str(options.output))
    command = f"openmm-allegro simulate MODEL {path} --output runs/NAME"
    if _counts(options.inputs):  # packed molecules repel each other
        command += f" --minimize-tolerance {PACKED_TOLERANCE}"
    print(f"simulate: {command}")
    return Outcome(
        _results(made.topology), _UNITS, files=[options.output], next=[command]
    )


def _counts(inputs: list[str]) -> list[tuple[str, int]]:
    """Molecules and their numbers; empty of a crystal."""
    counts = []
    for text in inputs:
        name, mark, number = text.rpartition("=")
        if mark and number.isdigit() and int(number) > 0 and name:
            counts.append((name, int(number)))
    uncounted = any("=" in text and not Path(text).is_file() for text in inputs)
    if (counts or uncounted) and len(counts) != len(inputs):
        raise ValueError(
            "expected a number of at least 1 for each molecule (water.xyz=64), found "
            + " ".join(inputs)
        )
    if not counts and len(inputs) > 1:
        raise ValueError(
            "expected molecules with their numbers (water.xyz=64 Na=2), or the file of "
            f"one crystal and --repeat, found {' '.join(inputs)}"
        )
    return counts


def _pack(options: argparse.Namespace) -> Any:
    from ..inputs.molecules import read_molecule, with_own_names
    from ..inputs.packing import box_of_density, pack

    given = given_options(options, InputsConfig)
    edges = given.get("box_nm")
    others = [f"--{n.replace('_', '-')}" for n in given if n in _OF_CRYSTALS[:3]]
    if options.repeat:
        others.append("--repeat")
    if others:
        raise ValueError(
            f"expected {' and '.join(others)} beside a crystal, found molecules"
        )
    if (options.density is None) == (edges is None):
        found = "neither" if edges is None else "both"
        raise ValueError(
            f"expected --density in g/cm³, or --box of three lengths in nm, found "
            f"{found}"
        )
    if options.density is not None and not options.density > 0:
        raise ValueError(f"expected --density above 0, found {options.density}")
    if not options.tolerance > 0:
        raise ValueError(f"expected --tolerance above 0, found {options.tolerance}")
    counts = _counts(options.inputs)
    molecules = with_own_names(
        [read_molecule(name, given.get("elements")) for name, _ in counts]
    )
    numbers = [number for _, number in counts]
    if edges is None:
        edges = box_of_density(molecules, numbers, options.density)
    if len(edges) != 3:
        raise ValueError(
            f"expected --box of three lengths for molecules, found {len(edges)} numbers"
        )
    return pack(
        molecules, numbers, edges, tolerance=options.tolerance, seed=options.seed
    )


def _repeat(options: argparse.Namespace) -> Any:
    from ..inputs.atoms import read_atoms
    from ..inputs.supercell import supercell

    if options.density is not None:
        raise ValueError(
            "expected --density beside molecules and their numbers (water.xyz=64), "
            "found a crystal"
        )
    config = InputsConfig(**given_options(options, InputsConfig))
    atoms = read_atoms(config, options.inputs[0], Path())
    return supercell(atoms.topology, atoms.positions, options.repeat or (1, 1, 1))


def _write(path: Path, topology: Any, positions: Any) -> None:
    """Write PDB or PDBx/mmCIF with all bonds."""
    from ..simulate.topology_file import write_topology
    from ..utils.files import replace_file

    if path.suffix.lower() == ".pdb":
        write_topology(path, topology, positions)
        return
    from openmm import app

    # Bonds are told apart by these.
    for number, chain in enumerate(topology.chains(), start=1):
        chain.id = f"C{number}"
        for place, residue in enumerate(chain.residues(), start=1):
            residue.id = str(place)
    text = io.StringIO()
    app.PDBxFile.writeFile(topology, positions, text, keepIds=True)
    replace_file(path, text.getvalue())


def _results(topology: Any) -> dict[str, Any]:
    """Atoms, molecules and box of what was made."""
    from openmm import unit

    vectors = topology.getPeriodicBoxVectors().value_in_unit(unit.nanometer)
    return {
        "atoms": topology.getNumAtoms(),
        "elements": Counter(atom.element.symbol for atom in topology.atoms()),
        "residues": Counter(residue.name for residue in topology.residues()),
        "bonds": topology.getNumBonds(),
        "box": [list(vector) for vector in vectors],
    }


def _described(topology: Any) -> str:
    """Atoms, box, density and bonds of what was made."""
    import openmm

    from ..classical.bonds import bond_markers
    from ..simulate.atoms import describe_atoms

    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
    system.addForce(bond_markers(topology, True))
    return f"{describe_atoms(topology, system)}, {topology.getNumBonds():,} bonds"
