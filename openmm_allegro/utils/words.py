# SPDX-License-Identifier: MIT
"""Words of messages."""

from collections.abc import Iterable


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
