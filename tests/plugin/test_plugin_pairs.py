# SPDX-License-Identifier: MIT
"""The plugin's pair list against vesin's."""

import numpy as np
import pytest
import torch
import vesin_torch

from openmm_allegro.plugin.library import last_error, plugin


def pairs(positions, box, periodic, reach, threads=1):
    """Centre, neighbour and image [3] of each pair, or the error."""
    positions = np.ascontiguousarray(positions, dtype=float)
    box = np.ascontiguousarray(box, dtype=float)
    arguments = [len(positions), positions.ctypes.data, box.ctypes.data]
    arguments += [int(periodic), reach, threads]
    count = plugin().allegro_plugin_pairs(*arguments, 0, None)
    if count < 0:
        raise ValueError(last_error(plugin()))
    rows = np.zeros((count, 5), dtype=np.int64)
    plugin().allegro_plugin_pairs(*arguments, count, rows.ctypes.data)
    return rows


def pairs_of_vesin(positions, box, periodic, reach):
    finder = vesin_torch.NeighborList(
        cutoff=reach,
        full_list=True,
        sorted=False,
        algorithm="auto",
        skin=0.0,
        n_threads=1,
    )
    first, second, images = finder.compute(
        points=torch.tensor(positions),
        box=torch.tensor(box),
        periodic=torch.tensor([periodic] * 3),
        quantities="ijS",
        copy=True,
    )
    rows = torch.cat((first[:, None], second[:, None], images), 1).numpy()
    return rows[np.lexsort(rows.T[::-1])]


def random_case(random):
    """Atoms in and around a box of any shape, which may be far below the reach."""
    count, size = int(random.integers(1, 60)), random.uniform(1.2, 30.0)
    box = np.diag(random.uniform(0.5, 1.5, 3) * size)
    tilts = random.uniform(-0.5, 0.5, 3)
    box[1, 0], box[2, 0], box[2, 1] = tilts * box[[0, 0, 1], [0, 0, 1]]
    if random.integers(3) == 0:
        box = np.linalg.qr(random.normal(size=(3, 3)))[0] @ box
    positions = random.uniform(-2, 3, (count, 3)) @ box
    # some 7,200 neighbours: 10,000 are refused
    reach = min(
        random.uniform(0.5, 7), 12 * (abs(np.linalg.det(box)) / count) ** (1 / 3)
    )
    return positions, box, bool(random.integers(4)), reach


def check(cases, seed):
    random = np.random.default_rng(seed)
    number = 0
    for _ in range(cases):
        case = random_case(random)
        expected = pairs_of_vesin(*case)
        for threads in (1, 2):
            np.testing.assert_array_equal(pairs(*case, threads), expected)
        number += len(expected)
    return number


def test_same_pairs_in_a_fixed_order():
    assert check(80, seed=0) > 5_000


@pytest.mark.slow
def test_same_pairs_in_a_thousand_boxes():
    assert check(1500, seed=1) > 100_000


def test_lattice_has_the_neighbors_that_can_be_counted():
    """A simple cubic lattice of 216 atoms: 6, then 12 more, then 8 more."""
    sites = np.array(list(np.ndindex(6, 6, 6)), dtype=float)
    for reach, expected in ((1.1, 6), (1.5, 18), (1.8, 26)):
        rows = pairs(sites, 6 * np.eye(3), True, reach)
        assert (np.bincount(rows[:, 0]) == expected).all()


def test_a_few_atoms_very_far_apart():
    """No cells for the void between them."""
    positions = np.array([[0.0, 0.0, 0.0], [1e9, 0.0, 0.0], [1e9, 1.0, 0.0]])
    rows = pairs(positions, np.zeros((3, 3)), False, 3.0)
    assert rows[:, :2].tolist() == [[1, 2], [2, 1]]


@pytest.mark.parametrize(
    ("positions", "box", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 3)), "expected box vectors with a volume"),
        (np.zeros((2, 3)), np.diag([9.0, 9.0, 0.05]), "twenty-fifth of the cutoff"),
        (np.full((2, 3), 1e30), 9 * np.eye(3), "a billion boxes away"),
    ],
)
def test_what_has_no_pairs_is_refused(positions, box, message):
    with pytest.raises(ValueError, match=message):
        pairs(positions, box, True, 3.0)
