# SPDX-License-Identifier: MIT
"""Atoms, pairs and triplets that a user names."""

import re
from collections.abc import Sequence
from typing import Any

# Before a molecule's name or a selection: its centres of mass. A name has no blanks.
_OF_NAME, _OF_WORDS = "com:", "com of "


def selections(items: Sequence[str]) -> dict[str, str]:
    """Read mdtraj selections by their labels.

    Examples
    --------
    >>> selections(["O", "EMC", "solvent=water and name O"])
    {'O': 'element O', 'EMC': 'resname EMC', 'solvent': 'water and name O'}
    >>> selections(["com:EMC", "com of water"])
    {'com:EMC': 'com:EMC', 'com of water': 'com of water'}
    """
    return {label: _selection(text) for label, text in map(_labelled, items)}


def pairs(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read pairs of selections: ``Na-O``, ``A=name N : water``.

    Examples
    --------
    >>> pairs(["Na-O", "Li-com:EMC"])
    {'Na-O': ('element Na', 'element O'), 'Li-com:EMC': ('element Li', 'com:EMC')}
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


def selected_of_center(text: Any) -> tuple[str | None, str | None] | None:
    """Name or selection of molecules whose centres of mass are meant.

    Returns
    -------
    (str or None, str or None) or None
        The name of a molecule, or a selection; None where no centres are meant.

    Examples
    --------
    >>> selected_of_center("com:EMC"), selected_of_center("com of water")
    (('EMC', None), (None, 'water'))
    >>> selected_of_center("element O")
    """
    if not isinstance(text, str):
        return None
    if text.startswith(_OF_NAME):
        return text.removeprefix(_OF_NAME), None
    if text.startswith(_OF_WORDS):
        return None, _selection(text.removeprefix(_OF_WORDS).strip())
    return None


def _groups(
    items: Sequence[str], size: int, example: str
) -> dict[str, tuple[str, ...]]:
    groups = {}
    for item in items:
        label, text = _labelled(item)
        # The colon of com:EMC parts nothing.
        text = re.sub(r"\bcom:(?=\S)", "com\0", text)
        parts = text.split(":" if ":" in text else "-")
        parts = [part.replace("\0", ":").strip() for part in parts]
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
