# SPDX-License-Identifier: MIT
"""Structures and models that the speed benchmarks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import ase

    from openmm_allegro import Model

# l_max and layers; 64 scalar and 32 tensor features, 5 Å
MODELS = {"l1_1layer": (1, 1), "l2_2layers": (2, 2), "l3_3layers": (3, 3)}
ELEMENTS = {"water": ("H", "O"), "li3po4": ("Li", "P", "O")}
SIZES = (192, 1536, 12288)
# system, atoms, model: the rows of the README
CASES = (
    ("water", 192, "l1_1layer"),
    ("water", 192, "l2_2layers"),
    ("water", 1536, "l2_2layers"),
    ("water", 12288, "l2_2layers"),
    ("water", 192, "l3_3layers"),
    ("li3po4", 192, "l2_2layers"),
)


def structure(system: str, atoms: int) -> ase.Atoms:
    """Build water at 1 g/cm³ or disordered Li3PO4 at 2.4 g/cm³ in a cubic box.

    Molecules, or atoms, are on a jittered lattice: the numbers of pairs, on which the
    cost depends, are those of the liquid, its structure is not. The box repeats one of
    192 atoms.
    """
    cells = round((atoms / 192) ** (1 / 3))
    if 192 * cells**3 != atoms:
        raise ValueError(f"expected 192 n³ atoms, found {atoms}")
    return {"water": _water, "li3po4": _li3po4}[system]().repeat(cells)


def _lattice(side: int, spacing: float, jitter: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)
    return sites * spacing + random.uniform(-jitter, jitter, sites.shape)


def _water() -> ase.Atoms:
    import ase

    random = np.random.default_rng(2)
    molecule = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    spacing = 3.104  # Å, 1 g/cm³
    positions = [
        site + molecule @ np.linalg.qr(random.normal(size=(3, 3)))[0]
        for site in _lattice(4, spacing, 0.2, 0)
    ]
    cell = [4 * spacing] * 3
    return ase.Atoms(["O", "H", "H"] * 64, np.concatenate(positions), cell=cell, pbc=1)


def _li3po4() -> ase.Atoms:
    import ase

    random = np.random.default_rng(3)
    length = (24 * 115.79 / 0.602214 / 2.4) ** (1 / 3)  # Å, 24 formula units
    sites = _lattice(6, length / 6, 0.15, 1)
    chosen = random.permutation(len(sites))[:192]
    symbols = random.permutation(["Li"] * 72 + ["P"] * 24 + ["O"] * 96)
    return ase.Atoms(symbols.tolist(), sites[chosen], cell=[length] * 3, pbc=True)


def model(system: str, name: str, pairs_per_atom: float = 50.0, seed: int = 1) -> Model:
    """Make an untrained model; speed does not depend on the weights."""
    from openmm_allegro import AllegroConfig, Model
    from openmm_allegro.model import AllegroEnergy, Statistics

    l_max, layers = MODELS[name]
    elements = ELEMENTS[system]
    config = AllegroConfig(
        elements,
        5.0,
        l_max=l_max,
        num_layers=layers,
        num_scalar_features=64,
        num_tensor_features=32,
    )
    each = len(elements)
    # small, so that dynamics of an untrained model stay near the start
    statistics = Statistics((pairs_per_atom,) * each, (0.02,) * each, (0.0,) * each)
    energy = AllegroEnergy(config, statistics, seed=seed)
    return Model(config, statistics, energy, "total", "float32")
