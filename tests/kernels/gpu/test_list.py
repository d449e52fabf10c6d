# SPDX-License-Identifier: MIT
"""The pair list of a card, built by a processor, against vesin's; rows and groups."""

from pathlib import Path

import numpy as np
import pytest
import torch
import vesin_torch
from gpu_step import ListDevice, steps
from helpers import CELLS, random_atoms, tiny_config, tiny_energy
from kernel_helpers import in_numpy
from openmm import app

from openmm_allegro import load_model
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.inference.folded import folded
from openmm_allegro.model.elements import element_types
from openmm_allegro.structure import topology_symbols

SKIN = 0.5
CONFIG = tiny_config(pair_cutoffs={"H-O": 2.4, "O-H": 2.9, "Na-Na": 2.7})
CUTOFFS = np.asarray(CONFIG.cutoff_table())


@pytest.fixture(scope="module")
def program():
    return in_numpy(fold(tiny_energy(CONFIG), torch.float32))


def expected_pairs(positions, cell, periodic, types, wraps):
    """Rows (centre, neighbour, image) within the reach of each pair, and the cutoff."""
    cell = np.where(np.array(periodic)[:, None], cell, 0.0)
    points = positions - wraps @ cell
    found = vesin_torch.NeighborList(cutoff=CUTOFFS.max() + SKIN, full_list=True)
    centers, neighbors, images = (
        one.numpy().astype(int)
        for one in found.compute(
            torch.from_numpy(points),
            torch.from_numpy(cell),
            torch.tensor(periodic),
            "ijS",
        )
    )
    vectors = points[neighbors] - points[centers] + images @ cell
    lengths = np.linalg.norm(vectors, axis=1)
    cutoffs = CUTOFFS[types[centers], types[neighbors]]
    table = np.column_stack([centers, neighbors, images])
    order = np.lexsort(table.T[::-1])
    table, lengths, cutoffs = table[order], lengths[order], cutoffs[order]
    return table[lengths < cutoffs + SKIN], table[lengths < cutoffs]


def same_lists(made, positions, cell, periodic, types):
    """Pairs and rows are vesin's, in order; each centre is in one group or is wide."""
    lists = made.lists()
    pairs, near = expected_pairs(positions, cell, periodic, types, made.wraps())
    np.testing.assert_array_equal(lists.pairs, pairs)
    np.testing.assert_array_equal(lists.near, near)
    degrees = np.bincount(near[:, 0], minlength=len(types))
    np.testing.assert_array_equal(lists.degrees, degrees)
    placed = np.concatenate([lists.groups[lists.groups >= 0], lists.wide])
    np.testing.assert_array_equal(np.sort(placed), np.flatnonzero(degrees))
    return len(pairs)


@pytest.mark.parametrize("cells", [1, 1000])
@pytest.mark.parametrize("kind", CELLS)
def test_pairs_are_those_of_vesin(kind, cells, program):
    atoms = random_atoms(kind, 1)
    positions, cell, types = (one.numpy() for one in (atoms[0], atoms[1], atoms[3]))
    periodic = atoms.periodic.tolist()
    away = np.random.default_rng(2).integers(-300, 300, (len(types), 3))
    positions = positions + (away * np.array(periodic)) @ cell
    device = ListDevice(backwards=cells == 1)
    with steps([program], types, periodic, SKIN, device=device, cells=cells) as made:
        made.step(positions, cell)
        assert same_lists(made, positions, cell, periodic, types) > 40
        assert ("bin" in made.device.names) == (cells == 1)


def random_box(random):
    """A box, large, small, flat or leaning, and along which vectors it repeats."""
    sizes = np.exp(random.uniform(np.log(0.9), np.log(9.0), 3))
    if random.random() < 0.2:
        sizes[random.integers(3)] = random.uniform(0.15, 0.6)
    cell = np.diag(sizes)
    if random.random() < 0.7:
        cell += np.tril(random.uniform(-0.6, 0.6, (3, 3)), -1) * sizes[None]
    if random.random() < 0.3:  # any direction, also left-handed
        cell = cell @ np.linalg.qr(random.standard_normal((3, 3)))[0]
    periodic = random.random(3) < random.choice([0.5, 1.0], p=[0.4, 0.6])
    return cell, periodic.tolist()


def random_positions(random, cell, periodic, count):
    """Atoms in and around a box, and up to 40 boxes away; not too many of them."""
    while count > 1 and count**2 * 4.2 * 3.5**3 / abs(np.linalg.det(cell)) > 250:
        count -= 1
    positions = random.uniform(-0.2, 1.2, (count, 3)) @ cell
    return (
        positions + (random.integers(-40, 40, (count, 3)) * np.array(periodic)) @ cell
    )


def compare_boxes(program, seeds, steps_each):
    """Boxes one after the other with the same atoms; the number of their pairs."""
    total = 0
    for seed in seeds:
        random = np.random.default_rng(seed)
        cell, periodic = random_box(random)
        positions = random_positions(
            random, cell, periodic, int(random.integers(1, 25))
        )
        types = random.integers(3, size=len(positions))
        cells = int(random.choice([1, 1000]))
        device = ListDevice(groups=int(random.integers(1, 4)), backwards=seed % 2 == 1)
        with steps(
            [program], types, periodic, SKIN, device=device, cells=cells, capacity=800
        ) as made:
            for _ in range(steps_each):
                made.step(positions, cell)
                total += same_lists(made, positions, cell, periodic, types)
                scale = np.eye(3) + random.uniform(-0.15, 0.15, (3, 3))
                cell, positions = cell @ scale, positions @ scale
    return total


def test_pairs_in_many_boxes(program):
    assert compare_boxes(program, range(38), 8) > 10000


@pytest.mark.slow
def test_pairs_in_two_thousand_boxes(program):
    assert compare_boxes(program, range(1000, 1500), 4) > 70_000


def solution(repeats):
    """A trained model, and its water with ions, so many boxes along each axis."""
    folder = Path(__file__).parents[3] / "systems" / "nacl_aq"
    model = load_model(folder / "nacl_aq.safetensors")
    pdb = app.PDBFile(str(folder / "nacl_aq.pdb"))
    symbols = topology_symbols(pdb.topology)
    types = element_types(symbols, model.config.elements, "topology")
    positions = 10.0 * np.array(pdb.getPositions(asNumpy=True)._value)
    cell = 10.0 * np.array(pdb.topology.getPeriodicBoxVectors()._value)
    grid = np.stack(np.meshgrid(*[np.arange(repeats)] * 3), -1).reshape(-1, 3)
    positions = (positions + (grid @ cell)[:, None]).reshape(-1, 3)
    program = folded(model, "mixed")
    return program, np.tile(types, len(grid)), positions, repeats * cell


def filled(lists, rows):
    """Part of the rows of groups that pairs fill."""
    taken = lists.groups[lists.groups >= 0]
    assert len(np.unique(taken)) == len(taken)
    assert (
        np.where(lists.groups < 0, 0, lists.degrees[lists.groups]).sum(1) <= rows
    ).all()
    return lists.degrees[taken].sum() / (rows * len(lists.groups))


def test_groups_of_64_rows_are_nearly_full():
    """20 rows a centre on average, from 7 of a hydrogen to 50 of an ion."""
    program, types, positions, cell = solution(1)
    device = ListDevice(memory=227 * 1024)
    with steps([program], types, [True] * 3, device=device, rows=64) as made:
        made.step(positions, cell)
        lists = made.lists()
        assert lists.groups.shape[1] == 8 and len(lists.wide) == 0
        assert filled(lists, 64) > 0.9


@pytest.mark.slow
def test_cells_of_a_large_box_have_the_same_pairs():
    program, types, positions, cell = solution(3)
    device = ListDevice(memory=227 * 1024, groups=9)
    with steps([program], types, [True] * 3, device=device, rows=64) as made:
        made.step(positions, cell)
        assert "bin" in device.names
        lists = made.lists()
        assert filled(lists, 64) > 0.94
    with steps([program], types, [True] * 3, rows=64, cells=10**6) as made:
        made.step(positions, cell)
        assert "bin" not in made.device.names
        np.testing.assert_array_equal(made.lists().pairs, lists.pairs)
        np.testing.assert_array_equal(made.lists().near, lists.near)
