# SPDX-License-Identifier: MIT
"""Boxes and positions in which a search for pairs would take minutes, or crash."""

import math
import time

import numpy as np
import pytest
import torch
from test_neighbors import brute_force, same_pairs

from openmm_allegro.neighbors import PairList, VerletList

CUTOFF = 3.0
NAN, INF = math.nan, math.inf


def cube(side):
    return side * torch.eye(3, dtype=torch.float64)


def box(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def atoms(count=5, scale=3.0, seed=0):
    random = torch.Generator().manual_seed(seed)
    return scale * torch.rand((count, 3), generator=random, dtype=torch.float64)


def moved(index, to):
    positions = atoms()
    positions[index, 0] = to
    return positions


ALL, NONE, SLAB = (True,) * 3, (False,) * 3, (True, True, False)
REFUSED = {
    "0.2 Å, as 0.02 nm": (atoms(10, 0.2), cube(0.2), ALL, "at most 10000 neighbours"),
    "placeholder": (atoms(400), cube(1.0), ALL, "at most 10000 neighbours"),
    "one vector of 0.001 Å": (
        atoms(),
        box([5, 0, 0], [0, 5, 0], [0, 0, 1e-3]),
        ALL,
        "a width of 0.001",
    ),
    "leans far": (atoms(), box([5, 0, 0], [1e4, 5, 0], [0, 0, 5]), ALL, "lean far"),
    "times 1e300": (atoms(), cube(1e300), ALL, "within 100000000"),
    "both times 1e300": (atoms(scale=1e300), cube(1e300), ALL, "within 100000000"),
    "zero": (atoms(), cube(0.0), ALL, "span a volume"),
    "flat": (atoms(), box([5, 0, 0], [0, 5, 0], [5, 5, 0]), ALL, "span a volume"),
    "parallel in a slab": (
        atoms(),
        box([5, 0, 0], [10, 0, 0], [0, 0, 0]),
        SLAB,
        "span a volume",
    ),
    "NaN box": (atoms(), box([5, 0, 0], [0, NAN, 0], [0, 0, 5]), ALL, "within"),
    "infinite box": (atoms(), box([5, 0, 0], [0, INF, 0], [0, 0, 5]), ALL, "within"),
    "NaN in a slab": (atoms(), box([5, 0, 0], [0, NAN, 0], [0, 0, 0]), SLAB, "within"),
    "NaN positions": (moved(2, NAN), cube(5.0), ALL, "within 100000000"),
    "flown away": (moved(2, 1e12), cube(5.0), ALL, "has become unstable"),
    "flown away in vacuum": (moved(2, 1e12), cube(0.0), NONE, "has become unstable"),
    "all at one place": (
        torch.zeros(9000, 3).double(),
        cube(0),
        NONE,
        "on one another",
    ),
    "a film of 6000 cutoffs": (
        torch.tensor([[0, 0, 0], [17999, 17999, 1]]).double(),
        box([18000, 0, 0], [0, 18000, 0], [0, 0, 5]),
        ALL,
        "less flat or long",
    ),
}


@pytest.mark.parametrize("make", [PairList, VerletList])
@pytest.mark.parametrize("name", REFUSED)
def test_refused_at_once(name, make):
    positions, cell, periodic, expected = REFUSED[name]
    module = make(CUTOFF) if make is PairList else make(CUTOFF, 0.0)
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=f"^Allegro: expected .*{expected}"):
        module(positions, cell, torch.tensor(periodic))
    assert time.monotonic() - started < 0.5


def test_scripted_modules_refuse_too():
    positions, cell, periodic, expected = REFUSED["0.2 Å, as 0.02 nm"]
    with pytest.raises(torch.jit.Error, match=expected):
        torch.jit.script(PairList(CUTOFF))(positions, cell, torch.tensor(periodic))


KEPT = {
    "left-handed": (box([0, 5, 0], [5, 0, 0], [0, 0, 5]), ALL, (0.0, 0.0, 0.0)),
    "leaning": (box([5, 0, 0], [50, 5, 0], [0, 0, 5]), ALL, (0.0, 0.0, 0.0)),
    "1 cm": (cube(1e8), ALL, (0.0, 0.0, 0.0)),
    "0.6 Å, five atoms": (cube(0.61), ALL, (0.0, 0.0, 0.0)),
    # vesin divides by zero in these
    "two parts in a plane": (cube(0.0), NONE, (3e3, 3e3, 0.0)),
    "two parts in a line": (cube(0.0), NONE, (1e6, 0.0, 0.0)),
    "over a slab": (box([5, 0, 0], [1, 5, 0], [0, 0, 0]), SLAB, (0.0, 0.0, 1e6)),
    "over a tilted slab": (box([5, 0, 0], [0, 3, 4], [0, 0, 0]), SLAB, (0, -8e5, 6e5)),
    "around a rod": (
        box([0, 0, 0], [0, 5, 0], [0, 0, 0]),
        (False, True, False),
        (4e3, 0.0, 4e3),
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_odd_boxes_that_can_be_searched(name):
    """Parts that fly apart in vacuum are no error; every pair is there."""
    cell, periodic, apart = KEPT[name]
    positions = atoms(4, scale=0.6 if "0.6" in name else 3.0)
    positions = torch.cat((positions, atoms(1, seed=1)))
    if any(apart):
        offset = torch.tensor(apart, dtype=torch.float64)
        positions = torch.cat((positions, atoms(3, seed=2) + offset))
    periodic = torch.tensor(periodic)
    found = list(zip(*PairList(CUTOFF)(positions, cell, periodic), strict=True))
    same_pairs(found, brute_force(positions, cell, periodic, CUTOFF), atol=1e-8)
    kept = VerletList(CUTOFF, 0.0)
    kept(positions, cell, periodic)
    same_pairs(list(zip(*kept.vectors(positions, cell), strict=True)), found, atol=1e-8)
    assert len(found) >= 8


def test_an_atom_that_has_flown_away_is_called_so():
    positions = atoms()
    positions[2] += 200 * cube(5.0)[0]
    with pytest.raises(RuntimeError, match=r"has flown away, because .* unstable"):
        VerletList(CUTOFF, 0.5)(positions, cube(5.0), torch.tensor(ALL))


def test_a_crystal_of_one_atom_in_a_cell_is_searched():
    """Lithium, the cell of 2.1 Å width, within 10 Å: far from any bound."""
    vectors = 1.75 * (np.ones((3, 3)) - 2 * np.eye(3))
    images = np.stack(np.meshgrid(*[np.arange(-15, 16)] * 3), -1).reshape(-1, 3)
    expected = (np.linalg.norm(images @ vectors, axis=1) < 10.0).sum() - 1
    one = torch.zeros(1, 3).double()
    centers, _, _ = PairList(10.0)(one, torch.tensor(vectors), torch.tensor(ALL))
    assert len(centers) == expected > 150
