# SPDX-License-Identifier: MIT
"""Words of messages."""


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the plural but for 1.

    Examples
    --------
    >>> counted(1, "isolated atom"), counted(3, "frame"), counted(20000, "step")
    ('1 isolated atom', '3 frames', '20,000 steps')
    """
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"
