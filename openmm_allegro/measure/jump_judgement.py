# SPDX-License-Identifier: MIT
"""Judgement of jumps: whether they are many, seen one by one, and between sites."""

from typing import Any

# Part of the positions of ions that should be in cores of sites, and that may share a
# site; mean stay at a site in frames, below which jumps are missed.
_IN_CORES, _SHARED, _FRAMES = 0.25, 0.05, 5
_WIDE = "the errors of rates, of residence times and of D by jumps hold 0 too"


def judge_jumps(
    label: str, result: Any, stays: Any, spread: float, allowed: float
) -> list[str]:
    """Judge whether jumps are many, seen one by one, and between sites of a lattice.

    Parameters
    ----------
    result, stays
        A Jumps, and the Stays that it is of.
    spread, allowed : float
        Distance in nm of the host's atoms from their places, and what it may be.
    """
    warnings = [*_judge_length(label, result, stays)]
    if spread > allowed:
        warnings.append(
            f"{label}: atoms of the host are {spread:.2g} nm from their mean places "
            "(root mean square): they are no lattice, or not all of them; name those "
            "that are with --host."
        )
    if stays.inside < _IN_CORES:
        warnings.append(
            f"{label}: ions are in the core of a site in {stays.inside:.0%} of their "
            "positions: there may be other sites, or cores are too small."
        )
    if stays.shared > _SHARED:
        warnings.append(
            f"{label}: in {stays.shared:.0%} of the positions another ion is at the "
            "same site: two sites may count as one."
        )
    for kind, stay in result.residences.items():
        if stay.time.value < _FRAMES * stays.time_step:
            warnings.append(
                f"{label}: stays at {kind} last {stay.time.value:.2g} ps, frames are "
                f"{stays.time_step:.2g} ps apart: rates are lower bounds, for jumps to "
                "and fro between frames are not seen."
            )
    return warnings


def _judge_length(label: str, result: Any, stays: Any) -> list[str]:
    """Judge whether a run is long enough for jumps, and for sites of a density."""
    from ..analysis.solids.density import KIND

    warnings = []
    if "few" in result.doubts:
        total = int(result.numbers.sum())
        seen = "1 jump tells" if total == 1 else f"{total} jumps tell"
        warnings.append(f"{label}: {seen} little of rates; {_WIDE}.")
    if "sparse" in result.doubts:
        number, sites = len(stays.ions), len(stays.occupation)
        warnings.append(
            f"{label}: too short for sites of the density: {number / sites:.1f} stays "
            "at each of them on average do not show which are sites, and which are "
            f"where an ion happened to be; {_WIDE}. Give --sites or a longer run."
        )
    length = stays.n_frames * stays.time_step
    for kind, stay in result.residences.items():
        if stay.time.value > length:
            site = "a site" if kind == KIND else kind
            warnings.append(
                f"{label}: too short for rates of jumps: ions stay at {site} for "
                f"{stay.time.value:.2g} ps, longer than the {length:.2g} ps that are "
                "measured: the rates are of those that left first."
            )
    return warnings
