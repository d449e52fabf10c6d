# SPDX-License-Identifier: MIT
"""Pairs of positions, by the plugin and by vesin where there is none."""

import numpy as np
import pytest

from openmm_allegro.plugin import search
from openmm_allegro.plugin.search import find_pairs

pytestmark = pytest.mark.small

BOX = np.array([[7.0, 0.0, 0.0], [2.0, 6.0, 0.0], [-1.0, 1.5, 5.0]])


def in_order(pairs):
    """Rows of centre, neighbour and vector, sorted by what rounding leaves alike."""
    rows = np.column_stack([*pairs[:2], pairs.vectors.round(6)])
    return np.lexsort(rows.T[::-1])


@pytest.fixture(params=["plugin", "vesin"])
def searcher(request, monkeypatch):
    if request.param == "vesin":
        monkeypatch.setattr(search, "_plugin_or_none", lambda: None)
    return request.param


@pytest.mark.parametrize("box", [BOX, None])
@pytest.mark.parametrize("reach", [0.8, 3.0, 9.0])
def test_both_find_the_same(box, reach, monkeypatch):
    """Atoms many boxes away, too, and more pairs than there is room for at first."""
    pytest.importorskip("vesin_torch")
    random = np.random.default_rng(1)
    positions = random.uniform(0, 1, (40, 3)) @ BOX
    if box is not None:
        positions += random.integers(-300, 300, (40, 3)) @ BOX
    native = find_pairs(positions, box, reach)
    monkeypatch.setattr(search, "_plugin_or_none", lambda: None)
    vesin = find_pairs(positions, box, reach)
    first, second = in_order(native), in_order(vesin)
    for ours, theirs in zip(native, vesin, strict=True):
        np.testing.assert_allclose(ours[first], theirs[second], rtol=0, atol=1e-9)
    assert (native.distances < reach).all()
    assert (np.diff(native.centers) >= 0).all()


def test_an_atom_and_its_images(searcher):
    pairs = find_pairs(np.zeros((1, 3)), 2.0 * np.eye(3), 2.5)
    np.testing.assert_allclose(pairs.distances, 2.0)
    assert len(pairs.centers) == 6


def test_none(searcher):
    for positions in (np.zeros((0, 3)), np.diag([0.0, 9.0, 9.0])[:2]):
        assert [len(values) for values in find_pairs(positions, None, 3.0)] == [0] * 3


@pytest.mark.parametrize(
    ("positions", "box", "message"),
    [
        (np.full((2, 3), np.nan), None, "finite positions and box, found NaN"),
        (np.zeros((2, 3)), np.full((3, 3), np.inf), "finite positions and box"),
        (np.ones((2, 3)), np.zeros((3, 3)), "expected box vectors"),
        (np.ones((2, 3)), np.eye(3) * 0.21, "at most 10000 neighbours of an atom"),
    ],
)
def test_what_has_no_end_is_refused(searcher, positions, box, message):
    with pytest.raises(ValueError, match=message):
        find_pairs(positions, box, 4.0)


def test_without_either(monkeypatch):
    """The plugin's reason is given, as it needs less."""

    def refuse():
        raise ImportError("expected a compiler")

    monkeypatch.setattr(search, "plugin", refuse)
    monkeypatch.setitem(__import__("sys").modules, "vesin_torch", None)
    search._plugin_or_none.cache_clear()
    try:
        with pytest.raises(ImportError, match="expected a compiler"):
            find_pairs(np.zeros((2, 3)), None, 3.0)
    finally:
        search._plugin_or_none.cache_clear()
