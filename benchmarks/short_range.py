# SPDX-License-Identifier: MIT
"""Say whether models part atoms that are closer than any in their training data.

For each pair of elements two atoms are brought from the closest distance of the
training data to 0.3 Å: alone in vacuum, and as a pair of a frame, where both atoms go
on seeing the others of the frame as they did before. Energies are relative to that at
the closest distance. A model has a wall if they climb by 20 eV; wells count in front of
it. A pair may well attract closer than in the data (H-H to 0.74 Å, as a molecule): it
collapses where no wall follows. Writes results/short_range.json beside this file.

python benchmarks/short_range.py [MODEL ...] [--frame FILE] [--output FILE]
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from runpy import run_path
from typing import NamedTuple

import numpy as np
import torch
from ase.io import read
from hardware import hardware, use_threads
from openmm import app

from openmm_allegro import load_model
from openmm_allegro.model.elements import element_types
from openmm_allegro.model.model import Model
from openmm_allegro.neighbors import PADDING
from openmm_allegro.plugin.search import find_pairs
from openmm_allegro.structure import Structure
from openmm_allegro.topology.elements import covalent_radii

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "short_range.json"
# Frames of the shipped models. That of ec_emc_delta is not a whole energy.
FRAMES = {
    "systems/nacl_aq/nacl_aq": "systems/nacl_aq/nacl_aq.pdb",
    "systems/ec_emc/ec_emc": "systems/ec_emc/ec_emc.pdb",
    "systems/alanine_water/alanine": "systems/alanine_water/solute.pdb",
    "systems/lgps/lgps": "systems/lgps/build.py",
    "systems/li3po4/li3po4": "systems/li3po4/crystal.pdb",
    "systems/li3po4/small": "systems/li3po4/crystal.pdb",
    "systems/li6ps5cl/li6ps5cl": "systems/li6ps5cl/data_50.pdb",
    "benchmarks/accuracy/models/3bpa": "tests/data/3bpa_hot.extxyz",
    "benchmarks/accuracy/models/ethanol": "tests/data/ethanol.extxyz",
}
SHORTEST = 0.3  # Å
LONGEST = 0.97  # of the closest distance: there the force parts whatever is bonded
POINTS = 32  # distances
PAIRS = 4  # of each kind, in a frame
UNKNOWN = 1.0  # closest distance that no record has, of the sum of covalent radii
WELL = 0.05  # eV; less is no well
WALL = 20.0  # eV; nothing gets behind it


class Pair(NamedTuple):
    """What both atoms of a pair see: each other first, along the x axis or not."""

    centers: torch.Tensor  # [2] int64, types
    neighbors: torch.Tensor  # [2, K] int64, types
    vectors: torch.Tensor  # [2, K, 3] Å; beyond the cutoff in padding


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, help="instead of the shipped")
    parser.add_argument("--frame", type=Path, help="a frame for them, as ase reads it")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    use_threads(1)
    frames = {path: options.frame for path in options.models} or {
        ROOT / f"{model}.safetensors": ROOT / frame for model, frame in FRAMES.items()
    }
    table = {}
    for path, frame in frames.items():
        structure = None if frame is None else read_frame(frame)
        table[path.stem] = survey(load_model(path), structure)
        print_table(path.stem, table[path.stem])
    result = {"hardware": hardware(1), "models": table}
    options.output.write_text(json.dumps(result, indent=1) + "\n")


def survey(model: Model, frame: Structure | None = None) -> list[dict]:
    """Bring together pairs of all kinds of elements, alone and within a frame.

    Returns
    -------
    list of dict
        For each pair of elements its ``closest`` distance (Å), whether the model's
        provenance has it (else it is the sum of covalent radii), and what ``describe``
        says of the ``dimer`` and, if the frame has such pairs, of those of the
        ``frame``.
    """
    config = model.config
    known = model.provenance.get("closest_pairs") or {}
    rows = []
    for a, first in enumerate(config.elements):
        for b, second in enumerate(config.elements[a:], a):
            name = "-".join(sorted((first, second)))
            radii = UNKNOWN * sum(covalent_radii((first, second)))
            limit = min(known.get(name, radii), float(config.cutoff_table()[a, b]))
            r = np.linspace(SHORTEST, limit, POINTS)
            row = {"pair": name, "closest": round(limit, 3), "known": name in known}
            row["dimer"] = describe(r, *curves(model, [dimer(a, b)], r))
            pairs = [] if frame is None else pairs_of(frame, config, a, b)
            if pairs:
                row["frame"] = describe(r, *curves(model, pairs, r))
            rows.append(row)
    return rows


def dimer(a: int, b: int) -> Pair:
    vectors = torch.tensor([[[1.0, 0.0, 0.0]], [[-1.0, 0.0, 0.0]]])
    return Pair(torch.tensor([a, b]), torch.tensor([[b], [a]]), vectors)


def pairs_of(frame: Structure, config, a: int, b: int) -> list[Pair]:
    """Draw pairs of two types: atoms and the nearest neighbour that each has."""
    types = np.array(element_types(frame.symbols, config.elements, "frame"))
    box = frame.cell if all(frame.periodic) else None
    found = find_pairs(frame.positions, box, config.cutoff)
    kind = (types[found.centers] == a) & (types[found.neighbors] == b)
    rows = np.flatnonzero(kind)
    rows = rows[np.lexsort((found.distances[rows], found.centers[rows]))]
    _, first = np.unique(found.centers[rows], return_index=True)
    rng = np.random.default_rng(0)
    pairs = []
    for row in rng.permutation(rows[first])[:PAIRS]:
        i, j, vector = found.centers[row], found.neighbors[row], found.vectors[row]
        sides = []
        for center, other, way in ((i, j, vector), (j, i, -vector)):
            near = np.flatnonzero(found.centers == center)
            same = np.abs(found.vectors[near] - way).max(1) < 1e-6
            near = near[~(same & (found.neighbors[near] == other))]
            seen = types[np.append(other, found.neighbors[near])]
            sides.append((seen, np.concatenate((way[None], found.vectors[near]))))
        pairs.append(join(types[[i, j]], sides, config.cutoff))
    return pairs


def join(centers: np.ndarray, sides: Sequence[tuple], cutoff: float) -> Pair:
    """Pad what two centres see to the same number of neighbours."""
    most = max(len(types) for types, _ in sides)
    neighbors = torch.zeros((2, most), dtype=torch.int64)
    vectors = torch.zeros((2, most, 3))
    vectors[..., 0] = PADDING * cutoff
    for side, (types, way) in enumerate(sides):
        neighbors[side, : len(types)] = torch.from_numpy(types)
        vectors[side, : len(types)] = torch.from_numpy(way)
    return Pair(torch.from_numpy(centers), neighbors, vectors)


def curves(
    model: Model, pairs: Sequence[Pair], r: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Energies (eV) of both atoms and the forces (eV/Å) that part them [M, points]."""
    rows = []
    for pair in pairs:
        distances = torch.from_numpy(r).requires_grad_(True)
        way = pair.vectors[:, :1].double()
        way = way / way.norm(dim=-1, keepdim=True)
        moved = distances[:, None, None, None] * way  # [points, 2, 1, 3]
        others = pair.vectors[:, 1:].double().expand(len(r), -1, -1, -1)
        vectors = torch.cat((moved, others), 2).flatten(0, 1).to(pair.vectors.dtype)
        neighbors = pair.neighbors.repeat(len(r), 1)
        energies = model.energy(vectors, pair.centers.repeat(len(r)), neighbors)
        energies = energies.view(-1, 2).sum(1)
        (slopes,) = torch.autograd.grad(energies.sum(), distances)
        rows.append((energies.detach().numpy(), -slopes.numpy()))
    energies, forces = map(np.array, zip(*rows, strict=True))
    return energies, forces


def describe(r: np.ndarray, energies: np.ndarray, forces: np.ndarray) -> dict:
    """Say what curves have on the way in: a wall, and wells in front of it.

    Returns
    -------
    dict
        ``wall``: all curves climb by 20 eV, the last at ``wall_angstrom``.
        ``highest_ev``: the least that any climbs; ``half_ev``: the lowest at half of
        the closest distance. ``repulsive``: up to the wall the atoms part at all
        distances below 0.97 of the closest. ``well_ev``, ``well_angstrom``: the deepest
        well in front of the wall, 0 and None without any.
    """
    energies = energies - energies[:, -1:]
    repulsive, deepest, place, wall = True, 0.0, None, r[-1]
    for energy, force in zip(energies, forces, strict=True):
        behind = np.flatnonzero(energy > WALL)
        front = np.arange(len(r)) > (behind[-1] if len(behind) else -1)
        wall = min(wall, r[behind[-1]]) if len(behind) else 0.0
        repulsive &= bool((force[front & (r <= LONGEST * r[-1])] > 0).all())
        lowest = np.where(front, energy, np.inf).argmin()
        if energy[lowest] < min(-WELL, deepest):
            deepest, place = float(energy[lowest]), float(r[lowest])
    highest = float(energies.max(1).min())
    return {
        "wall": highest > WALL,
        "wall_angstrom": round(float(wall), 2),
        "highest_ev": round(highest, 1),
        "half_ev": round(float(energies[:, np.abs(r - r[-1] / 2).argmin()].min()), 2),
        "repulsive": repulsive,
        "well_ev": round(deepest, 2),
        "well_angstrom": None if place is None else round(place, 2),
    }


def read_frame(path: Path) -> Structure:
    """Read a frame or build it; PDB files by OpenMM, which knows their elements."""
    if path.suffix == ".pdb":
        pdb = app.PDBFile(str(path))
        symbols = tuple(atom.element.symbol for atom in pdb.topology.atoms())
        vectors = pdb.topology.getPeriodicBoxVectors()
        cell = np.zeros((3, 3)) if vectors is None else 10 * np.array(vectors._value)
        positions = 10 * np.array(pdb.positions._value)
        return Structure(symbols, positions, cell, np.full(3, vectors is not None))
    atoms = run_path(str(path))["build"]() if path.suffix == ".py" else read(path)
    symbols = tuple(atoms.get_chemical_symbols())
    return Structure(symbols, atoms.positions, atoms.cell.array, atoms.pbc)


def print_table(name: str, rows: list[dict]) -> None:
    """Print a model's pairs; closest distances of no record in brackets."""
    print(f"\n{name}\nenergies at half of the closest distance, walls and wells")
    print("pair   closest Å  dimer" + 38 * " " + "in a frame")
    for row in rows:
        closest = f"{row['closest']:.2f}" if row["known"] else f"({row['closest']:.2f})"
        cells = [cell(row[where]) for where in ("dimer", "frame") if where in row]
        line = f"{row['pair']:6s} {closest:>7s}   " + "   ".join(
            f"{c:40s}" for c in cells
        )
        print(line.rstrip(), flush=True)


def cell(found: dict) -> str:
    """Say in some words what ``describe`` found."""
    text = f"{found['half_ev']:7.1f} eV, "
    if found["wall"]:
        text += f"wall at {found['wall_angstrom']:.2f} Å"
    else:
        text += f"climbs {found['highest_ev']:.1f} eV"
    if found["well_angstrom"] is not None:
        text += f", {found['well_ev']:.1f} eV at {found['well_angstrom']:.2f} Å"
    return text


if __name__ == "__main__":
    main()
