# SPDX-License-Identifier: MIT
"""Groups of more than 64 rows: right values, and when a step takes them."""

import numpy as np
import pytest
import torch
from gpu_grid import KINDS, emitted, errors, program, twin_results
from gpu_helpers import host_card
from gpu_network import run_network, star_pairs
from gpu_step import ListDevice, steps
from kernel_helpers import in_numpy

MEMORY = 227 * 1024
MODEL = "l_max 0"


def cluster(count, seed=0):
    """So many atoms that all are neighbours of each other, Å."""
    random = np.random.default_rng(seed)
    return random.uniform(0, 1.3, (count, 3))


@pytest.fixture(scope="module")
def numbers():
    return in_numpy(program(MODEL, torch.float32))


@pytest.mark.parametrize(("count", "rows"), [(65, 64), (66, 96), (98, 128), (130, 128)])
def test_a_step_takes_groups_that_hold_its_centers(numbers, count, rows):
    """Once the host has waited, not before; those of a caller's choice stay."""
    positions = cluster(count)
    with steps([numbers] * 2, [[0] * count] * 2, [False] * 3) as made:
        for _ in range(2):
            made.step(positions)
            assert made.rows() == 64
        made.finish()
        made.step(positions)
        lists = made.lists()
        assert made.rows() == rows
        large = count - 1 > rows
        assert len(lists.wide) == (count if large else 0)
        assert made.device.names.count("network") == 6
    with steps([numbers], [0] * count, [False] * 3, rows=64) as made:
        for _ in range(2):
            made.step(positions)
            made.finish()
        assert made.rows() == 64
        assert len(made.lists().wide) == (count if count > 65 else 0)


def test_groups_grow_twice_and_only_where_many_centers_are_larger(numbers):
    far = np.arange(3 * 4000).reshape(-1, 3) * 100.0 + 50.0
    few = np.concatenate([cluster(70), far])
    with steps([numbers], [0] * len(few), [False] * 3, cells=1000) as made:
        for _ in range(2):
            made.step(few)
            made.finish()
        assert made.rows() == 64 and len(made.lists().wide) == 70
    with steps([numbers], [0] * 110, [False] * 3, capacity=128) as made:
        for shift, rows in ((100.0, 96), (0.0, 128)):
            positions = cluster(110)
            positions[80:] += shift
            made.step(positions)
            made.finish()
            assert made.rows() == rows


def test_groups_stay_where_larger_ones_cannot_be(numbers):
    """Too little memory of a work-group, or a compiler that fails, is no error."""

    class Failing(ListDevice):
        def compile(self, source):
            if "#define ROWS 96" in source:
                raise RuntimeError("too large")
            return super().compile(source)

    sizes = emitted(MODEL, "single", 64).sizes
    for device in (Failing(), ListDevice(memory=sizes.memory, one_space=False)):
        with steps([numbers], [0] * 70, [False] * 3, device=device) as made:
            for _ in range(2):
                made.step(cluster(70))
                made.finish()
            assert made.rows() == 64 and len(made.lists().wide) == 70
            sources = len(device.names)
            made.step(cluster(70))
            assert len(device.names) - sources == 5


def test_groups_of_all_sizes_read_the_same_arrays():
    kernels = [emitted("two layers", "tf32", rows) for rows in (64, 96, 128)]
    for other in kernels[1:]:
        for name in ("weights", "constants", "integers"):
            one = getattr(kernels[0], name)
            np.testing.assert_array_equal(one, getattr(other, name))


@pytest.mark.slow
@pytest.mark.parametrize("rows", [96, 128])
@pytest.mark.parametrize("kind", KINDS)
def test_values_are_right(kind, rows):
    model = "two layers"
    kernels = emitted(model, kind, rows, memory=MEMORY, one_space=True)
    pairs = star_pairs(kernels.cutoffs, [0, 1, rows, 3, rows // 2, 65, 20, 2])
    expected = twin_results(model, program(model, KINDS[kind][0]), pairs)
    limits = [1e-11] * 3 if kind == "double" else [2e-5, 2e-5, 1e-4]
    with host_card(memory=MEMORY) as card:
        found = run_network(card, kernels, pairs)
    assert (errors(found, expected) < limits).all()


@pytest.mark.slow
def test_steps_before_and_after_the_change_are_the_same():
    numbers = in_numpy(program("one layer", torch.float64))
    device = ListDevice(networks=True, memory=MEMORY)
    results = []
    types = [0, 1, 2] * 24
    with steps([numbers], types, [False] * 3, device=device, capacity=96) as made:
        for rows in (64, 96):
            made.step(cluster(72))
            results.append(made.results())
            assert made.rows() == rows
            made.finish()
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
