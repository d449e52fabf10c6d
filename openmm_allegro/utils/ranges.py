# SPDX-License-Identifier: MIT
"""Indices of atoms as a text of ranges, for descriptions and records."""

import re
from collections.abc import Iterable


def as_ranges(indices: Iterable[int]) -> str:
    """Write indices as ``4 atoms: 0-2, 7``."""
    ordered = sorted(indices)
    ranges: list[list[int]] = []
    for index in ordered:
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    words = [f"{a}" if a == b else f"{a}-{b}" for a, b in ranges]
    atoms = "atom" if len(ordered) == 1 else "atoms"
    return f"{len(ordered)} {atoms}: {', '.join(words)}"


def indices_of(text: str) -> list[int]:
    """Read ``4 atoms: 0-2, 7``; nothing where the text does not list all of them.

    Examples
    --------
    >>> indices_of(as_ranges([7, 0, 1, 2]))
    [0, 1, 2, 7]
    """
    number, _, ranges = text.partition(": ")
    if not re.fullmatch(r"\d+ atoms?", number) or not re.fullmatch(
        r"\d+(-\d+)?(, \d+(-\d+)?)*", ranges
    ):
        return []
    indices = []
    for part in ranges.split(", "):
        first, _, last = part.partition("-")
        indices += range(int(first), int(last or first) + 1)
    return indices if len(indices) == int(number.split()[0]) else []
