# SPDX-License-Identifier: MIT
"""Small data, tiny networks and short runs for the tests of training."""

import csv
import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openmm_allegro.model import AllegroConfig, AllegroEnergy, Statistics
from openmm_allegro.modelfile import Model
from openmm_allegro.structure import Structure, read_structures

DATA = Path(__file__).parent / "data"
ETHANOL = DATA / "ethanol.extxyz"
LIQUID = DATA / "ec_emc.extxyz"


@functools.cache
def ethanol() -> tuple[Structure, ...]:
    """20 frames of an isolated molecule, no stress."""
    return tuple(read_structures(ETHANOL))


@functools.cache
def liquid() -> tuple[Structure, ...]:
    """4 frames of a periodic liquid of 160 atoms, with stress."""
    return tuple(read_structures(LIQUID))


def tiny_config(
    elements: tuple[str, ...] = ("H", "C", "O"), **changes: Any
) -> AllegroConfig:
    """A network of a few hundred weights."""
    values = dict(
        cutoff=3.0,
        l_max=1,
        num_layers=1,
        num_scalar_features=8,
        num_tensor_features=4,
        num_bessels=4,
        two_body_width=8,
        latent_width=8,
        readout_width=8,
    )
    return AllegroConfig(elements, **(values | changes))


def tiny_model(dtype: str = "float32", **changes: Any) -> Model:
    """An untrained model of H, C and O with statistics that are no round numbers."""
    config = tiny_config(**changes)
    numbers = Statistics((7.3, 9.1, 6.7), (1.1, 1.2, 1 / 3), (-13.6, -1029.4, -2041.7))
    energy = AllegroEnergy(config, numbers, seed=3)
    if dtype == "float32":
        energy.set_dtype(torch.float32)
    return Model(config, numbers, energy, "total", dtype, {"seed": 3, "note": "Å"})


def random_structure(
    symbols: tuple[str, ...], seed: int = 0, *, box: float = 0.0, **labels: Any
) -> Structure:
    """Atoms at random, at least 0.7 Å apart, in a triclinic box or without one."""
    rng = np.random.default_rng(seed)
    size = box or 1.6 * len(symbols) ** (1 / 3) + 0.5
    positions: list[np.ndarray] = []
    while len(positions) < len(symbols):
        trial = rng.uniform(0, size, 3)
        if all(np.linalg.norm(trial - p) > 0.7 for p in positions):
            positions.append(trial)
    cell = np.zeros((3, 3))
    if box:
        cell = box * np.array([[1.0, 0.0, 0.0], [0.2, 0.9, 0.0], [-0.3, 0.1, 0.8]])
    return Structure(
        symbols, np.array(positions), cell, np.full(3, bool(box)), **labels
    )


def without(structure: Structure, *labels: str) -> Structure:
    """The structure with some of its labels taken away."""
    return dataclasses.replace(structure, **dict.fromkeys(labels))


def read_log(folder: Path) -> list[dict[str, float]]:
    """Rows of log.csv as numbers; an empty field is NaN."""
    with open(folder / "log.csv", newline="") as file:
        return [
            {key: float(value or "nan") for key, value in row.items()}
            for row in csv.DictReader(file)
        ]
