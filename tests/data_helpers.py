# SPDX-License-Identifier: MIT
"""Made-up data sets, labelled by a Morse potential, for surveys and recipes."""

from collections.abc import Sequence

import numpy as np

from openmm_allegro.structure import Structure

DEPTH, WIDTH = 0.2, 1.5  # eV, 1/Å
CUTOFF = 3.2  # Å


def morse(positions: np.ndarray, box: float, rest: float) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces (eV/Å) of a Morse potential between all atoms."""
    vectors = positions[None] - positions[:, None]
    if box:
        vectors -= box * np.round(vectors / box)
    distances = np.linalg.norm(vectors, axis=-1) + np.eye(len(positions))
    near = (distances < CUTOFF) & ~np.eye(len(positions), dtype=bool)
    decay = np.where(near, np.exp(-WIDTH * (distances - rest)), 0.0)
    slope = 2 * DEPTH * WIDTH * (decay - decay**2)
    forces = np.einsum("ij,ijk->ik", slope / distances, vectors)
    return 0.5 * DEPTH * float((decay**2 - 2 * decay).sum()), forces


def made_up(
    symbols: Sequence[str],
    frames: int,
    *,
    spacing: float = 2.2,
    box: bool = True,
    seed: int = 0,
    file: str = "made.extxyz",
    stress: bool = False,
) -> list[Structure]:
    """Frames of atoms near the points of a cubic lattice, periodic or not."""
    rng = np.random.default_rng(seed)
    edge = int(np.ceil(len(symbols) ** (1 / 3)))
    lattice = spacing * np.stack(np.meshgrid(*[np.arange(edge)] * 3), -1).reshape(-1, 3)
    length = edge * spacing if box else 0.0
    made = []
    for frame in range(frames):
        places = lattice[: len(symbols)] + rng.normal(
            scale=0.12, size=(len(symbols), 3)
        )
        energy, forces = morse(places, length, spacing)
        made.append(
            Structure(
                tuple(symbols),
                places,
                length * np.eye(3),
                np.full(3, box),
                energy=energy - 10.0 * len(symbols),
                forces=forces,
                stress=1e-3 * np.eye(3) if stress else None,
                source=f"{file}, frame {frame}",
            )
        )
    return made


def write_extxyz(path, structures):
    """Write structures with their labels."""
    import ase
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    images = []
    for s in structures:
        atoms = ase.Atoms(s.symbols, s.positions, cell=s.cell, pbc=s.periodic)
        atoms.calc = SinglePointCalculator(atoms, energy=s.energy, forces=s.forces)
        images.append(atoms)
    write(path, images, format="extxyz")
    return path
