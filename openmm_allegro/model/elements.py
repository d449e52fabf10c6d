# SPDX-License-Identifier: MIT
"""The elements that a model knows."""

from collections.abc import Sequence

import numpy as np


def element_types(
    symbols: Sequence[str], elements: Sequence[str], where: str
) -> np.ndarray:
    """Index of each symbol in ``elements``, [N] int64.

    Parameters
    ----------
    symbols : sequence of str
        Chemical symbols of N atoms.
    elements : sequence of str
        The model's, ``AllegroConfig.elements``.
    where : str
        Beginning of the error message.

    Raises
    ------
    ValueError
        If a symbol is not among ``elements``.
    """
    index = {element: i for i, element in enumerate(elements)}
    unknown = sorted(set(symbols) - set(index))
    if unknown:
        raise ValueError(
            f"{where}: expected only the elements the model knows, "
            f"{', '.join(elements)}; found {', '.join(unknown)}"
        )
    return np.array([index[s] for s in symbols], dtype=np.int64)
