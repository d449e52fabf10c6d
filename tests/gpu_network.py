# SPDX-License-Identifier: MIT
"""The kernels of a program for cards, run on chosen centres and their pairs."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from gpu_helpers import Card

from openmm_allegro.kernels import header
from openmm_allegro.kernels.gpu.library import Counter, Products, gpu_library
from openmm_allegro.kernels.inference.program import Program, unpack
from openmm_allegro.kernels.library import Outcome

_FIXED_POINT = 2.0**40


class Pairs(NamedTuple):
    """Atoms and pairs of some of them, as the first arguments of ``twin.evaluate``."""

    positions: np.ndarray  # [N, 3], Å, float64
    cell: np.ndarray  # [3, 3], Å, float64
    types: np.ndarray  # [N], int64
    offsets: np.ndarray  # [N + 1], int64
    neighbors: np.ndarray  # [P], int32
    shifts: np.ndarray  # [P, 3], int8


class Results(NamedTuple):
    """Energies [N] (eV), forces [N, 3] (eV/Å), symmetric strain derivative (eV).

    And charges [N] (e), zeros of programs without; forces and strain are with seeds.
    """

    energies: np.ndarray
    forces: np.ndarray
    strain: np.ndarray
    charges: np.ndarray


class Emitted(NamedTuple):
    """A program as source and arrays for a card."""

    sizes: ctypes.Structure  # allegro_gpu_sizes
    rows: int
    source: str
    weights: np.ndarray
    constants: np.ndarray
    integers: np.ndarray
    cutoffs: np.ndarray  # [types, types], centre first, Å
    shifts: np.ndarray  # [types], eV


def seeds_of(count: int) -> np.ndarray:
    """Derivatives of a further energy by the charges of so many atoms, V."""
    return np.random.default_rng(9).normal(0.0, 3.0, count)


def star_pairs(cutoffs: np.ndarray, degrees: Sequence[int], seed: int = 0) -> Pairs:
    """Centres with so many neighbours within the cutoff, and three more beyond it.

    The neighbours have no pairs of their own. Elements and images differ.
    """
    random = np.random.default_rng(seed)
    elements = len(cutoffs)
    cell = np.array([[90.0, 0, 0], [20.0, 80.0, 0], [-10.0, 15.0, 70.0]])
    atoms, kinds, images = [], [], []
    for number, degree in enumerate(degrees):
        center = np.array([20.0 * number, 1.0, -2.0])
        kind = number % elements
        neighbors = random.integers(elements, size=degree + 3)
        lengths = random.uniform(0.4, 0.99, degree + 3)
        lengths[degree:] = 1.05
        lengths = lengths * cutoffs[kind, neighbors]
        vectors = random.standard_normal((degree + 3, 3))
        vectors *= (lengths / np.linalg.norm(vectors, axis=1))[:, None]
        image = random.integers(-2, 3, (degree + 3, 3))
        order = random.permutation(degree + 3)
        atoms.append((center, *(center + vectors - image @ cell)[order]))
        kinds.append((kind, *neighbors[order]))
        images.append(image[order])
    centers = np.cumsum([0, *map(len, kinds)])
    counts = np.zeros(centers[-1], int)
    counts[centers[:-1]] = [len(one) for one in images]
    others = [np.arange(n + 1, m) for n, m in itertools.pairwise(centers)]
    return Pairs(
        np.concatenate(atoms),
        cell,
        np.concatenate(kinds),
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate(others).astype(np.int32),
        np.concatenate(images).astype(np.int8),
    )


def emit(
    program: Program,
    rows: int = 0,
    products: int = Products.FMA,
    memory: int = 227 * 1024,
    *,
    one_space: bool = False,
) -> Emitted:
    """Source and arrays of a program.

    Raises
    ------
    ValueError
        If the program does not fit.
    """
    arrays = [np.ascontiguousarray(array) for array in program]
    is_double = arrays[2].dtype == np.float64
    names = zip(("integers", "constants", "weights"), arrays, strict=True)
    given = header.filled("allegro_program", **dict(names), is_double=int(is_double))
    options = header.filled(
        "allegro_gpu_options",
        rows=rows,
        products=int(products),
        memory=memory,
        one_space=one_space,
    )
    sizes = header.structure("allegro_gpu_sizes")()
    message = ctypes.create_string_buffer(400)
    both = ctypes.byref(given), ctypes.byref(options)
    library = gpu_library()
    if library.allegro_gpu_plan(*both, ctypes.byref(sizes), message, len(message)):
        raise ValueError(message.value.decode())
    text = ctypes.create_string_buffer(sizes.text)
    made = [
        np.empty(sizes.weights, arrays[2].dtype),
        np.empty(sizes.constants),
        np.empty(sizes.integers, np.int32),
    ]
    addresses = [array.ctypes.data for array in made]
    assert library.allegro_gpu_emit(*both, text, *addresses) == Outcome.OK
    parts = unpack(Program(*arrays))
    cutoffs = parts.arrays["cutoffs"].reshape(2 * [parts.header.types])
    shifts = parts.arrays["shifts"]
    return Emitted(sizes, rows, text.value.decode(), *made, cutoffs, shifts)


def run_network(
    card: Card,
    emitted: Emitted,
    pairs: Pairs,
    *,
    groups: int = 2,
    wants_forces: bool = True,
    searches: tuple[int, int, int] | None = None,
    wide_rows: int | None = None,
    compiled: int | None = None,
) -> Results:
    """Energies of atoms, and forces and strain of those that have pairs.

    Centres with no more than the rows of a group are packed; others are ``wide``.

    Parameters
    ----------
    card : Card
    emitted : Emitted
    pairs : Pairs
    groups : int
        Work-groups that run.
    wants_forces : bool
    searches : tuple of int, optional
        Images on each side that wide centres search for their neighbours, instead of
        being told them.
    wide_rows : int, optional
        Rows that wide centres have memory for; all that they need by default.
    compiled : int, optional
        Handle of the compiled source.
    """
    positions, cell, types, *_ = pairs
    count, sizes = len(types), emitted.sizes
    neighbors, images, degrees, rows = _lists(pairs, emitted.cutoffs)
    packed = (degrees > 0) & (degrees <= emitted.rows)
    wide = np.flatnonzero(degrees > emitted.rows)
    wide_rows = wide_rows or max(degrees.max(), 1)
    packs = _packs(np.flatnonzero(packed), degrees, emitted.rows, sizes.slots)
    counters = np.zeros(Counter.COUNTERS, np.int32)
    counters[Counter.GROUPS], counters[Counter.WIDE] = len(packs), len(wide)
    if searches:
        degrees[wide] = -1
    box = np.concatenate([cell.ravel(), searches or (0, 0, 0)]).astype(float)
    inputs = positions, box, types.astype(np.int32), neighbors, images, degrees, rows
    before = [card.buffer(array) for array in inputs]
    results = [
        card.buffer(np.zeros(shape, dtype))
        for shape, dtype in [(count, float), (3 * count, "u8"), (9, "u8")]
    ]
    charges = card.buffer(np.zeros(count))
    numbers = sizes.wide_row * int(wide_rows) + sizes.wide_rest
    own = max(numbers * emitted.weights.itemsize, sizes.spilled, 8)
    constant = emitted.weights, emitted.constants, emitted.integers
    after = [
        card.buffer(counters),
        *map(card.buffer, constant),
        card.empty(groups * own),
        *results,
        *(count, neighbors.shape[1], int(wants_forces), int(wide_rows)),
    ]
    if "#define CHARGED 1" in emitted.source:
        after += [charges, card.buffer(seeds_of(count)), 1, 1]
    if compiled is None:
        compiled = card.device.compile(emitted.source)
    for name, centers, threads, memory in [
        ("network", packs, sizes.threads, sizes.memory),
        ("wide", wide.astype(np.int32), sizes.wide_threads, sizes.wide_memory),
    ]:
        if len(centers):
            arguments = [*before, card.buffer(centers), *after]
            card.launch(compiled, name, groups, threads, arguments, memory)
    energies = card.array(results[0], count, float) + emitted.shifts[types]
    forces = card.array(results[1], (3, count), np.int64).T / _FIXED_POINT
    strain = card.array(results[2], (3, 3), np.int64) / _FIXED_POINT
    own = card.array(charges, count, float)
    return Results(energies, forces, 0.5 * (strain + strain.T), own)


def _lists(pairs: Pairs, cutoffs: np.ndarray) -> tuple[np.ndarray, ...]:
    """Neighbours and images [N, K], degrees [N] and rows [N, K], as ``list``'s."""
    positions, cell, types, offsets, neighbors, shifts = pairs
    count = len(types)
    capacity = max(int(np.diff(offsets).max()), 1)
    lists = [np.full((count, capacity), -1, np.int32) for _ in range(3)]
    degrees = np.zeros(count, np.int32)
    for center in np.flatnonzero(np.diff(offsets)):
        own = slice(*offsets[center : center + 2])
        others, image = neighbors[own], shifts[own].astype(np.int64)
        order = np.lexsort((*image.T[::-1], others))
        others, image = others[order], image[order]
        vectors = positions[others] - positions[center] + image @ cell
        limits = cutoffs[types[center], types[others]]
        near = np.flatnonzero((vectors**2).sum(1) < limits**2)
        lists[0][center, : len(others)] = others
        lists[1][center, : len(others)] = (image & 255) @ [1, 1 << 8, 1 << 16]
        lists[2][center, : len(near)] = near
        degrees[center] = len(near)
    return lists[0], lists[1], degrees, lists[2]


def _packs(
    centers: np.ndarray, degrees: np.ndarray, rows: int, slots: int
) -> np.ndarray:
    """Centres of each group [groups, slots], each in the first that has room."""
    groups: list[list[int]] = []
    for center in centers:
        for group in groups:
            if len(group) < slots and degrees[[*group, center]].sum() <= rows:
                group.append(center)
                break
        else:
            groups.append([center])
    packs = np.full((len(groups), max(slots, 1)), -1, np.int32)
    for pack, group in zip(packs, groups, strict=True):
        pack[: len(group)] = group
    return packs
