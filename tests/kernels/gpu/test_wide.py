# SPDX-License-Identifier: MIT
"""Centres with more neighbours than their list, or than there is memory for."""

import numpy as np
import pytest
from gpu_grid import emitted
from gpu_helpers import host_card
from gpu_network import run_network, star_pairs


@pytest.fixture(scope="module")
def wide():
    """Results of the kernel for wide centres, with options."""
    kernels = emitted("all options", "double", 0)
    pairs = star_pairs(kernels.cutoffs, [7, 0, 1, 40])
    with host_card(flags=("-O0",)) as card:
        compiled = card.device.compile(kernels.source)
        yield lambda **options: run_network(
            card, kernels, pairs, compiled=compiled, **options
        )


def test_a_search_finds_what_a_list_has(wide):
    """In the same order, so that results are the same to the last bit."""
    listed, searched = wide(), wide(searches=(2, 2, 2))
    assert abs(listed.forces).max() > 1e-3
    for one, other in zip(listed, searched, strict=True):
        assert np.array_equal(one, other)


def test_energies_alone(wide):
    both, alone = wide(), wide(wants_forces=False)
    assert np.array_equal(alone.energies, both.energies)
    assert not alone.forces.any() and not alone.strain.any()


@pytest.mark.parametrize("searches", [None, (2, 2, 2)])
def test_a_centre_without_room_has_no_energy(wide, searches):
    all_rows, few = wide(), wide(wide_rows=20, searches=searches)
    missing = np.isnan(few.energies)
    assert missing.sum() == 1
    assert np.array_equal(few.energies[~missing], all_rows.energies[~missing])
