# SPDX-License-Identifier: MIT
"""Recognise what the names in a file stand for."""

import functools
import re

KINDS = ("energy", "forces", "stress", "virial")
# Words that a name may have beside that of the label.
_ORIGINS = {
    *("ref", "reference", "dft", "qm", "total", "potential", "target", "true"),
    *("abinit", "aims", "castep", "cp2k", "espresso", "gpaw", "orca", "psi4", "vasp"),
}
_KIND_OF_WORD = {
    "energy": "energy",
    "force": "forces",
    "forces": "forces",
    "stress": "stress",
    "virial": "virial",
    "virials": "virial",
}


@functools.lru_cache(maxsize=1024)
def kind_of(name: str) -> str:
    """Kind of label that a name is usual for, or an empty string.

    Examples
    --------
    >>> kind_of("REF_energy"), kind_of("dft_virials"), kind_of("MACE_energy")
    ('energy', 'virial', '')
    """
    return _kind(words_of(name), _ORIGINS)


@functools.lru_cache(maxsize=1024)
def kind_of_weight(name: str) -> str:
    """Kind of label that a name gives a weight, "frame" of all, or an empty string.

    Examples
    --------
    >>> kind_of_weight("config_virials_weight"), kind_of_weight("Weight")
    ('virial', 'frame')
    """
    return _kind_beside(name, {"weight", "weights"})


@functools.lru_cache(maxsize=1024)
def kind_of_sigma(name: str) -> str:
    """Kind of label that a name gives the deviation of, as GAP has it, or none.

    Examples
    --------
    >>> kind_of_sigma("virial_sigma")
    'virial'
    """
    return _kind_beside(name, {"sigma"})


def words_of(name: str) -> list[str]:
    """Words of a name in lower case."""
    return [word for word in re.split(r"[_.\-\s]+", name.lower()) if word]


def _kind_beside(name: str, beside: set[str]) -> str:
    words = words_of(name)
    if not beside & {*words}:
        return ""
    rest = [word for word in words if word not in (*beside, "config")]
    return _kind(rest, set()) if rest else "frame"


def _kind(words: list[str], others: set[str]) -> str:
    kinds = [_KIND_OF_WORD[word] for word in words if word in _KIND_OF_WORD]
    rest = {word for word in words if word not in _KIND_OF_WORD}
    return kinds[0] if len(kinds) == 1 and rest <= others else ""
