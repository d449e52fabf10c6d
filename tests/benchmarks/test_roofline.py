# SPDX-License-Identifier: MIT
"""Operations of a program and bounds of a card, against other ways to count them."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from openmm_allegro.kernels.inference import twin
from openmm_allegro.kernels.inference.program import unpack

# Of the dense layers of l_max 2, two layers, 64 scalar and 32 tensor features: in, out.
DENSE = (
    *((8, 64), (64, 64)),  # two-body embedding
    (64, 3 * 32 + 3 * 32 + 64 + 64 + 32),  # all that reads it: no later layer does
    *((32, 64), (64, 3 * 32)),  # scalars, next environment
    *((64, 64), (32, 64)),
    *((64, 32), (64, 32)),  # readout
)


@pytest.fixture(scope="module")
def roofline(script):
    return script("roofline")


@pytest.fixture(scope="module")
def workloads(script):
    return script("workloads")


@pytest.fixture(scope="module")
def model(workloads):
    return workloads.model("water", "l2_2layers")


@pytest.fixture(scope="module")
def program(model):
    from openmm_allegro.kernels.inference.fold import fold

    return fold(model.energy, torch.float32)


def test_dense_operations_are_those_of_torch_and_of_the_sizes(roofline, program):
    counted = roofline.count(unpack(program))
    network, neighbors = twin._Network(program), 7
    vectors = torch.rand((1, neighbors, 3), dtype=torch.float64) + 0.5
    vectors.requires_grad_(True)
    kinds = torch.zeros((1, 1), dtype=torch.int64), torch.ones(1, neighbors).long()
    with FlopCounterMode(display=False) as counter:
        energy = network.sums(vectors, *kinds).energies
        torch.autograd.grad(energy.sum(), vectors)
    products = counter.get_flop_counts()["Global"][torch.ops.aten.mm]
    assert counted.linear * neighbors == products
    assert counted.linear == 4 * sum(depth * width for depth, width in DENSE)


def test_operations_of_the_tensor_products(roofline, program):
    """Per channel: nine components, three degrees, two layers; 83 and 9 couplings."""
    counted = roofline.count(unpack(program))
    forward = 2 * 9 + 2 * 9 + 2 * 3  # sum of y w; sums of y v by degree, times w
    # by v; by y and by w, of the features and of the environment; times w and scalars
    backward = 2 * 9 + 2 * (2 * 9 + 2 * 9) + 3 * 3
    assert counted.tensor == 2 * 32 * (forward + backward)
    assert counted.entries == 32 * (4 * 9 + 4 * 9 + 9 * 83)


def test_neighbors_are_those_of_the_pair_list(roofline, workloads, model):
    from openmm_allegro.neighbors import VerletList

    atoms = workloads.structure("water", 192)
    pairs = VerletList(model.config.cutoff, 0.0)
    box = torch.tensor(atoms.cell.array), torch.ones(3, dtype=torch.bool)
    pairs(torch.tensor(atoms.positions), *box)
    expected = np.diff(pairs.offsets.numpy())
    symbols, cell = list(atoms.symbols), atoms.cell.array
    counted = roofline.degrees(model, symbols, atoms.positions, cell)
    np.testing.assert_array_equal(counted, expected)


def test_groups_hold_whole_centers(roofline):
    degrees = np.array([40, 30, 30, 24, 20, 12, 0, 65])  # 64 + 64 + 28; none; too many
    assert roofline.packed(degrees, 64, 8) == 3
    assert roofline.packed(np.full(64, 16), 64, 8) == 16
    assert roofline.packed(np.full(64, 1), 64, 8) == 8


def test_bounds_follow_from_operations_and_rates(roofline, model):
    pairs = np.full(1, 50)
    work = roofline.workload(model, pairs)
    card = roofline.CARDS["A100"]._replace(group=227)
    plain = roofline.bound(work, card, "FMA")
    flops = 50 * work.counts.pair() + work.counts.entries
    assert plain.parts["FMA"] == pytest.approx(flops / 19.5e6)  # µs
    assert plain.ideal == plain.parts["FMA"] < plain.expected
    assert plain.fill == 50 / 64
    split = roofline.bound(work, card, "3xTF32")
    assert split.parts["tensor cores"] == pytest.approx(
        50 * work.counts.linear / 52e6  # a third of 156 TFLOP/s
    )
    assert split.expected < plain.expected
    too_many = work._replace(degrees=np.full(1, 65))
    assert roofline.bound(too_many, card, "FMA") is None
    small = card._replace(group=8)  # has no groups
    assert roofline.bound(work, small, "FMA") is None
