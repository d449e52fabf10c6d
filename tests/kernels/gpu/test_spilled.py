# SPDX-License-Identifier: MIT
"""Groups whose rows have more numbers than work-group memory has room for."""

import shutil

import numpy as np
import pytest
import torch
from gpu_grid import KINDS, emitted, errors, program, twin_results
from gpu_helpers import host_card
from gpu_network import run_network, star_pairs
from gpu_races import sanitize
from gpu_step import ListDevice, steps
from kernel_helpers import in_numpy

MEMORY = 227 * 1024


class SizedDevice(ListDevice):
    """A device that does not run networks, and knows the bytes of its buffers."""

    def __init__(self, **options):
        super().__init__(**options)
        self.sizes = {}

    def allocate(self, count):
        buffer = super().allocate(count)
        self.sizes[buffer] = count
        return buffer


def results_of(kernels, pairs, **options):
    with host_card(memory=kernels.sizes.memory, **options) as card:
        return run_network(card, kernels, pairs)


def most_spilled(model, kind, rows, start=8_000):
    """Kernels with the least work-group memory that the model fits in."""
    for memory in range(start, MEMORY, 1_000):
        try:
            return emitted(model, kind, rows, memory=memory, one_space=True)
        except ValueError:
            continue
    return None


def test_what_is_spilled_equals_what_is_not_to_the_last_bit():
    whole = emitted("one layer", "double", 16)
    part = most_spilled("one layer", "double", 16)
    assert part.sizes.memory < 0.6 * whole.sizes.memory
    assert part.sizes.spilled_traffic > 2 * part.sizes.spilled > 0
    assert whole.sizes.spilled == whole.sizes.spilled_traffic == 0
    pairs = star_pairs(whole.cutoffs, [0, 1, 16, 3, 8, 2])
    for one, other in zip(
        *(results_of(kernels, pairs) for kernels in (whole, part)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_nothing_is_spilled_without_need_nor_where_memory_has_spaces():
    roomy = emitted("one layer", "single", 16, one_space=True)
    assert roomy.sizes.spilled == 0
    assert roomy.source == emitted("one layer", "single", 16).source
    least = most_spilled("one layer", "single", 16).sizes.memory
    with pytest.raises(ValueError, match="work-group memory for groups of 16"):
        emitted("one layer", "single", 16, memory=least)


def test_a_step_has_scratch_for_all_work_groups_that_run():
    numbers = in_numpy(program("one layer", torch.float64))
    options = {"groups": 3, "memory": 20_000}
    sizes = emitted("one layer", "double", 16, memory=20_000, one_space=True).sizes
    for one_space in (True, False):
        device = SizedDevice(**options, one_space=one_space)
        with steps([numbers], [0] * 9, [False] * 3, device=device, rows=16) as made:
            made.step(np.arange(27.0).reshape(9, 3))
            assert ("network" in device.names) == one_space
            scratch = device.arguments["wide"][12]
            assert device.sizes[scratch] >= 3 * sizes.spilled > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["two layers", "table of all options", "wide layers"])
def test_spilled_numbers_are_right(model, kind):
    kernels = most_spilled(model, kind, 32)
    assert kernels.sizes.spilled
    pairs = star_pairs(kernels.cutoffs, [0, 1, 32, 3, 17, 2])
    expected = twin_results(model, program(model, KINDS[kind][0]), pairs)
    found = results_of(kernels, pairs)
    limits = [1e-11] * 3 if kind == "double" else [2e-5, 2e-5, 1e-4]
    assert (errors(found, expected) < limits).all()
    other = results_of(kernels, pairs, backwards=True)
    for one, two in zip(found, other, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs the runtimes of g++")
@pytest.mark.parametrize("kind", ["single", "tf32"])
def test_each_barrier_that_spilled_numbers_need_is_there(kind, tmp_path):
    dtype, products = KINDS[kind]
    kernels = most_spilled("two layers", kind, 16)
    whole, *others = sanitize(
        in_numpy(program("two layers", dtype)),
        "thread",
        tmp_path,
        drops="all",
        rows=16,
        products=products,
        memory=kernels.sizes.memory,
    )
    assert not whole["error"], whole["report"]
    lines = kernels.source.splitlines()
    start = next(n for n, line in enumerate(lines) if "void network(" in line)
    packed = [outcome["error"] for outcome in others if outcome["line"] > start]
    assert len(packed) > 30 and all(packed)
