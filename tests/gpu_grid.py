# SPDX-License-Identifier: MIT
"""Models and degrees that kernels for cards are checked on, and what is expected."""

import functools

import numpy as np
import torch
from gpu_network import Emitted, Pairs, Results, emit, seeds_of, star_pairs
from helpers import CHARGED, FULL, tiny_config, tiny_energy
from kernel_helpers import CASES, in_numpy, tabulated

from openmm_allegro.kernels.gpu.library import Products
from openmm_allegro.kernels.inference import twin
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.inference.program import Program

_MISH = {f"{part}_nonlinearity": "mish" for part in ("two_body", "latent", "readout")}
_GELU = {key: "gelu" for key in _MISH}
MODELS = CASES | {
    "one layer": {"num_layers": 1},
    "l_max 1": {"l_max": 1},
    "no parity": {"parity": False, "l_max": 3},
    "mish": _MISH,
    "gelu": _GELU,
    "repulsion": {"zbl": True},
    "cutoffs": {"pair_cutoffs": FULL["pair_cutoffs"]},
    "table": {},
    "table of all options": FULL,
    "table of inner cutoffs": CASES["inner cutoffs"],
    "charges": CHARGED,
    "charges and all options": {**FULL, **CHARGED},
    "table of charges": CHARGED,
    "wide layers": {
        "num_scalar_features": 64,
        "num_tensor_features": 32,
        "two_body_width": 64,
        "latent_width": 64,
        "readout_width": 32,
        "num_bessels": 8,
    },
}
# Precision of the network and products.
KINDS = {
    "single": (torch.float32, Products.FMA),
    "tf32": (torch.float32, Products.TF32X3),
    "double": (torch.float64, Products.FMA),
}
POINTS = 64


def degrees_of(rows: int) -> list[int]:
    """Neighbours of each centre: none, one, as many as a group has rows, more, some."""
    many = [rows, rows - 1, rows // 2, rows // 2 + 1]
    return [0, 1, *many, rows + 1, 3 * rows, 5, 1, 3, 0, 2]


@functools.cache
def program(model: str, dtype: torch.dtype) -> Program:
    """A model's program, as tensors."""
    energy = tiny_energy(tiny_config(**MODELS[model]))
    if model.startswith("table"):
        return tabulated(energy, dtype, POINTS)
    return fold(energy, dtype)


def emitted(model: str, kind: str, rows: int, **options) -> Emitted:
    """A model's kernels of groups of so many rows."""
    dtype, products = KINDS[kind]
    return emit(in_numpy(program(model, dtype)), rows, products, **options)


def twin_results(model: str, numbers: Program, pairs: Pairs) -> Results:
    """What a program's twin finds; it has no tables, but the CPU's kernel has."""
    operators = torch.ops.openmm_allegro
    arrays = *map(torch.from_numpy, pairs), *numbers
    charges = torch.zeros(len(pairs.types), dtype=torch.float64)
    if "charges" in model:
        seeds = torch.from_numpy(seeds_of(len(pairs.types)))
        function = operators.evaluate_charged if "table" in model else twin.evaluate
        energies, forces, strain = function(*arrays, seeds)
        charges = (operators.charges if "table" in model else twin.charges)(*arrays)
    else:
        function = operators.evaluate if "table" in model else twin.evaluate
        energies, forces, strain = function(*arrays)
    found = energies, forces, 0.5 * (strain + strain.T), charges
    return Results(*(values.numpy() for values in found))


@functools.cache
def expected(model: str, rows: int) -> tuple[Pairs, Results, Results]:
    """Pairs, and results of the twin in double and single precision."""
    cutoffs = emitted(model, "double", 0).cutoffs
    pairs = star_pairs(cutoffs, degrees_of(rows))
    return (
        pairs,
        twin_results(model, program(model, torch.float64), pairs),
        twin_results(model, program(model, torch.float32), pairs),
    )


def errors(
    results: Results, reference: Results, atoms: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """Largest errors of energies and forces of some atoms, of strain and charges."""
    return np.array(
        [
            abs(results.energies - reference.energies)[atoms].max(),
            abs(results.forces - reference.forces)[atoms].max(),
            abs(results.strain - reference.strain).max(),
            abs(results.charges - reference.charges)[atoms].max(),
        ]
    )


def packed_atoms(pairs: Pairs, rows: int) -> np.ndarray:
    """Centres that have pairs, but no more within the cutoff than rows; neighbours."""
    starts = np.flatnonzero(np.diff(pairs.offsets))
    sizes = np.diff([*starts, len(pairs.types)])
    return np.repeat(sizes - 4 <= rows, sizes)
