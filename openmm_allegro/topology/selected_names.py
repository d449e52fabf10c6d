# SPDX-License-Identifier: MIT
"""Names of residues in a selection of atoms, in mdtraj's words, that nothing has."""

import re
import warnings
from collections.abc import Iterable

from ..utils.suggest import did_you_mean

_TOKENS = re.compile(r"""'[^']*'|"[^"]*"|[\w+*-]+|[=!<>~]+|&&|\|\||\S""")
_ENDS = frozenset(("and", "or", "not", "&&", "||", "!", "(", ")"))


def selected_residues(text: str) -> list[str]:
    """List the names of residues that a selection asks for.

    Names that are excluded (``not resname HOH``), and patterns, are left out.

    Examples
    --------
    >>> selected_residues("(resname ACE 'ALA' and name C) or not resname HOH")
    ['ACE', 'ALA']
    """
    names: list[str] = []
    before, reading = "", False
    for token in _TOKENS.findall(text):
        if token.lower() in ("resname", "resn"):
            reading = before not in ("not", "!")
        elif token in _ENDS or (re.match("[=!<>~]", token) and token != "=="):
            reading = False
        elif reading and token not in ("==", "eq"):
            names.append(token.strip("'\""))
        before = token if token != "(" else before
    return names


def warn_of_unknown_residues(text: str, known: Iterable[str]) -> None:
    """Warn (UserWarning) of names in a selection that no residue has.

    Parameters
    ----------
    text : str
    known : iterable of str
        Names of the residues there are.
    """
    asked = selected_residues(text)
    there = set(known) if asked else set()
    unknown = [name for name in dict.fromkeys(asked) if name not in there]
    if unknown:
        warnings.warn(
            f"selection {text!r}: expected names of residues, found "
            f"{', '.join(unknown)}, which none has{did_you_mean(unknown, there)}",
            stacklevel=3,
        )
