# SPDX-License-Identifier: MIT
"""Pairs of atoms within a reach, for whoever has positions alone and no model."""

import ctypes
import functools
from typing import NamedTuple

import numpy as np

from .library import last_error, plugin

_ROOM = 32  # pairs of an atom for which there is room at first


class Pairs(NamedTuple):
    """Ordered pairs, sorted by centre."""

    centers: np.ndarray  # [P] int64
    neighbors: np.ndarray  # [P] int64
    vectors: np.ndarray  # [P, 3] Å, from centre to neighbour

    @property
    def distances(self) -> np.ndarray:
        """Lengths of the vectors [P], Å."""
        return np.linalg.norm(self.vectors, axis=1)


def find_pairs(positions: np.ndarray, box: np.ndarray | None, reach: float) -> Pairs:
    """Find all ordered pairs nearer than a reach, periodic images included.

    The native plugin searches, or vesin-torch where the plugin cannot be had.

    Parameters
    ----------
    positions : ndarray [N, 3], Å
        Anywhere; need not be wrapped into the box.
    box : ndarray [3, 3] or None
        Rows are the box vectors, Å; None where there is no box.
    reach : float
        Å, above 0.

    Raises
    ------
    ValueError
        If positions or box are not finite, the box spans no volume, or it is so small,
        or so many atoms lie on one another, that the search would have no end.
    ImportError
        If neither the plugin nor vesin-torch can be had.
    """
    positions = np.array(positions, dtype=np.float64, order="C")
    vectors = np.zeros((3, 3)) if box is None else np.array(box, np.float64, order="C")
    if not (np.isfinite(positions).all() and np.isfinite(vectors).all()):
        raise ValueError("expected finite positions and box, found NaN or infinity")
    if not len(positions):
        return Pairs(*np.zeros((2, 0), np.int64), np.zeros((0, 3)))
    native = _plugin_or_none()
    if native is None:
        return _find_with_vesin(positions, vectors, box is not None, reach)
    if box is not None and np.linalg.det(vectors) != 0.0:
        # So that images, which are small integers, count from within the box.
        positions -= np.floor(positions @ np.linalg.inv(vectors)) @ vectors
    rows = _rows(native, positions, vectors, box is not None, reach)
    centers, neighbors = rows[:, 0].copy(), rows[:, 1].copy()
    between = positions[neighbors] - positions[centers] + rows[:, 2:] @ vectors
    return Pairs(centers, neighbors, between)


@functools.cache
def _plugin_or_none() -> ctypes.CDLL | None:
    """Load the plugin; if that fails, it is not tried again at each search."""
    try:
        return plugin()
    except ImportError as error:
        try:
            import vesin_torch  # noqa: F401
        except ImportError:
            raise error from None
        return None


def _rows(
    native: ctypes.CDLL,
    positions: np.ndarray,
    vectors: np.ndarray,
    periodic: bool,
    reach: float,
) -> np.ndarray:
    """Centre, neighbour and image [3] of each pair."""
    search = functools.partial(
        native.allegro_plugin_pairs,
        len(positions),
        positions.ctypes.data,
        vectors.ctypes.data,
        int(periodic),
        reach,
        1,  # thread, as a search takes some ms
    )
    rows = np.empty((_ROOM * len(positions), 5), dtype=np.int64)
    count = search(len(rows), rows.ctypes.data)
    if count > len(rows):
        rows = np.empty((count, 5), dtype=np.int64)
        count = search(count, rows.ctypes.data)
    if count < 0:
        raise ValueError(last_error(native))
    return rows[:count]


def _find_with_vesin(
    positions: np.ndarray, vectors: np.ndarray, periodic: bool, reach: float
) -> Pairs:
    import torch

    from ..neighbors import PairList

    arrays = (positions, vectors, np.array([periodic] * 3))
    try:
        pairs = PairList(reach)(*(torch.from_numpy(array) for array in arrays))
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    return Pairs(*(values.numpy() for values in pairs))
