# SPDX-License-Identifier: MIT
"""Check the shape and the type of a label's value."""

from typing import Any

import numpy as np

# Of the largest component: how far a stress may be from symmetric.
_ASYMMETRY = 1e-3


def as_number(value: Any, where: str, atoms: int) -> float:
    """Convert a value to one number.

    Parameters
    ----------
    value
    where : str
        Frame and name, for the message.
    atoms : int
        Number of atoms of the frame.

    Raises
    ------
    ValueError
        If it is a text, a truth value or several numbers.
    """
    array = _numbers(value, where, "a number")
    if array.size != 1:
        hint = ", one for each atom" if array.size == atoms else ""
        raise ValueError(
            f"{where}: expected one number, found {array.size} of shape "
            f"{array.shape}{hint}"
        )
    return float(array.reshape(()))


def as_vectors(value: Any, where: str, atoms: int) -> np.ndarray:
    """Convert a value to three numbers for each atom.

    Raises
    ------
    ValueError
        As ``as_number``, or if it is of another shape.
    """
    array = _numbers(value, where, "numbers")
    if array.shape != (atoms, 3):
        raise ValueError(
            f"{where}: expected three numbers for each of {atoms} atoms, found an "
            f"array of shape {array.shape}"
        )
    return array


def as_tensor(value: Any, where: str) -> np.ndarray:
    """Convert a value to a symmetric tensor.

    Parameters
    ----------
    value
        Of shape [3, 3], [9] or [6]; six are xx, yy, zz, yz, xz, xy, as in ASE.
    where : str

    Raises
    ------
    ValueError
        As ``as_number``, or if it is of another shape or not symmetric.
    """
    array = _numbers(value, where, "numbers")
    if array.shape == (6,):
        xx, yy, zz, yz, xz, xy = array
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    if array.shape in ((9,), (1, 3, 3)):
        array = array.reshape(3, 3)
    if array.shape != (3, 3):
        raise ValueError(
            f"{where}: expected 3 × 3, 9 or 6 numbers (xx, yy, zz, yz, xz, xy), found "
            f"an array of shape {array.shape}"
        )
    difference = np.abs(array - array.T).max()
    if difference > _ASYMMETRY * np.abs(array).max():
        raise ValueError(
            f"{where}: expected a symmetric tensor, found {array.tolist()}"
        )
    return array if difference == 0 else 0.5 * (array + array.T)


def _numbers(value: Any, where: str, expected: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{where}: expected {expected}, found {value!r}") from error
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{where}: expected {expected}, found {value!r}")
    return array.astype(float)
