# SPDX-License-Identifier: MIT
"""Pack molecules into a periodic box with packmol."""

import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from openmm import app, unit

from ..plugin.search import find_pairs
from ..units import NM_TO_ANGSTROM
from ..utils.progress import log_if_long
from .coordinates import Coordinates
from .molecules import Molecule

log = logging.getLogger(__name__)

# g/cm³ of one Da in a nm³.
_DENSITY = 1.66053906660e-3
# Radii in parts of the tolerance: an H may come nearer than a heavy atom. With 2 Å they
# are 0.8 and 1.3 Å, so that no two oxygens begin inside of their repulsive wall.
_HYDROGEN, _HEAVY = 0.4, 0.65
# Parts of the tolerance that are tried, if there is no room for all of it.
_TRIES = (1.0, 0.9, 0.8)
# Loops of packmol, and seconds: a box with room is packed within a few.
_LOOPS, _SECONDS = 40, 120
# Part of the box that spheres of heavy atoms may fill: 2.5 times that of water.
_FULL = 0.4


def box_of_density(
    molecules: Sequence[Molecule], counts: Sequence[int], density: float
) -> np.ndarray:
    """Edges (3,) in nm of the cube in which molecules have a density.

    Parameters
    ----------
    molecules : sequence of Molecule
    counts : sequence of int
    density : float
        g/cm³.
    """
    mass = sum(
        count * sum(_mass(symbol) for symbol in molecule.symbols)
        for molecule, count in zip(molecules, counts, strict=True)
    )
    return np.full(3, (mass * _DENSITY / density) ** (1 / 3))


def pack(
    molecules: Sequence[Molecule],
    counts: Sequence[int],
    edges: np.ndarray,
    *,
    tolerance: float = 2.0,
    seed: int = 1,
) -> Coordinates:
    """Pack molecules into a periodic orthorhombic box.

    Packmol (L. Martínez et al., doi:10.1002/jcc.21224) places whole molecules whose
    atoms are as far apart as the sum of their radii: 0.4 of the tolerance for hydrogen
    and 0.65 for all others. If there is no room, 0.9 and then 0.8 of it are tried,
    which is logged.

    Parameters
    ----------
    molecules : sequence of Molecule
    counts : sequence of int
        At least 1 each.
    edges : (3,) array, nm
    tolerance : float, Å
    seed : int
        Of packmol's random numbers.

    Raises
    ------
    ImportError
        If there is no packmol.
    ValueError
        If they do not fit.
    """
    edges = np.asarray(edges, dtype=float)
    least = _TRIES[-1] * tolerance
    heavy = sum(
        count * sum(symbol != "H" for symbol in molecule.symbols)
        for molecule, count in zip(molecules, counts, strict=True)
    )
    sphere = 4 / 3 * np.pi * (_HEAVY * least / NM_TO_ANGSTROM) ** 3
    if heavy * sphere > _FULL * edges.prod():
        raise _no_room(counts, edges, least)
    log.info(
        "packing %s into a box of %s nm",
        ", ".join(f"{n:,} {m.residue}" for m, n in zip(molecules, counts, strict=True)),
        " x ".join(f"{x:.3f}" for x in edges),
    )
    for part in _TRIES:
        with log_if_long(log, f"packmol, with a tolerance of {part * tolerance:.3g} Å"):
            positions = _packed(molecules, counts, edges, part * tolerance, seed)
        if positions is not None:
            if part < 1:
                log.warning(
                    "packed with a tolerance of %.3g Å, since there was no room for "
                    "%.3g Å: minimise the energy first, as simulate does",
                    part * tolerance,
                    tolerance,
                )
            break
    else:
        raise _no_room(counts, edges, least)
    topology = _topology(molecules, counts, edges)
    _check_apart(topology, positions, edges)
    return Coordinates(topology, positions * unit.nanometer)


def _no_room(counts: Sequence[int], edges: np.ndarray, tolerance: float) -> ValueError:
    return ValueError(
        f"expected a box with room for {sum(counts)} molecules, found "
        f"{' x '.join(f'{x:.3f}' for x in edges)} nm, into which packmol cannot put "
        f"them with a tolerance of {tolerance:.3g} Å; a lower --density, a larger "
        "--box, a smaller --tolerance, or another --seed"
    )


def _packed(
    molecules: Sequence[Molecule],
    counts: Sequence[int],
    edges: np.ndarray,
    tolerance: float,
    seed: int,
) -> np.ndarray | None:
    """Positions (N, 3) in nm by packmol, or None where it gives up."""
    box = " ".join(f"{NM_TO_ANGSTROM * x:.4f}" for x in edges)
    lines = [f"tolerance {_HEAVY * 2 * tolerance:.4f}", "filetype xyz", f"seed {seed}"]
    lines += ["output packed.xyz", f"pbc {box}", f"nloop {_LOOPS}"]
    with tempfile.TemporaryDirectory() as folder:
        for number, molecule in enumerate(molecules):
            name = f"{number}.xyz"
            Path(folder, name).write_text(_xyz(molecule))
            lines += [f"structure {name}", f"  number {counts[number]}"]
            for index, symbol in enumerate(molecule.symbols, start=1):
                radius = tolerance * (_HYDROGEN if symbol == "H" else _HEAVY)
                lines += [f"  atoms {index}", f"    radius {radius:.4f}", "  end atoms"]
            lines.append("end structure")
        if not run_packmol("\n".join(lines) + "\n", folder):
            return None
        rows = Path(folder, "packed.xyz").read_text().splitlines()[2:]
    values = [row.split()[1:4] for row in rows]
    count = sum(
        n * len(molecule.names) for n, molecule in zip(counts, molecules, strict=True)
    )
    if len(values) != count:
        raise RuntimeError(f"expected {count} atoms from packmol, found {len(values)}")
    return np.array(values, dtype=float) / NM_TO_ANGSTROM


def run_packmol(text: str, folder: str) -> bool:
    """Run packmol on an input, and tell whether it succeeded.

    Parameters
    ----------
    text : str
        The input; its names of files are relative to the folder.
    folder : str

    Raises
    ------
    ImportError
        If there is no packmol.
    RuntimeError
        If it ends in another error than a lack of room.
    """
    # First the packmol of this Python's environment, which need not be activated.
    program = shutil.which("packmol", path=Path(sys.executable).parent)
    program = program or shutil.which("packmol")
    if program is None:
        raise ImportError(
            "expected packmol, found none: pip install 'openmm-allegro[box]'"
        )
    # From a file: packmol rewinds its standard input, which a pipe does not allow.
    source = Path(folder, "packmol.inp")
    source.write_text(text)
    with source.open() as stdin:
        try:
            done = subprocess.run(
                [program],
                stdin=stdin,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return False
    if "Success!" in done.stdout:
        return True
    if "ERROR" in done.stdout and "solution" not in done.stdout.lower():
        raise RuntimeError(f"expected a box of packmol, found {done.stdout[-600:]}")
    return False


def _xyz(molecule: Molecule) -> str:
    rows = [
        f"{symbol} " + " ".join(f"{NM_TO_ANGSTROM * x:.6f}" for x in place)
        for symbol, place in zip(molecule.symbols, molecule.positions, strict=True)
    ]
    return "\n".join([str(len(rows)), molecule.residue, *rows, ""])


def _topology(
    molecules: Sequence[Molecule], counts: Sequence[int], edges: np.ndarray
) -> app.Topology:
    """Topology in the order of packing, a chain for each kind of molecule."""
    topology = app.Topology()
    for molecule, count in zip(molecules, counts, strict=True):
        chain = topology.addChain()
        for _ in range(count):
            residue = topology.addResidue(molecule.residue, chain)
            atoms = [
                topology.addAtom(name, app.Element.getBySymbol(symbol), residue)
                for name, symbol in zip(molecule.names, molecule.symbols, strict=True)
            ]
            for first, second in molecule.bonds:
                topology.addBond(atoms[first], atoms[second])
    topology.setPeriodicBoxVectors(np.diag(edges) * unit.nanometer)
    return topology


def _check_apart(
    topology: app.Topology, positions: np.ndarray, edges: np.ndarray
) -> None:
    """Refuse atoms of two molecules within 1 Å, images included."""
    pairs = find_pairs(NM_TO_ANGSTROM * positions, np.diag(NM_TO_ANGSTROM * edges), 1.0)
    places = np.array([atom.residue.index for atom in topology.atoms()])
    near = places[pairs.centers] != places[pairs.neighbors]
    if near.any():
        raise ValueError(
            "expected molecules that are apart, found two atoms at "
            f"{pairs.distances[near].min():.2f} Å; another --seed, or a larger box"
        )


def _mass(symbol: str) -> float:
    return app.Element.getBySymbol(symbol).mass.value_in_unit(unit.dalton)
