# SPDX-License-Identifier: MIT
"""Pairs counted by distance, and the shells that g(r) shows; each counted once."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ..analysis.defaults import BIN_WIDTH, BLOCKS
from ..runs.centers import select_atoms
from ..runs.frames import Frames
from ..runs.source import Source

# Positions of atoms that structure is measured of: more would take minutes in a large
# system and add little.
POSITIONS = 4_000_000
# End of g(r) in nm, in cells that are wider than twice that.
R_MAX = 1.5
# Part of a coordination number by which the end of its shell may leave it unknown.
_KNOWN = 0.05


def first_shells(
    source: Source, subjects: Mapping[str, Sequence[Any]], *, apart: bool = False
) -> tuple[dict, dict]:
    """Find the first shell of each pair, as `measure_rdf` does by default.

    Parameters
    ----------
    source : Source
    subjects : mapping of str to (selection, selection)
    apart : bool, optional
        Whether pairs in one molecule are left out.

    Returns
    -------
    shells : dict of str to Coordination
        Of the pairs whose g(r) has one.
    failed : dict of str to str
        Reasons of the others.
    """
    counted, _ = count_distances(source, subjects, apart=apart)
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
    *,
    apart: bool = False,
) -> tuple[dict[str, float], list[str]]:
    """Choose the radius of the shell of each pair in nm: as given, or its first shell.

    Returns
    -------
    radii : dict of str to float
    warnings : list of str
        See `judge_shells`.

    Raises
    ------
    ValueError
        If there are neither one nor as many radii as pairs, or g(r) shows no shell.
    """
    if given is not None:
        return one_each(given, subjects, "--shell"), []
    shells, failed = first_shells(source, subjects, apart=apart)
    for label, reason in failed.items():
        raise ValueError(f"{label}: {reason}")
    radii = {label: shell.r_max for label, shell in shells.items()}
    return radii, judge_shells(shells)


def judge_shells(shells: Mapping[str, Any]) -> list[str]:
    """Judge whether the ends of first shells, of a Coordination each, are known."""
    warnings = []
    for label, shell in shells.items():
        if shell.r_range is None:
            continue
        low, high = shell.number_range
        known = max(shell.number_error, _KNOWN * shell.number)
        if not 0.5 * (high - low) > known:
            continue
        warnings.append(
            f"{label}: the end of the first shell is not well known: within its noise "
            f"g(r) is lowest anywhere from {shell.r_range[0]:.3f} to "
            f"{shell.r_range[1]:.3f} nm, where the coordination number is {low:.3g} to "
            f"{high:.3g}. Give a longer run, or the radius with --shell."
        )
    return warnings


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


def within_molecules(
    source: Source, subjects: Mapping[str, Sequence[Any]]
) -> list[str]:
    """List the pairs that are of atoms in one molecule, and of others too."""
    if len(source.molecules) == len(np.unique(source.molecules)):
        return []
    found = []
    for label, pair in subjects.items():
        a, b = (select_atoms(source.topology, x) for x in pair[:2])
        of_a, of_b = (np.bincount(source.molecules[x]) for x in (a, b))
        n = min(len(of_a), len(of_b))
        inside = int(of_a[:n] @ of_b[:n])
        if len(np.intersect1d(a, b)) < inside < len(a) * len(b):
            found.append(label)
    return found


def judge_molecules(
    source: Source, subjects: Mapping[str, Sequence[Any]], apart: bool
) -> list[str]:
    """Warn of pairs in one molecule where they are not left out."""
    return [
        f"{label}: pairs of atoms in one molecule are counted; --intermolecular leaves "
        "them out."
        for label in ([] if apart else within_molecules(source, subjects))
    ]


def first_shell(histogram: Any, n_blocks: int = BLOCKS) -> Any:
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


def whole_shell(histogram: Any, n_blocks: int = BLOCKS) -> Any:
    """Count the neighbours in all of a histogram, a Coordination."""
    from ..analysis.structure.coordination import coordination_of

    return coordination_of(histogram, first_shell=False, n_blocks=n_blocks)


def count_distances(
    source: Source,
    subjects: Mapping[str, Sequence[Any]],
    *,
    r_max: float | None = None,
    bin_width: float = BIN_WIDTH,
    shells: Mapping[str, float] | None = None,
    apart: bool = False,
) -> tuple[dict, dict]:
    """Count pairs by distance in one pass over the frames.

    What was counted before of the same source is not counted again.

    Parameters
    ----------
    source : Source
    subjects : mapping of str to (selection, selection)
    r_max : float, optional
        In nm. Default: half the smallest width of the cell, `R_MAX` at most.
    bin_width : float, optional
        In nm.
    shells : mapping of str to float, optional
        Radii in nm of shells whose pairs are counted too.
    apart : bool, optional
        Whether pairs in one molecule are left out.

    Returns
    -------
    counted, inside : dict of str to Histogram
        To `r_max`, and within each of the `shells`.
    """
    wanted = {("counted", label): (pair, r_max) for label, pair in subjects.items()}
    for label, radius in (shells or {}).items():
        wanted["inside", label] = subjects[label], radius
    keys = {
        name: (*map(_key, pair[:2]), radius, bin_width, apart)
        for name, (pair, radius) in wanted.items()
    }
    missing = {
        key: (tuple(wanted[name][0][:2]), wanted[name][1])
        for name, key in keys.items()
        if key not in source.memory
    }
    if missing:
        frames = source.frames(positions=POSITIONS)
        molecules = source.molecules if apart else None
        wanted_pairs = zip(*missing.values(), strict=True)
        made = _histograms(frames, *wanted_pairs, bin_width, molecules)
        source.memory.update(zip(missing, made, strict=True))
    return tuple(
        {label: source.memory[key] for (kind, label), key in keys.items() if kind == of}
        for of in ("counted", "inside")
    )


def _histograms(
    frames: Frames,
    pairs: Sequence[tuple[Any, Any]],
    radii: Sequence[float | None],
    bin_width: float,
    molecules: Any,
) -> list[Any]:
    """Count pairs to the radii; None stands for the largest that all cells allow."""
    from ..analysis.frames import cell_vectors, largest_radius
    from ..analysis.structure.rdf import histograms

    def count(source: Any, widest: float) -> list[Any]:
        known = [widest if radius is None else radius for radius in radii]
        return histograms(source, pairs, known, bin_width, molecules=molecules)

    chunks = iter(frames)
    first = next(chunks)
    widest = min(R_MAX, largest_radius(cell_vectors(first)))
    try:
        return count(chain([first], chunks), widest)
    except ValueError:
        for _ in chunks:  # so that all frames have been read, and may be kept
            pass
        narrowest = min(R_MAX, frames.largest_radius())
        if narrowest >= widest:
            raise
        return count(frames, narrowest)  # of a cell that shrank after the first frames


def _key(selection: Any) -> Any:
    return selection if isinstance(selection, str) else np.asarray(selection).tobytes()
