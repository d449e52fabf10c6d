# SPDX-License-Identifier: MIT
"""Atoms, pairs and triplets that a user names."""

import re
from collections.abc import Sequence
from typing import Any


def selections(items: Sequence[str]) -> dict[str, str]:
    """Read mdtraj selections by their labels.

    Examples
    --------
    >>> selections(["O", "EMC", "solvent=water and name O"])
    {'O': 'element O', 'EMC': 'resname EMC', 'solvent': 'water and name O'}
    """
    return {label: _selection(text) for label, text in map(_labelled, items)}


def pairs(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read pairs of selections: ``Na-O``, ``A=name N : water``.

    Examples
    --------
    >>> pairs(["Na-O"])
    {'Na-O': ('element Na', 'element O')}
    """
    return _groups(items, 2, "pairs such as Na-O")


def triplets(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read triplets of selections, the centre in the middle: ``P-O-P``."""
    return _groups(items, 3, "triplets such as P-O-O")


def no_words(items: Sequence[str]) -> None:
    """Refuse words where there is nothing to name."""
    if items:
        raise ValueError(
            f"expected runs and their files alone, found {' '.join(items)}"
        )


def elements(topology: Any) -> dict[str, str]:
    """Select each element of a topology."""
    symbols = sorted({atom.element.symbol for atom in topology.atoms})
    return {symbol: f"element {symbol}" for symbol in symbols}


def _groups(
    items: Sequence[str], size: int, example: str
) -> dict[str, tuple[str, ...]]:
    groups = {}
    for item in items:
        label, text = _labelled(item)
        parts = [part.strip() for part in text.split(":" if ":" in text else "-")]
        if len(parts) != size or not all(parts):
            raise ValueError(f"expected {example}, found {item!r}")
        groups[label] = tuple(_selection(part) for part in parts)
    return groups


def _labelled(item: str) -> tuple[str, str]:
    """Split ``LABEL=TEXT``; the text is its own label where there is none."""
    match = re.fullmatch(r"([\w+\- ]+)=(?![=~])(.+)", item)
    return match.groups() if match else (item, item)


def _selection(text: str) -> str:
    """Select the element ``Na``, the residue ``EMC``, or what mdtraj selects."""
    if re.fullmatch("[A-Z][a-z]?", text):
        return f"element {text}"
    return f"resname {text}" if re.fullmatch("[A-Z][A-Z0-9]{1,4}", text) else text
