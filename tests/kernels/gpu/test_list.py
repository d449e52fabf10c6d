# SPDX-License-Identifier: MIT
"""The pair list of a card, built by a processor, against vesin's; rows and groups."""

import numpy as np
import pytest
import torch
from gpu_step import ListDevice, steps
from helpers import CELLS, random_atoms, tiny_config, tiny_energy
from kernel_helpers import in_numpy

from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.neighbors import VerletList

SKIN = 0.5
CONFIG = tiny_config(pair_cutoffs={"H-O": 2.4, "O-H": 2.9, "Na-Na": 2.7})
CUTOFFS = np.asarray(CONFIG.cutoff_table())


@pytest.fixture(scope="module")
def program():
    return in_numpy(fold(tiny_energy(CONFIG), torch.float32))


def expected_pairs(positions, cell, periodic, types, wraps):
    """Rows (centre, neighbour, image) within the reach of each pair, and the cutoff."""
    cell = torch.tensor(np.where(np.array(periodic)[:, None], cell, 0.0))
    points = torch.tensor(positions) - torch.tensor(wraps, dtype=torch.float64) @ cell
    found = VerletList(CUTOFFS.max(), SKIN)
    found(points, cell, torch.tensor(periodic))
    centers, neighbors, vectors = found.vectors(points, cell)
    lengths = vectors.norm(dim=1).numpy()
    cutoffs = CUTOFFS[types[centers], types[neighbors]]
    table = np.column_stack([centers, neighbors, found.shifts])
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
