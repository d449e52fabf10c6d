# SPDX-License-Identifier: MIT
"""Pick frames to label: where a committee disagrees, far from what is known."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Pick(NamedTuple):
    """A candidate that was picked, and why."""

    index: int
    distance: float  # to the nearest known or picked frame, in typical distances
    reason: str


class Picks(NamedTuple):
    """Picked candidates, and how many were left out by each rule."""

    picks: list[Pick]
    broken: int
    duplicates: int


def pick_frames(
    deviations: np.ndarray,
    places: np.ndarray,
    known: np.ndarray,
    count: int,
    *,
    least: float = 0.0,
    largest: float = np.inf,
) -> Picks:
    """Pick one frame after another by deviation times distance.

    The distance of a candidate is that to the nearest frame that is known or was picked
    before, so that each pick is apart from the others (greedy, as in farthest-point
    sampling).

    Parameters
    ----------
    deviations : ndarray [F]
        Of the candidates, eV/Å.
    places, known : ndarray [F, D], [K, D]
        Descriptors of candidates and of labelled frames, in typical distances.
    count : int
        Frames to pick, if there are as many.
    least : float
        Distance below which a candidate is a near-duplicate.
    largest : float
        Deviation above which a candidate is broken, eV/Å.

    Examples
    --------
    >>> import numpy as np
    >>> places = np.array([[0.0], [0.05], [1.0]])
    >>> found = pick_frames(np.array([1.0, 2.0, 0.5]), places, np.empty((0, 1)), 2,
    ...                     least=0.1)
    >>> [pick.index for pick in found.picks]
    [1, 2]
    """
    whole = np.isfinite(deviations) & (deviations <= largest)
    nearest = np.full(len(places), np.inf)
    for start in range(0, len(places), 500):  # bounds the memory
        part = places[start : start + 500]
        if len(known):
            gaps = np.linalg.norm(part[:, None] - known[None], axis=-1)
            nearest[start : start + 500] = gaps.min(axis=1)
    free, rank = whole.copy(), np.argsort(np.argsort(-deviations, kind="stable"))
    picks: list[Pick] = []
    while len(picks) < count:
        allowed = free & (nearest >= least)
        if not allowed.any():
            break
        # before anything is known, the deviation alone decides
        value = deviations * np.where(np.isinf(nearest), 1.0, nearest)
        index = int(np.argmax(np.where(allowed, value, -1.0)))
        near = float(nearest[index])
        reason = f"deviation {deviations[index]:.3f} eV/Å, rank {rank[index] + 1} of "
        reason += f"{len(places)}"
        reason += f"; distance {near:.2f}" if np.isfinite(near) else "; the first"
        picks.append(Pick(index, near, reason))
        free[index] = False
        gaps = np.linalg.norm(places - places[index], axis=-1)
        nearest = np.minimum(nearest, gaps)
    duplicates = int((free & (nearest < least)).sum())
    return Picks(picks, int((~whole).sum()), duplicates)


def pick_at_random(
    candidates: int, count: int, seeds: Sequence[int], distances: np.ndarray
) -> Picks:
    """Pick candidates at random, whatever they are: the baseline.

    Parameters
    ----------
    candidates, count : int
        Numbers of frames.
    seeds : sequence of int
        Of the choice.
    distances : ndarray [F]
        To the nearest known frame, for the log.
    """
    order = np.random.default_rng(seeds).permutation(candidates)[:count]
    picks = [Pick(int(k), float(distances[k]), "at random") for k in order]
    return Picks(picks, 0, 0)
