# SPDX-License-Identifier: MIT
"""Cells of any orientation, turned so that lengths and angles describe them."""

import numpy as np


def lengths_and_angles(vectors: np.ndarray) -> np.ndarray:
    """Lengths, in the unit of the vectors, and angles in degrees of a cell.

    Parameters
    ----------
    vectors : (..., 3, 3) array
        Rows a, b and c.

    Returns
    -------
    (..., 6) array
        a, b, c, and the angles of b and c, of c and a, and of a and b.
    """
    vectors = np.asarray(vectors, dtype=float)
    lengths = np.linalg.norm(vectors, axis=-1)
    units = vectors / lengths[..., None]
    angles = [
        np.degrees(
            np.arccos(np.clip((units[..., i, :] * units[..., j, :]).sum(-1), -1, 1))
        )
        for i, j in ((1, 2), (2, 0), (0, 1))
    ]
    return np.concatenate([lengths, np.stack(angles, axis=-1)], axis=-1)


def standard_vectors(cell: np.ndarray) -> np.ndarray:
    """Vectors (3, 3) of a cell (6,): a along x, b in the plane of x and y."""
    (a, b, c), angles = cell[:3], np.radians(cell[3:])
    # a right angle has a cosine of 6e-17, which would tilt the box a little
    cosines = np.where(cell[3:] == 90.0, 0.0, np.cos(angles))
    sine = np.sqrt(1 - cosines[2] ** 2)
    y = (cosines[0] - cosines[1] * cosines[2]) / sine
    z = np.sqrt(1 - cosines[1] ** 2 - y**2)
    return np.array(
        [
            [a, 0, 0],
            [b * cosines[2], b * sine, 0],
            [c * cosines[1], c * y, c * z],
        ]
    )


def turn(positions: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn atoms with their cell, so that a is along x and b in the plane of x and y.

    A left-handed cell is described by -a, -b and -c, which are the same lattice: the
    atoms are turned, never mirrored.

    Parameters
    ----------
    positions : (n, 3) array
    vectors : (3, 3) array
        Rows a, b and c, in the same unit.

    Returns
    -------
    positions : (n, 3) array
    cell : (6,) array
        Lengths, and angles in degrees.
    """
    vectors = np.asarray(vectors, dtype=float)
    positions = np.asarray(positions, dtype=float)
    cell = lengths_and_angles(vectors)
    right = np.abs(cell[3:] - 90.0) < 1e-7
    cell[3:][right] = 90.0
    if not vectors[[0, 0, 1], [1, 2, 2]].any() and (np.diag(vectors) > 0).all():
        return positions, cell  # to the last bit as they were
    if np.linalg.det(vectors) < 0:
        vectors = -vectors
    parts = np.linalg.solve(vectors.T, positions.T).T
    return parts @ standard_vectors(cell), cell
