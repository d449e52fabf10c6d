# SPDX-License-Identifier: MIT
"""Elements by masses, where a file has masses and no elements."""

from collections.abc import Mapping

from .names import SITE

# Masses of elements in files differ by less than this; CH2 as one atom weighs 0.02 more
# than nitrogen.
TOLERANCE = 0.011


def symbol_of_mass(mass: float, masses: Mapping[str, float]) -> str | None:
    """Find the element of a mass, or None where it is that of no element.

    Parameters
    ----------
    mass : float
        g/mol; 0 is that of a virtual site.
    masses : mapping of str to float
        Masses of elements by their symbols, g/mol.

    Returns
    -------
    str or None
        A symbol, or `SITE`.
    """
    if mass == 0:
        return SITE
    symbol = min(masses, key=lambda symbol: abs(masses[symbol] - mass))
    return symbol if abs(masses[symbol] - mass) < TOLERANCE else None
