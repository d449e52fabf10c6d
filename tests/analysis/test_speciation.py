# SPDX-License-Identifier: MIT
"""Environments and clusters of known make-up."""

import tracemalloc

import numpy as np
import pytest
from analysis_helpers import CUBIC, make_trajectory

from openmm_allegro.analysis import clusters, speciation


def chain_and_pair(apart):
    """Na-Cl-Na and Na-Cl, 0.3 nm between neighbours, the chain across a boundary.

    In frames of `apart` the pair is torn.
    """
    frames = []
    for torn in apart:
        pair = [[1.5, 1.5, 1.5], [1.5, 1.5, 2.2 if torn else 1.8]]
        frames.append([[2.9, 0.1, 0.1], [0.2, 0.1, 0.1], [0.5, 0.1, 0.1], *pair])
    return make_trajectory(frames, CUBIC, ["Na", "Cl", "Na", "Na", "Cl"])


def test_environments_are_counted():
    apart = np.arange(40) % 4 == 0
    trajectory = chain_and_pair(apart)
    found = speciation(
        trajectory,
        "element Na",
        {"Cl": ("element Cl", 0.4), "Na": ("element Na", 0.7)},
    )
    assert list(found) == [(1, 1), (1, 0), (0, 0)]
    assert found[1, 1].value == pytest.approx(2 / 3)
    assert found[1, 1].error == pytest.approx(0, abs=1e-12)
    assert found[1, 0].value == pytest.approx(0.25)
    assert found[0, 0].value == pytest.approx(1 / 12)
    anions = speciation(trajectory, "element Cl", {"Na": ("element Na", 0.4)})
    assert [list(anions), anions[2,].value] == [[(2,), (1,), (0,)], 0.5]
    with pytest.raises(ValueError, match="up to 1.5 nm".replace(".", r"\.")):
        speciation(trajectory, "element Cl", {"Na": ("element Na", 1.6)})
    with pytest.raises(ValueError, match="one kind"):
        speciation(trajectory, "element Cl", {})


def test_clusters_are_followed_through_the_boundary():
    rng = np.random.default_rng(81)
    apart = rng.random(400) < 0.3
    found = clusters(chain_and_pair(apart), "element Na", "element Cl", 0.4)
    np.testing.assert_array_equal(found.sizes, [1, 2, 3])
    torn = apart.mean()
    np.testing.assert_allclose(
        found.fraction.value, [0.4 * torn, 0.4 * (1 - torn), 0.6]
    )
    assert found.mean_size.value == pytest.approx(1.8 + 0.8 * (1 - torn) + 0.4 * torn)
    # Binomial: 0.4 sqrt(p (1 - p) / 400), within what ten blocks know of it.
    assert found.fraction.error[0] == pytest.approx(0.4 * np.sqrt(0.21 / 400), rel=0.6)
    # Like ions alone are no cluster; given as both groups they are.
    near = make_trajectory([[[0, 0, 0], [0.3, 0, 0]]] * 20, CUBIC, ["Na", "Cl"])
    assert clusters(near, "all", "all", 0.4).mean_size.value == 2
    assert clusters(near, "element Na", "element Na", 0.4).mean_size.value == 1


def test_environments_of_many_centres_fit_into_memory():
    """Frames hold numbers of each kind, not the environment of each centre."""
    places = np.random.default_rng(82).random((2000, 3)) * 3
    trajectory = make_trajectory([places] * 200, CUBIC, ["O"] * 2000)
    speciation(trajectory[:2], "all", {"O": ("all", 0.1)}, n_blocks=2)
    tracemalloc.start()
    found = speciation(trajectory, "all", {"O": ("all", 0.1)}, n_blocks=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(part.value for part in found.values()) == pytest.approx(1)
    # An integer for each centre and frame would be 3.2 MB.
    assert peak < 2e6
