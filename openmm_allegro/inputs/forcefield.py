# SPDX-License-Identifier: MIT
"""Make the System of a force field, as settings name it."""

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import openmm
from openmm import app, unit

from ..classical.serialized import read_system
from ..topology.formats import FORMATS
from .atoms import Atoms
from .settings import CONSTRAINTS, ForceFieldConfig
from .topologies import create_system

_PERIODIC = ("CutoffPeriodic", "Ewald", "PME", "LJPME")
# Elements of a force field's XML that hold Python, which OpenMM runs.
_SCRIPTS = ("Script", "InitializationScript")
_LISTED = 6


def force_field_system(
    config: ForceFieldConfig,
    atoms: Atoms,
    folder: Path,
    *,
    periodic: bool,
    trust: bool = False,
) -> openmm.System:
    """Make the System of the force field of some atoms.

    Parameters
    ----------
    config : ForceFieldConfig
    atoms : Atoms
    folder : Path
        Names of files are relative to it.
    periodic : bool
        Whether images may interact.
    trust : bool
        Whether files may run code: Systems as `classical.serialized.read_system` says,
        and scripts in a force field's XML.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If there is no force field, a residue has no template, a setting does not fit,
        or a file would run code and is not trusted.
    """
    files = [_resolved(name, folder) for name in config.forcefield]
    if len(files) == 1 and _root(files[0]) == "System":
        return _of_xml(config, atoms, files[0], trust)
    options = _options(config, atoms.topology, periodic)
    if files:
        _refuse_parameters(config)
        return _of_names(atoms.topology, files, options, trust)
    if atoms.file is None:
        raise ValueError(
            "expected a force field, found none: forcefield = [...] (--forcefield "
            "amber14-all.xml,amber14/tip3pfb.xml, or the XML of a System), or a "
            "topology that holds one: "
            + ", ".join(f.name for f in FORMATS.values() if f.force_field)
        )
    parameters = [folder / name for name in config.parameters]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Non-optimal GB parameters")
        return create_system(atoms.file, options, parameters)


def _of_xml(
    config: ForceFieldConfig, atoms: Atoms, path: Path | str, trust: bool
) -> openmm.System:
    """Read a System, which has settings of its own."""
    others = [name for name in config.given_names if name != "forcefield"]
    if others:
        raise ValueError(
            f"expected no settings of a force field beside the System {path}, which "
            f"has them, found {', '.join(others)}"
        )
    system = read_system(path, trust=trust)
    count = atoms.topology.getNumAtoms()
    if system.getNumParticles() != count:
        raise ValueError(
            f"expected a System of the {count} atoms of the topology in {path}, found "
            f"{system.getNumParticles()} particles"
        )
    return system


def _of_names(
    topology: app.Topology,
    files: Sequence[Path | str],
    options: dict[str, Any],
    trust: bool,
) -> openmm.System:
    for file in files:
        if isinstance(file, Path) and not trust:
            _check_scripts(file)
    names = ", ".join(map(str, files))
    try:
        field = app.ForceField(*map(str, files))
    except Exception as error:  # OpenMM's parser raises many kinds
        raise ValueError(
            f"expected files of openmm.app.ForceField (forcefield), found {names}: "
            f"{type(error).__name__}: {error}"
        ) from error
    _check_templates(field, topology, names)
    try:
        return field.createSystem(topology, flexibleConstraints=True, **options)
    except (openmm.OpenMMException, Exception) as error:  # of many kinds
        raise ValueError(
            f"expected a System of the force field {names}, found "
            f"{type(error).__name__}: {error}"
        ) from error


def _options(
    config: ForceFieldConfig, topology: app.Topology, periodic: bool
) -> dict[str, Any]:
    """Arguments of OpenMM's ``createSystem``."""
    box = topology.getPeriodicBoxVectors() if periodic else None
    method = config.nonbonded_method
    if method == "auto":
        method = "NoCutoff" if box is None else "PME"
    if method in _PERIODIC and box is None:
        raise ValueError(
            f"expected a box for nonbonded_method {method}, found none; box_nm (--box "
            'A,B,C) sets it, or nonbonded_method = "NoCutoff" leaves images out'
        )
    if method in _PERIODIC:
        _check_cutoff(config.nonbonded_cutoff_nm, box)
    constraints = CONSTRAINTS[config.constraints]
    options = {
        "nonbondedMethod": getattr(app, method),
        "nonbondedCutoff": config.nonbonded_cutoff_nm * unit.nanometer,
        "constraints": constraints and getattr(app, constraints),
        "rigidWater": config.rigid_water,
    }
    if method in ("Ewald", "PME", "LJPME"):
        options["ewaldErrorTolerance"] = config.ewald_tolerance
    if config.switch_distance_nm is not None:
        if not config.switch_distance_nm < config.nonbonded_cutoff_nm:
            raise ValueError(
                "expected switch_distance_nm below nonbonded_cutoff_nm "
                f"({config.nonbonded_cutoff_nm:g} nm), found "
                f"{config.switch_distance_nm:g} nm"
            )
        options["switchDistance"] = config.switch_distance_nm * unit.nanometer
    return options


def _check_cutoff(cutoff: float, box: Any) -> None:
    vectors = np.array([v.value_in_unit(unit.nanometer) for v in box])
    width = float(np.diag(vectors).min())
    if 2 * cutoff > width:
        raise ValueError(
            "expected nonbonded_cutoff_nm (--nonbonded-cutoff) of at most half the "
            f"box, {0.5 * width:.4g} nm, found {cutoff:g} nm; a smaller cutoff, or a "
            "larger box"
        )


def _refuse_parameters(config: ForceFieldConfig) -> None:
    for name in ("parameters", "gromacs_include"):
        if getattr(config, name):
            raise ValueError(
                f"expected {name} beside a topology that holds a force field, found "
                "forcefield beside it"
            )


def _check_templates(field: app.ForceField, topology: app.Topology, names: str) -> None:
    """Refuse residues that the force field does not know, by their names."""
    unmatched = field.getUnmatchedResidues(topology)
    if not unmatched:
        return
    bonded = {atom.residue for bond in topology.bonds() for atom in bond}
    counts = Counter(residue.name for residue in unmatched)
    texts = [f"{n} of {name}" for name, n in counts.most_common(_LISTED)]
    first = unmatched[0]
    formula = Counter(
        "EP" if atom.element is None else atom.element.symbol for atom in first.atoms()
    )
    atoms = " ".join(f"{symbol}{n}" for symbol, n in sorted(formula.items()))
    if len(list(first.atoms())) > 1 and first not in bonded:
        remedy = (
            'it has no bonds: CONECT records give them, or bonds = "distances" '
            "(--bonds distances)"
        )
    elif "H" not in formula:
        remedy = (
            "it has no hydrogens: openmm.app.Modeller.addHydrogens or pdbfixer adds "
            "them"
        )
    else:
        remedy = (
            "add an XML with its template to forcefield (openmmforcefields makes them "
            "by GAFF or OpenFF for molecules), or give the XML of a whole System"
        )
    raise ValueError(
        f"expected templates of all residues in the force field {names}, found none "
        f"for {', '.join(texts)}; the first is {first.name} {first.id} of {atoms}: "
        f"{remedy}"
    )


def _resolved(name: str, folder: Path) -> Path | str:
    """Path of a file, or the name as it is of one that OpenMM has."""
    path = folder / name
    return path if path.is_file() else name


def _root(file: Path | str) -> str:
    """Name of the first element of an XML file, empty if it is none."""
    if isinstance(file, str):
        return ""
    try:
        with open(file, "rb") as stream:
            _, element = next(ElementTree.iterparse(stream, events=("start",)))
        return element.tag
    except (ElementTree.ParseError, StopIteration):
        return ""


def _check_scripts(path: Path, seen: tuple[Path, ...] = ()) -> None:
    """Refuse scripts in a file of a force field, and in those that it includes."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(
            f"{path}: expected the XML of a force field, found {error}"
        ) from error
    found = [child.tag for child in root if child.tag in _SCRIPTS]
    if found:
        raise ValueError(
            f"{path}: expected the XML of a force field without Python, found a "
            f"{found[0]}, which OpenMM would run; trust (--trust) takes it, as you "
            "would run the programs of whoever made it"
        )
    for child in root.iter("Include"):
        other = path.parent / child.attrib.get("file", "")
        if other.is_file() and other not in seen:
            _check_scripts(other, (*seen, path))
