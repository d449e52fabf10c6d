# SPDX-License-Identifier: MIT
"""What is asked of runs: selections, charges, temperature, columns of energies."""

import argparse
import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .frames import Run


def read_energies(run: Run) -> dict[str, np.ndarray]:
    """Columns of the CSV that OpenMM's StateDataReporter writes, by their names."""
    if run.energies is None:
        raise FileNotFoundError(
            f"expected the energies of {run.name}, a CSV file, found none"
        )
    with open(run.energies, newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    names = [name.lstrip("#").strip('"') for name in lines[0]] if lines else []
    if "Time (ps)" not in names:
        raise ValueError(
            f'expected a column "Time (ps)" in {run.energies}, found '
            f"{', '.join(names) or 'nothing'}"
        )
    # A run that was killed may have left half a line.
    whole = [line for line in lines[1:] if len(line) == len(names)]
    columns = zip(*whole, strict=True) if whole else ([] for _ in names)
    return {
        name: np.array([_number(cell) for cell in column])
        for name, column in zip(names, columns, strict=True)
    }


def energies_between(
    options: argparse.Namespace, run: Run, needed: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Columns of the energies of a run, from --start to --stop, every --stride."""
    table = read_energies(run)
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(
            f"expected columns {', '.join(missing)} in {run.energies}, found "
            f"{', '.join(table)}"
        )
    time = table["Time (ps)"]
    inside = np.isfinite(time)
    if options.start is not None:
        inside &= time >= options.start * (1 - 1e-9)
    if options.stop is not None:
        inside &= time <= options.stop * (1 + 1e-9)
    rows = np.flatnonzero(inside)[:: options.stride]
    if len(rows) == 0:
        raise ValueError(
            f"expected lines of {run.energies} between --start and --stop, found none"
        )
    return {name: column[rows] for name, column in table.items()}


def temperature_of(options: argparse.Namespace, run: Run) -> float:
    """Temperature in K that was asked for, or that of the run's record."""
    found = options.temperature
    if found is None:
        found = run.record.get("temperature_k")
        if isinstance(found, list) and len(set(found)) == 1:
            found = found[0]
    if not isinstance(found, int | float) or not found > 0:
        raise ValueError(
            "expected --temperature in K, or a run whose record holds a constant one, "
            f"found {found}"
        )
    return float(found)


def selections(items: Sequence[str]) -> dict[str, str]:
    """mdtraj selections by their labels: ``O``, ``water and name O``, ``LABEL=...``."""
    found = {}
    for item in items:
        label, text = _labelled(item)
        found[label] = _selection(text)
    return found


def groups(items: Sequence[str], size: int = 2) -> dict[str, tuple[str, ...]]:
    """Selections of pairs or triplets: ``Na-O``, ``P-O-O``, ``A=name N : water``."""
    found = {}
    for item in items:
        label, text = _labelled(item)
        parts = [part.strip() for part in text.split(":" if ":" in text else "-")]
        if len(parts) != size or not all(parts):
            example = "pairs such as Na-O" if size == 2 else "triplets such as P-O-O"
            raise ValueError(f"expected {example}, found {item!r}")
        found[label] = tuple(_selection(part) for part in parts)
    return found


def elements(topology: Any, *, hydrogen: bool = True) -> dict[str, str]:
    """Selection of each element, to take where none is named."""
    found = sorted({atom.element.symbol for atom in topology.atoms})
    if not hydrogen and len(found) > 1:
        found = [symbol for symbol in found if symbol != "H"]
    return {symbol: f"element {symbol}" for symbol in found}


def read_charges(text: str, topology: Any) -> tuple[np.ndarray, dict[str, str]]:
    """Charge number of every atom, and the species that were named.

    Parameters
    ----------
    text : str
        ``Na=1,Cl=-1`` by element, ``TFS=-1`` of each molecule of a residue name,
        spread over its atoms by mass; or a file of one number for each atom.
    topology : mdtraj.Topology

    Returns
    -------
    charges : (n_atoms,) array
    species : dict of str to str
        Selections by name; none from a file.
    """
    if Path(text).is_file():
        try:
            charges = np.loadtxt(text, ndmin=1)
        except ValueError as error:
            raise ValueError(
                f"expected one charge a line in {text}, found {error}"
            ) from error
        if charges.shape != (topology.n_atoms,):
            raise ValueError(
                f"expected {topology.n_atoms} charges in {text}, one for each atom, "
                f"found shape {charges.shape}"
            )
        return charges, {}
    charges = np.zeros(topology.n_atoms)
    symbols = np.array([atom.element.symbol for atom in topology.atoms])
    residues = {residue.name for residue in topology.residues}
    species = {}
    for item in text.split(","):
        name, _, number = item.partition("=")
        try:
            charge = float(number)
        except ValueError:
            raise ValueError(
                f"expected charges such as Na=1,Cl=-1, or a file, found {text!r}"
            ) from None
        if name in symbols:
            charges[symbols == name] += charge
            species[name] = f"element {name}"
        elif name in residues:
            for residue in topology.residues:
                if residue.name == name:
                    weights = np.array([atom.element.mass for atom in residue.atoms])
                    atoms = [atom.index for atom in residue.atoms]
                    charges[atoms] += charge * weights / weights.sum()
            species[name] = f"resname {name}"
        else:
            raise ValueError(
                f"expected charges of elements ({', '.join(sorted(set(symbols)))}) or "
                f"residues ({', '.join(sorted(residues))}), found {name!r}"
            )
    return charges, species


def _labelled(item: str) -> tuple[str, str]:
    """Label and text of ``LABEL=TEXT``, or the text for both."""
    match = re.fullmatch(r"([\w+\- ]+)=(?![=~])(.+)", item)
    return match.groups() if match else (item, item)


def _selection(text: str) -> str:
    """``Na`` is the element; anything else is in mdtraj's words."""
    return f"element {text}" if re.fullmatch("[A-Z][a-z]?", text) else text


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan
