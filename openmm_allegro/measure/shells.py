# SPDX-License-Identifier: MIT
"""Pairs counted by distance, and the shells that g(r) shows; each counted once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..runs.source import Source

# Positions of atoms that structure is measured of: more would take minutes in a large
# system and add little.
POSITIONS = 1_000_000
# End of g(r) in nm, in cells that are wider than twice that.
_R_MAX = 1.5
_BIN_WIDTH = 0.005


def first_shells(source: Source, subjects: Mapping[str, Sequence[Any]]) -> dict:
    """Find the first shell of each pair, as `measure_rdf` does by default.

    Parameters
    ----------
    source : Source
    subjects : mapping of str to (selection, selection)

    Returns
    -------
    shells : dict of str to Coordination
        Of the pairs whose g(r) has one.
    failed : dict of str to str
        Reasons of the others.
    """
    counted, _ = count_distances(source, subjects)
    shells, failed = {}, {}
    for label, histogram in counted.items():
        try:
            shells[label] = first_shell(histogram)
        except ValueError as error:
            failed[label] = str(error)
    return shells, failed


def shell_radii(
    source: Source,
    subjects: Mapping[str, Sequence[Any]],
    given: Sequence[float] | None = None,
) -> dict[str, float]:
    """Choose the radius of the shell of each pair in nm: as given, or its first shell.

    Raises
    ------
    ValueError
        If there are neither one nor as many radii as pairs, or g(r) shows no shell.
    """
    if given is not None:
        return one_each(given, subjects, "--shell")
    shells, failed = first_shells(source, subjects)
    for label, reason in failed.items():
        raise ValueError(f"{label}: {reason}")
    return {label: shell.r_max for label, shell in shells.items()}


def one_each(
    radii: Sequence[float], subjects: Mapping[str, Any], option: str
) -> dict[str, float]:
    """Give each pair the one radius of an option, or its own."""
    if len(radii) not in (1, len(subjects)):
        raise ValueError(
            f"expected one {option}, or {len(subjects)} for {', '.join(subjects)}, "
            f"found {len(radii)}"
        )
    radii = list(radii) * (len(subjects) // len(radii))
    return dict(zip(subjects, radii, strict=True))


def first_shell(histogram: Any, n_blocks: int = 10) -> Any:
    """Find the first shell of a histogram, a Coordination.

    Raises
    ------
    ValueError
        If g(r) has no first peak and minimum, or its first minimum does not show.
    """
    from ..analysis.structure.coordination import coordination_of

    shell = coordination_of(histogram, n_blocks=n_blocks)
    if shell.holds_more:
        raise ValueError(
            f"no first minimum of g(r); after the peak at {shell.r_peak:.3f} nm comes "
            f"only that at {shell.r_max:.3f} nm, beyond second neighbours"
        )
    return shell


def whole_shell(histogram: Any, n_blocks: int = 10) -> Any:
    """Count the neighbours in all of a histogram, a Coordination."""
    from ..analysis.structure.coordination import coordination_of

    return coordination_of(histogram, first_shell=False, n_blocks=n_blocks)


def count_distances(
    source: Source,
    subjects: Mapping[str, Sequence[Any]],
    *,
    r_max: float | None = None,
    bin_width: float = _BIN_WIDTH,
    shells: Mapping[str, float] | None = None,
) -> tuple[dict, dict]:
    """Count pairs by distance in one pass over the frames.

    What was counted before of the same source is not counted again.

    Parameters
    ----------
    source : Source
    subjects : mapping of str to (selection, selection)
    r_max : float, optional
        In nm. Default: half the smallest width of the cell, 1.5 nm at most.
    bin_width : float, optional
        In nm.
    shells : mapping of str to float, optional
        Radii in nm of shells whose pairs are counted too.

    Returns
    -------
    counted, inside : dict of str to Histogram
        To `r_max`, and within each of the `shells`.
    """
    from ..analysis.structure.rdf import histograms

    frames = source.frames(positions=POSITIONS)
    if r_max is None:
        r_max = min(_R_MAX, frames.largest_radius())
    wanted = {label: (pair, r_max) for label, pair in subjects.items()}
    inside = {label: (subjects[label], r) for label, r in (shells or {}).items()}
    keys, missing = {}, {}
    for name, asked in (("counted", wanted), ("inside", inside)):
        for label, (pair, radius) in asked.items():
            key = (*map(_key, pair[:2]), radius, bin_width)
            keys[name, label] = key
            if key not in source.memory:
                missing[key] = tuple(pair[:2]), radius
    if missing:
        pairs, radii = zip(*missing.values(), strict=True)
        made = histograms(frames, pairs, np.array(radii), bin_width)
        source.memory.update(zip(missing, made, strict=True))
    return tuple(
        {label: source.memory[keys[name, label]] for label in asked}
        for name, asked in (("counted", wanted), ("inside", inside))
    )


def _key(selection: Any) -> Any:
    return selection if isinstance(selection, str) else np.asarray(selection).tobytes()
