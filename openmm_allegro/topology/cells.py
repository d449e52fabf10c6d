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


def reduced(vectors: np.ndarray) -> np.ndarray:
    """Reduce a cell to the form that OpenMM takes, which refuses any rounding of it.

    Parameters
    ----------
    vectors : (3, 3) array
        Rows a along x, b in the plane of x and y, and c.

    Returns
    -------
    (3, 3) array
        Vectors of the same lattice: b and c along x, and c along y, are at most half of
        a and b.
    """
    a, b, c = np.array(vectors, dtype=float)
    c = c - b * np.rint(c[1] / b[1])
    c = c - a * np.rint(c[0] / a[0])
    b = b - a * np.rint(b[0] / a[0])
    # half of a vector may be more than half of it in its last bit
    b[0], c[0] = np.clip([b[0], c[0]], -a[0] / 2, a[0] / 2)
    c[1] = np.clip(c[1], -b[1] / 2, b[1] / 2)
    return np.array([a, b, c])


def changes_of_form(
    vectors: np.ndarray | None, cell: np.ndarray, box: np.ndarray
) -> str:
    """Say how a cell was brought into the form that OpenMM needs: turned, reduced.

    Parameters
    ----------
    vectors : (3, 3) array or None
        Rows a, b and c as a file has them; None where it has lengths and angles.
    cell : (6,) array
        Their lengths, and angles in degrees.
    box : (3, 3) array
        The rows that are used, in the same unit.

    Returns
    -------
    str
        As ``"turned with the atoms, so that a is along x and b in the plane of x and y;
        b + a stands for b"``; empty if nothing was changed.
    """

    def times(number: int) -> str:
        return str(number) if number > 1 else ""

    standard, parts = standard_vectors(cell), []
    size = 1e-5 * np.abs(standard).max()
    if vectors is not None and np.abs(vectors - standard).max() > size:
        if np.linalg.det(vectors) < 0:
            parts.append("-a, -b and -c stand for a, b and c, which were left-handed")
        parts.append(
            "turned with the atoms, so that a is along x and b in the plane of x and y"
        )
    numbers = np.rint(np.asarray(box) @ np.linalg.inv(standard)).astype(int)
    for name, row in zip("bc", numbers[1:], strict=True):
        others = [(n, x) for n, x in zip("abc", row, strict=True) if n != name and x]
        if others:
            terms = (f" {'-+'[int(x > 0)]} {times(abs(x))}{n}" for n, x in others)
            parts.append(f"{name}{''.join(terms)} stands for {name}")
    return "; ".join(parts)
