# SPDX-License-Identifier: MIT
"""Words of messages."""

import re
from collections.abc import Iterable, Iterator

# A number on its own, with its sign; not that of a name, such as "48h" or "Li1".
_NUMBER = re.compile(r"(?<![\w.,])[-−]?\d[\d,]*(?:\.\d+)?(?:e[-+−]?\d+)?(?![\w,.]*\w)")


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the plural but for 1.

    Examples
    --------
    >>> counted(1, "isolated atom"), counted(3, "frame"), counted(20000, "step")
    ('1 isolated atom', '3 frames', '20,000 steps')
    """
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(items: Iterable[str]) -> str:
    """Join items as a sentence lists them.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *first, last = [*items] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def digits(value: float) -> str:
    """Three digits of a number, or all before the point of a large one.

    Examples
    --------
    >>> digits(0.01234), digits(12.34), digits(-999.7), digits(41666.7)
    ('0.0123', '12.3', '-1,000', '41,667')
    """
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def said_once(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Join texts that differ in their numbers alone, naming what each is of.

    Parameters
    ----------
    texts : iterable of (str, str)
        What a text is of, such as "500 K", and the text.

    Returns
    -------
    list of str

    Examples
    --------
    >>> said_once([("500 K", "moved 0.1 nm"), ("600 K", "moved 0.2 nm")])
    ['500 and 600 K: moved 0.1 and 0.2 nm']
    """
    groups: dict[str, dict[str, list[str]]] = {}
    for name, text in texts:
        # an error belongs to its own value
        key = text if "±" in text else _NUMBER.sub("#", text)
        groups.setdefault(key, {}).setdefault(text, []).append(name)
    said = []
    for of in groups.values():
        names = [name for each in of.values() for name in each]
        values = [_NUMBER.findall(text) for text in of for _ in of[text]]
        each = iter(zip(*values, strict=True))

        def joined(_: re.Match[str], each: Iterator[tuple[str, ...]] = each) -> str:
            found = next(each)
            return found[0] if len(set(found)) == 1 else listed(found)

        units = {name.rpartition(" ")[2] for name in names}
        if len(units) == 1:  # 500 and 600 K
            names = [name.rpartition(" ")[0] for name in names[:-1]] + names[-1:]
        said.append(f"{listed(names)}: {_NUMBER.sub(joined, next(iter(of)))}")
    return said
