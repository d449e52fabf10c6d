# SPDX-License-Identifier: MIT
"""Frames picked by disagreement and novelty, without near-duplicates."""

import numpy as np

from openmm_allegro.learn.pick import pick_at_random, pick_frames


def test_disagreement_and_novelty_both_count():
    """On a line with known frames at 0: first the largest product, then apart of it."""
    places = np.array([[0.1], [1.0], [1.05], [3.0]])
    deviations = np.array([9.0, 2.0, 2.0, 0.5])
    found = pick_frames(deviations, places, np.zeros((1, 1)), 4, least=0.2)
    # products 0.9, 2, 2.1, 1.5; then 1.0 is too near to 1.05, and 0.1 to the known
    assert [pick.index for pick in found.picks] == [2, 3]
    assert found.duplicates == 2 and found.broken == 0
    assert np.isclose(found.picks[1].distance, 1.95)
    assert "rank 4 of 4" in found.picks[1].reason


def test_no_two_picks_are_near():
    generator = np.random.default_rng(0)
    places, known = generator.random((200, 2)), generator.random((20, 2))
    found = pick_frames(generator.random(200), places, known, 50, least=0.1)
    chosen = np.concatenate([known, places[[pick.index for pick in found.picks]]])
    gaps = np.linalg.norm(chosen[:, None] - chosen[None], axis=-1)[20:]
    gaps[gaps == 0] = np.inf
    assert len(found.picks) > 5 and gaps.min() >= 0.1


def test_broken_frames_are_left_out():
    deviations = np.array([1.0, 50.0, np.nan])
    places = np.arange(3.0)[:, None]
    found = pick_frames(deviations, places, np.empty((0, 1)), 3, largest=10.0)
    assert [pick.index for pick in found.picks] == [0] and found.broken == 2


def test_random_picks_depend_on_seed_and_round_alone():
    distances = np.ones(100)
    first, again, other = (
        [pick.index for pick in pick_at_random(100, 10, seeds, distances).picks]
        for seeds in ([1, 0], [1, 0], [1, 1])
    )
    assert first == again != other and len({*first}) == 10
