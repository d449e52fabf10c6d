# SPDX-License-Identifier: MIT
"""Atoms and programs of the benchmarks of a card, and their numbers in float64."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
NACL = ROOT / "systems" / "nacl_aq"


class Case(NamedTuple):
    """A model, and atoms to run it on."""

    name: str
    model: Path
    symbols: list[str]
    positions: np.ndarray  # [n, 3], Å
    cell: np.ndarray  # [3, 3], Å


def nacl(copies: int) -> Case:
    """Aqueous NaCl, 184 atoms, so many times along each axis."""
    from openmm import app, unit

    pdb = app.PDBFile(str(NACL / "nacl_aq.pdb"))
    positions = pdb.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    cell = pdb.topology.getPeriodicBoxVectors().value_in_unit(unit.angstrom)
    symbols = [atom.element.symbol for atom in pdb.topology.atoms()]
    model = NACL / "nacl_aq.safetensors"
    return _repeated("nacl_aq", model, symbols, positions, np.array(cell), copies)


def water(copies: int, folder: Path, name: str = "l2_2layers") -> Case:
    """192 atoms of water so many times along each axis, with a model of workloads.py.

    The model is written to ``folder`` once, which needs torch, unless ``carry.py`` has
    put it into the cache folder.
    """
    from workloads import structure

    from openmm_allegro.utils.files import cache_folder

    carried = cache_folder() / f"{name}.safetensors"
    path = carried if carried.exists() else folder / carried.name
    if not path.exists():
        from workloads import model

        from openmm_allegro import save_model

        save_model(model("water", name), path)
    atoms = structure("water", 192)
    arrays = list(atoms.symbols), atoms.positions, atoms.cell.array
    return _repeated(f"water {name}", path, *arrays, copies)


def _repeated(
    name: str,
    model: Path,
    symbols: list[str],
    positions: np.ndarray,
    cell: np.ndarray,
    copies: int,
) -> Case:
    """Repeat a box, and move the atoms so that no two copies are equal."""
    steps = np.stack(np.meshgrid(*[np.arange(copies)] * 3, indexing="ij"), -1)
    shifted = (steps.reshape(-1, 1, 3) @ cell + positions).reshape(-1, 3)
    shifted += np.random.default_rng(copies).uniform(-0.02, 0.02, shifted.shape)
    count = copies**3
    return Case(
        f"{name}, {len(positions) * count} atoms",
        model,
        symbols * count,
        shifted,
        cell * copies,
    )


def program(case: Case, precision: str):
    """The folded program of a case's model, and the element of each atom."""
    from openmm_allegro import load_model
    from openmm_allegro.kernels.inference.folded import folded
    from openmm_allegro.model.elements import element_types

    model = load_model(case.model)
    types = element_types(case.symbols, model.config.elements, case.name)
    return folded(model, precision), np.asarray(types, dtype=np.int64)


def pairs(
    positions: np.ndarray, cell: np.ndarray, limits: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find all pairs by looking at each atom and image: for few atoms.

    Parameters
    ----------
    positions : ndarray [n, 3]
    cell : ndarray [3, 3]
    limits : ndarray [n, n]
        Distance of each ordered pair.

    Returns
    -------
    centers, neighbors : ndarray [pairs], sorted by centre
    images : ndarray [pairs, 3]
        Of the neighbour as its position is given.
    """
    sides = np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    heights = abs(np.linalg.det(cell)) / sides
    ranges = [np.arange(-n, n + 1) for n in np.ceil(limits.max() / heights).astype(int)]
    home = np.floor(positions @ np.linalg.inv(cell)).astype(np.int64)
    wrapped = positions - home @ cell
    rows = []
    for image in np.stack(np.meshgrid(*ranges), -1).reshape(-1, 3):
        r = np.linalg.norm(wrapped[None] + image @ cell - wrapped[:, None], axis=2)
        center, neighbor = np.nonzero((r < limits) & (r > 1e-9))
        rows.append((center, neighbor, image + home[center] - home[neighbor]))
    center, neighbor, images = (
        np.concatenate(column) for column in zip(*rows, strict=True)
    )
    order = np.argsort(center, kind="stable")
    return center[order], neighbor[order], images[order]


def on_processor(
    case: Case, precision: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies, forces and strain derivative by a processor's fused kernel."""
    from openmm_allegro.kernels.inference.compiled import evaluate
    from openmm_allegro.kernels.inference.program import unpack
    from openmm_allegro.kernels.library import library

    folded, types = program(case, precision)
    parts = unpack(folded)
    table = parts.arrays["cutoffs"].reshape(parts.header.types, -1)
    limits = np.asarray(table)[np.ix_(types, types)]
    center, neighbor, images = pairs(case.positions, case.cell, limits)
    offsets = np.searchsorted(center, np.arange(len(types) + 1))
    return evaluate(
        library(),
        folded,
        case.positions,
        case.cell,
        types,
        offsets.astype(np.int64),
        neighbor.astype(np.int32),
        images.astype(np.int8),
        threads=min(len(os.sched_getaffinity(0)), 8),
    )
