# SPDX-License-Identifier: MIT
"""The kernel of groups of centres: right values, and what its plan promises."""

import re

import numpy as np
import pytest
import torch
from gpu_grid import KINDS, MODELS, emitted, errors, program, twin_results
from gpu_helpers import host_card
from gpu_network import emit, run_network, star_pairs
from kernel_helpers import in_numpy

MEMORY = 227 * 1024


def network(source):
    """Text of the kernel, from its arguments on."""
    return source[source.index("void network(") :]


def check(model, kind, rows, memory=MEMORY, **options):
    """Results of a kernel, and those of its twin in its precision."""
    kernels = emitted(model, kind, rows, memory=memory, one_space=True)
    degrees = [0, 1, rows, 3, rows // 2, 2]
    pairs = star_pairs(kernels.cutoffs, degrees)
    with host_card(memory=memory, **options) as card:
        results = run_network(card, kernels, pairs)
    return results, twin_results(model, program(model, KINDS[kind][0]), pairs)


def test_double_precision_equals_the_twin():
    results, expected = check("one layer", "double", 16)
    assert errors(results, expected).max() < 1e-11


@pytest.mark.slow
@pytest.mark.parametrize("rows", [16, 32, 64, 96, 128])
@pytest.mark.parametrize("model", MODELS)
def test_all_models_equal_the_twin(model, rows):
    results, expected = check(model, "double", rows)
    # each row's strain is rounded to 2^-40 eV, 1e-12 eV
    assert errors(results, expected).max() < 1e-11 * max(1, rows / 64)


@pytest.mark.slow
def test_what_is_computed_again_equals_what_is_kept():
    """With less memory a plan keeps less, and its groups have fewer centres."""
    kept, _ = check("uncoupled", "double", 16)
    texts = set()
    for memory in range(54_000, 30_000, -2_000):
        try:
            kernels = emitted("uncoupled", "double", 16, memory=memory)
        except ValueError:
            break
        assert kernels.sizes.memory <= memory
        text = network(kernels.source)
        if text in texts:
            continue
        texts.add(text)
        results, _ = check("uncoupled", "double", 16, memory)
        np.testing.assert_allclose(results.forces, kept.forces, rtol=0, atol=1e-11)
    assert any("again" in text for text in texts) and len(texts) > 1


def test_a_plan_that_does_not_fit_says_what_would():
    with pytest.raises(ValueError, match="work-group memory for groups of 64") as error:
        emitted("one layer", "single", 64, memory=10_000)
    needed = int(re.search(r"expected (\d+) bytes", str(error.value))[1])
    assert emitted("one layer", "single", 64, memory=needed).sizes.memory == needed
    with pytest.raises(ValueError, match="32, 64, 96 or 128 rows, found 20"):
        emitted("one layer", "single", 20)


@pytest.mark.parametrize("kind", KINDS)
def test_centers_of_a_group_and_its_threads(kind):
    for rows in (16, 32, 64, 96, 128):
        sizes = emitted("one layer", kind, rows).sizes
        assert sizes.threads == 4 * rows
        assert sizes.slots == min(rows // 8, 8)


def test_energies_alone_leave_out_the_way_back():
    """All that the way back adds is within one condition."""
    text = network(emitted("one layer", "single", 32).source)
    before, after = text.split("if (wants_forces) {")
    assert "add_row_forces" not in before and "energies" not in after
    assert before.count("SYNC_THREADS") < after.count("SYNC_THREADS") + 5


def test_products_keep_the_nan_of_a_card():
    """All of its bits are set but the sign, so to round it up would make it 0."""
    numbers = in_numpy(program("one layer", torch.float32))
    weights = numbers.weights.copy()
    weights.view(np.uint32)[0] = 0x7FFFFFFF  # of the first product
    kernels = emit(numbers._replace(weights=weights), 16, KINDS["tf32"][1])
    pairs = star_pairs(kernels.cutoffs, [3])
    with host_card(memory=MEMORY) as card:
        results = run_network(card, kernels, pairs, wants_forces=False)
    assert np.isnan(results.energies[0])
