# SPDX-License-Identifier: MIT
"""Name what was probably meant by a word that nothing is called."""

import difflib
from collections.abc import Iterable


def did_you_mean(words: Iterable[str], known: Iterable[str]) -> str:
    """Write a question that ends an error message.

    Parameters
    ----------
    words : iterable of str
        What was found.
    known : iterable of str
        What it could have been.

    Returns
    -------
    str
        As ``"; did you mean rdf?"``, or an empty text if nothing known is alike.

    Examples
    --------
    >>> did_you_mean(["rfd"], ["rdf", "angles"])
    '; did you mean rdf?'
    """
    names = {name.casefold(): name for name in known}
    meant = [
        names[match]
        for word in words
        if isinstance(word, str)
        for match in difflib.get_close_matches(word.casefold(), names, 1, 0.6)
    ]
    return f"; did you mean {', '.join(dict.fromkeys(meant))}?" if meant else ""
