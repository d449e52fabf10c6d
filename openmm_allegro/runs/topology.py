# SPDX-License-Identifier: MIT
"""Topologies of the files that mdtraj reads, with elements that are no guesses."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..topology.cif import check_sites, read_atom_sites
from ..topology.elements import find_elements
from ..topology.formats import FORMATS, format_of
from ..topology.frames import OF_ASE, read_frame
from ..topology.masses import symbol_of_mass
from ..topology.names import SITE, SYMBOLS, is_symbol, is_water, symbol_of
from ..topology.pdb import read_pdb
from ..topology.records import Records
from ..utils.hdf5 import check_hdf5

_PDB = (".pdb", ".pdb.gz", ".ent")
_CIF = (".cif", ".cif.gz", ".mmcif", ".mmcif.gz", ".pdbx", ".pdbx.gz")
# Formats that have the element of each atom, or its mass.
_STATING = (".h5", ".hdf5", ".lh5")
# Elements of the force field GAFF.
_GAFF = ("c", "h", "n", "o", "s", "p", "f", "i", "cl", "br")


def load_topology(
    path: str | Path, elements: Mapping[str, str] | None = None, *, own: bool = False
) -> Any:
    """Read the topology of a PDB, mmCIF, GRO, PSF, prmtop, HDF5 or other file.

    Parameters
    ----------
    path : path
    elements : mapping of str to str, optional
        Elements by names of atoms: ``{"SOD": "Na"}``, ``{"LIG:C1": "C"}`` for those of
        a residue, ``{"C*": "C"}`` for all names that begin so; ``"EP"`` for a virtual
        site.
    own : bool, optional
        Whether a run of this package wrote the file, and its elements are true.

    Returns
    -------
    mdtraj.Topology

    Raises
    ------
    OSError
        If there is no such file, or mdtraj does not know the format.
    ValueError
        If it cannot be read, or the element of an atom can only be guessed from its
        name, or contradicts it.
    """
    ending, kind = _ending(path), format_of(path)
    if kind in (*OF_ASE, "lammps-data"):
        several = 0 if FORMATS[kind].frames else None
        records = read_frame(path, kind, elements, frame=several)
        return _of_records(records, {}, path, own)
    _check_format(path, kind)
    if ending in _PDB:
        return _of_records(read_pdb(path), elements or {}, path, own)
    import mdtraj

    sites = read_atom_sites(path) if ending in _CIF else None
    check_hdf5(path)
    try:
        topology = mdtraj.load_topology(str(path))
    except OSError:
        raise
    except Exception as error:  # mdtraj's parsers raise many kinds
        raise ValueError(
            f"{path}: expected a topology that mdtraj reads, found one that is damaged "
            f"or of another kind ({type(error).__name__}: {error})"
        ) from error
    if sites is not None:
        ids = [str(atom.serial) for atom in topology.atoms]
        _say(check_sites(sites, ids, str(path)), path)
        by_id = dict(zip(sites.ids, sites.stated, strict=True))
        stated = [by_id[key] for key in ids]
    elif ending == ".psf":
        stated = _of_masses(path)
    elif ending == ".mol2":
        stated = _of_types(path)
    elif ending in _STATING or _has_atomic_numbers(path, ending):
        stated = [_symbol(atom.element) for atom in topology.atoms]
    else:
        stated = [None] * topology.n_atoms
    names = [atom.name for atom in topology.atoms]
    places = [atom.residue.index for atom in topology.atoms]
    residues = [residue.name for residue in topology.residues]
    symbols = find_elements(
        names, residues, places, stated, elements or {}, str(path), own
    )
    known = _elements()
    for atom, symbol in zip(topology.atoms, symbols, strict=True):
        atom.element = known(symbol)
    return _with_sites_bonded(topology)


def _check_format(path: str | Path, kind: str) -> None:
    """Refuse formats that have no names of atoms, or that mdtraj cannot read."""
    if kind in ("inpcrd", "crd", "top", "lammps-dump"):
        remedy = {
            "inpcrd": "its prmtop is one",
            "crd": "its psf is one",
            "top": "a gro or PDB file of the same atoms is one",
            "lammps-dump": "a PDB file or LAMMPS data of the same atoms is one",
        }
        raise ValueError(
            f"{path}: expected a topology, found {FORMATS[kind].name}; {remedy[kind]}"
        )


def _of_records(
    records: Records, given: Mapping[str, str], path: str | Path, own: bool
) -> Any:
    """Make a topology of a PDB file's records, with the names that mdtraj gives."""
    import mdtraj
    from mdtraj.formats import PDBTrajectoryFile

    symbols = find_elements(
        records.names,
        records.residue_names,
        records.residue_of,
        records.stated,
        given,
        str(path),
        own,
    )
    _say(records.remarks, path)
    PDBTrajectoryFile._loadNameReplacementTables()
    of_residues = PDBTrajectoryFile._residueNameReplacements
    of_atoms = PDBTrajectoryFile._atomNameReplacements
    topology, known = mdtraj.Topology(), _elements()
    chains = [topology.add_chain(name or None) for name in records.chains]
    residues = []
    for name, number, _, segment, chain in records.residues:
        name = of_residues.get(name, name)
        residues.append(topology.add_residue(name, chains[chain], number, segment))
    for index, place in enumerate(records.residue_of):
        residue, name = residues[place], records.names[index]
        topology.add_atom(
            of_atoms.get(residue.name, {}).get(name, name),
            known(symbols[index]),
            residue,
            serial=records.serials[index],
            formal_charge=records.charges[index],
        )
    topology.create_standard_bonds()
    topology.create_disulfide_bonds(records.positions)
    atoms = list(topology.atoms)
    there = {tuple(sorted((a.index, b.index))) for a, b in topology.bonds}
    for first, second in records.bonds.tolist():
        if (first, second) not in there:
            topology.add_bond(atoms[first], atoms[second])
    return _with_sites_bonded(topology)


def _with_sites_bonded(topology: Any) -> Any:
    """Bond virtual sites of waters to the oxygen, lest they count as molecules."""
    there: set[tuple[int, int]] | None = None
    for residue in topology.residues:
        if residue.n_atoms < 4 or not is_water(residue.name):
            continue
        symbols = [atom.element.symbol for atom in residue.atoms]
        if "O" not in symbols or "VS" not in symbols:
            continue
        oxygen = residue.atom(symbols.index("O"))
        if there is None:
            there = {tuple(sorted((a.index, b.index))) for a, b in topology.bonds}
        for atom, symbol in zip(residue.atoms, symbols, strict=True):
            pair = tuple(sorted((oxygen.index, atom.index)))
            if symbol == "VS" and pair not in there:
                topology.add_bond(oxygen, atom)
    return topology


def _say(remarks: list[str], path: str | Path) -> None:
    for remark in remarks:
        warnings.warn(f"{path}: {remark}", stacklevel=4)


def _ending(path: str | Path) -> str:
    path = Path(path)
    packed = path.suffix.lower() == ".gz"
    return (Path(path.stem).suffix if packed else "").lower() + path.suffix.lower()


def _elements() -> Any:
    """Make a function that finds mdtraj's element of a symbol."""
    from mdtraj.core import element

    made = {SITE: element.virtual}

    def known(symbol: str) -> Any:
        if symbol not in made:
            made[symbol] = element.get_by_symbol(symbol)
        return made[symbol]

    return known


def _symbol(element: Any) -> str | None:
    """Symbol that a file states by mdtraj's element; None where it states none."""
    if element is None:
        return None
    return SITE if element.symbol == "VS" else element.symbol


def _has_atomic_numbers(path: str | Path, ending: str) -> bool:
    if ending not in (".prmtop", ".parm7", ".prm7", ".top"):
        return False
    with open(path, encoding="utf-8", errors="replace") as file:
        return any(line.startswith("%FLAG ATOMIC_NUMBER") for line in file)


def _of_masses(path: str | Path) -> list[str | None]:
    """Elements of a PSF file by its masses; None where a mass is that of no element."""
    from mdtraj.core.element import Element

    masses = {symbol: Element.getBySymbol(symbol).mass for symbol in SYMBOLS[:103]}
    stated: list[str | None] = []
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = iter(file)
        count = next((int(x.split()[0]) for x in lines if "!NATOM" in x), 0)
        for _, line in zip(range(count), lines, strict=False):
            stated.append(symbol_of_mass(float(line.split()[7]), masses))
    return stated


def _of_types(path: str | Path) -> list[str | None]:
    """Elements of a MOL2 file by its types of atoms; None where a type states none.

    SYBYL's begin with the symbol, as C.3 or Na. GAFF's are in small letters, and the
    first one is the element but for cl and br: ca is a carbon. In others, as Amber's CA
    and OS, mdtraj takes the same letters for metals.
    """
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    number = text.count("@<TRIPOS>MOLECULE")
    if number != 1:
        raise ValueError(f"{path}: expected one molecule, found {number}")
    lines = text.partition("@<TRIPOS>ATOM")[2].partition("@<TRIPOS>")[0].splitlines()
    kinds = [fields[5] for line in lines if len(fields := line.split()) > 5]
    return [_of_type(kind) for kind in kinds]


def _of_type(kind: str) -> str | None:
    if kind in ("Du", "LP"):
        return SITE
    if kind.islower():
        start = kind if kind in ("cl", "br") else kind[0]
        return symbol_of(start) if start in _GAFF else None
    start = kind.partition(".")[0]
    return start if is_symbol(start) else None
