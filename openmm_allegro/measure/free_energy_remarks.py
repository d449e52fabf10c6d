# SPDX-License-Identifier: MIT
"""Say in words what a free energy surface does not know."""

from typing import Any

import numpy as np


def remarks(surface: Any, left_out: list[tuple[float, ...]]) -> list[str]:
    """Say which minima are not listed, and how many bins have no value or no error."""
    notes, names = [], ", ".join(axis.name for axis in surface.axes)
    if left_out:
        places = [" ".join(f"{x:.3g}" for x in place) for place in left_out[:3]]
        one = len(left_out) == 1
        notes.append(
            f"{len(left_out)} {'bin' if one else 'bins'} of {names} (at "
            f"{', '.join(places)}{', ...' if len(left_out) > 3 else ''}) "
            f"{'is' if one else 'are'} lower than those around "
            f"{'it' if one else 'them'}, but no {'minimum' if one else 'minima'}: the "
            "saddle to a lower one is not known or within twice its error, or few bins "
            "around were visited; a longer run, or fewer --bins, would tell."
        )
    visited = np.isfinite(surface.values)
    without = np.count_nonzero(visited & ~np.isfinite(surface.errors))
    if without:
        notes.append(
            f"{without} of {np.count_nonzero(visited)} visited bins of {names} have no "
            "error: too few blocks of the run visited them; a longer run, or fewer "
            "--bins, would tell."
        )
    if not visited.all():
        notes.append(
            f"{np.count_nonzero(~visited)} of {visited.size} bins of {names} were not "
            "visited: nothing is known of them, and tables have nan there."
        )
    return notes
