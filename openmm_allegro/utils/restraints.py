# SPDX-License-Identifier: MIT
"""Energy of a harmonic restraint, for those that restrain and those that analyse."""

import numpy as np


def restraint_energy(
    values: np.ndarray,
    center: float,
    force_constant: float,
    *,
    flat: float = 0.0,
    side: str = "both",
    period: float | None = None,
    in_degrees: bool = False,
) -> np.ndarray:
    """Compute k/2 max(0, |s - center| - flat)², kJ/mol, of values of a variable s.

    Parameters
    ----------
    values : ndarray
    center, flat : float
        In the unit of the values.
    force_constant : float
        In kJ/mol over the unit squared, or over rad² where values are in degrees.
    side : str
        Side of the centre that has energy: "both", "above" or "below".
    period : float, optional
        Length after which the variable repeats.
    in_degrees : bool
        Whether the values are in degrees.

    Returns
    -------
    ndarray
    """
    away = np.asarray(values, dtype=float) - center
    if period is not None:
        away = away - period * np.floor(away / period + 0.5)
    away = {"both": np.abs(away), "above": away, "below": -away}[side]
    beyond = np.maximum(away - flat, 0.0)
    if in_degrees:
        beyond = np.radians(beyond)
    return 0.5 * force_constant * beyond**2
