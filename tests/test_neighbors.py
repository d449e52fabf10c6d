# SPDX-License-Identifier: MIT
"""Pair lists against a double loop over atoms and images, and their grouping."""

import itertools
import math

import pytest
import torch
from helpers import CELLS, random_atoms

from openmm_allegro.neighbors import PairList, VerletList, center_blocks

CUTOFF = 3.0


def brute_force(positions, cell, periodic, cutoff):
    """All (center, neighbor, vector) within the cutoff, one image after the other."""
    # rows without periodicity need some direction to have an inverse and a height
    full = torch.where(periodic[:, None], cell, 0.0)
    for axis in range(3):
        if not periodic[axis]:
            normal = torch.linalg.svd(full[full.abs().sum(1) > 0])[2][-1]
            full[axis] = normal
    inverse = torch.linalg.inv(full)
    heights = 1.0 / inverse.norm(dim=0)
    pairs = []
    for i, j in itertools.product(range(len(positions)), repeat=2):
        offset = positions[j] - positions[i]
        fraction = (offset @ inverse).tolist()
        ranges = []
        for f, height, wraps in zip(
            fraction, heights.tolist(), periodic.tolist(), strict=True
        ):
            reach = cutoff / height
            low, high = math.ceil(-reach - f), math.floor(reach - f)
            ranges.append(range(low, high + 1) if wraps else range(1))
        for image in itertools.product(*ranges):
            if i == j and not any(image):
                continue
            vector = offset + torch.tensor(image, dtype=full.dtype) @ full
            if vector.norm() < cutoff:
                pairs.append((i, j, vector))
    return pairs


def ordered(pairs):
    """Sorted rows [center, neighbor, x, y, z] that can be compared."""
    rows = [(int(i), int(j), *v.tolist()) for i, j, v in pairs]
    rows.sort(key=lambda row: [round(x, 6) for x in row])
    return torch.tensor(rows, dtype=torch.float64).view(-1, 5)


def same_pairs(found, expected, atol=1e-10):
    assert len(found) == len(expected)
    torch.testing.assert_close(ordered(found), ordered(expected), rtol=0, atol=atol)


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_pairs_match_brute_force(kind, outside):
    positions, cell, periodic, _ = random_atoms(kind, seed=11)
    if outside:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(-4, 5, positions.shape, generator=generator)
        positions = positions + (images * periodic).double() @ cell
    expected = brute_force(positions, cell, periodic, CUTOFF)
    assert len(expected) > 10
    for find in (PairList(CUTOFF), torch.jit.script(PairList(CUTOFF))):
        centers, neighbors, vectors = find(positions, cell, periodic)
        assert centers.dtype == neighbors.dtype == torch.int64
        assert vectors.dtype == torch.float64
        assert (centers.diff() >= 0).all()
        same_pairs(list(zip(centers, neighbors, vectors, strict=True)), expected)


@pytest.mark.parametrize(
    "periodic",
    [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)],
)
def test_mixed_periodicity(periodic):
    positions, cell, _, _ = random_atoms("triclinic", seed=12)
    periodic = torch.tensor(periodic, dtype=torch.bool)
    expected = brute_force(positions, cell, periodic, CUTOFF)
    # what stands in the rows that are not periodic must not matter
    for unused in (cell, torch.zeros_like(cell)):
        box = torch.where(periodic[:, None], cell, unused)
        centers, neighbors, vectors = PairList(CUTOFF)(positions, box, periodic)
        same_pairs(list(zip(centers, neighbors, vectors, strict=True)), expected)


def test_pairs_in_single_precision():
    positions, cell, periodic, _ = random_atoms("triclinic", seed=13)
    expected = brute_force(positions, cell, periodic, CUTOFF)
    lengths = torch.stack([v.norm() for _, _, v in expected])
    assert (lengths - CUTOFF).abs().min() > 1e-4  # else the count could differ
    centers, neighbors, vectors = PairList(CUTOFF)(
        positions.float(), cell.float(), periodic
    )
    assert vectors.dtype == torch.float32
    found = list(zip(centers, neighbors, vectors.double(), strict=True))
    assert len(found) == len(expected)
    by_length = [
        sorted((int(i), int(j), round(v.norm().item(), 3)) for i, j, v in pairs)
        for pairs in (found, expected)
    ]
    for a, b in zip(*by_length, strict=True):
        assert a[:2] == b[:2]
        assert a[2] == pytest.approx(b[2], abs=2e-3)


def test_one_atom_sees_its_images():
    """Simple cubic lattice of 2 Å: 6 neighbours at 2, 12 at 2√2 Å."""
    positions, cell = torch.tensor([[0.3, 7.0, -5.0]]).double(), 2.0 * torch.eye(3)
    centers, neighbors, vectors = PairList(3.0)(
        positions, cell.double(), torch.ones(3).bool()
    )
    assert not centers.any() and not neighbors.any()
    lengths = vectors.norm(dim=-1).sort().values
    expected = torch.tensor([2.0] * 6 + [2.0 * math.sqrt(2.0)] * 12).double()
    torch.testing.assert_close(lengths, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("largest_block", [1, 40, 8192])
@pytest.mark.parametrize("kind", CELLS)
def test_blocks_hold_each_pair_once(kind, largest_block):
    positions, cell, periodic, _ = random_atoms(kind, seed=14)
    # two atoms that nobody sees, one at the end and one in between
    if not periodic.any():
        far = torch.tensor([[50.0, 0.0, 0.0], [0.0, 70.0, 0.0]]).double()
        positions = torch.cat((positions[:4], far[:1], positions[4:], far[1:]))
    count, padding = len(positions), 1.5 * CUTOFF
    pairs = PairList(CUTOFF)(positions, cell, periodic)
    blocks = center_blocks(*pairs, count, padding, largest_block)

    assert sorted(torch.cat([b[0] for b in blocks]).tolist()) == list(range(count))
    degrees = torch.bincount(pairs[0], minlength=count)
    found = []
    for centers, neighbors, vectors in blocks:
        c, k = neighbors.shape
        assert centers.shape == (c,) and vectors.shape == (c, k, 3)
        assert c == 1 or c * k <= largest_block
        assert k == max(int(degrees[centers].max()), 1)
        real = torch.arange(k) < degrees[centers].unsqueeze(1)
        assert (vectors[real].norm(dim=-1) < CUTOFF).all()
        assert not neighbors[~real].any()
        assert (vectors[~real] == torch.tensor([padding, 0.0, 0.0])).all()
        rows = centers.unsqueeze(1).expand(c, k)
        found += zip(rows[real], neighbors[real], vectors[real], strict=True)
    same_pairs(found, list(zip(*pairs, strict=True)), atol=0.0)


def test_blocks_without_pairs():
    none = torch.zeros(0, dtype=torch.int64)
    blocks = center_blocks(none, none, torch.zeros(0, 3), 3, 4.5, 100)
    assert sorted(torch.cat([b[0] for b in blocks]).tolist()) == [0, 1, 2]
    for _, neighbors, vectors in blocks:
        assert neighbors.shape[1] == 1 and not neighbors.any()
        assert (vectors == torch.tensor([4.5, 0.0, 0.0])).all()


def test_blocks_are_scriptable_and_well_filled():
    """One crowded centre must not make every other row as long as its own."""
    degrees = torch.tensor([60, *([10] * 40), 0])
    centers = torch.repeat_interleave(torch.arange(len(degrees)), degrees)
    neighbors = torch.arange(len(centers)) % len(degrees)
    vectors = torch.rand(len(centers), 3, generator=torch.Generator().manual_seed(0))
    arguments = (centers, neighbors, vectors, len(degrees), 4.5, 8192)
    eager = center_blocks(*arguments)
    scripted = torch.jit.script(center_blocks)(*arguments)
    for a, b in zip(eager, scripted, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert max(b[1].shape[1] for b in eager) == 60
    assert sum(b[1].numel() for b in eager) < 2.5 * len(centers)


@pytest.mark.parametrize("side", [30.0, 6.0])
def test_order_does_not_depend_on_when_a_list_was_built(side):
    """Pairs within the cutoff come by centre, neighbour and image."""
    random = torch.Generator().manual_seed(0)

    def draw():
        return torch.rand((80, 3), generator=random, dtype=torch.float64)

    cell, periodic = side * torch.eye(3, dtype=torch.float64), torch.ones(3).bool()
    later = 1.5 * side * draw()
    lists = []
    for earlier in (later, later + 0.4 * (draw() - 0.5)):
        pairs = VerletList(4.0, 1.0)
        pairs(earlier, cell, periodic)
        pairs(later, cell, periodic)
        assert pairs.rebuilds == 1
        centers, neighbors, vectors = pairs.vectors(later, cell)
        near = vectors.norm(dim=1) < 4.0
        shifts = pairs.shifts[near].tolist()
        pairs_near = zip(
            centers[near].tolist(), neighbors[near].tolist(), shifts, strict=True
        )
        lists.append(list(pairs_near))
    assert lists[0] == lists[1] == sorted(lists[0])
    several = len({pair[:2] for pair in lists[0]}) < len(lists[0])
    assert several == (side < 10)
