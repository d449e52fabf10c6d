# SPDX-License-Identifier: MIT
"""Numbers of a page with their full precision, and tables of them as CSV to save."""

import base64
import csv
import html
import io
import re
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any


class Shown(str):
    """Text of a cell that is shorter than what a CSV has of it.

    Attributes
    ----------
    full : tuple of str
        What the CSV has: a value, or a value and its error.
    """

    full: tuple[str, ...]

    def __new__(cls, text: str, *full: Any) -> "Shown":
        shown = super().__new__(cls, text)
        shown.full = tuple(map(_exact, full))
        return shown


def rounded(value: float, form: str) -> Shown:
    """Write a number in a format; a CSV has all its digits."""
    return Shown(f"{value:{form}}".replace("-", "−"), value)


def between(first: float, last: float, form: str) -> Shown:
    """Write ``0.5 to 3``; a CSV has all digits of both."""
    text = f"{first:{form}} to {last:{form}}".replace("-", "−")
    return Shown(text, f"{_exact(first)} to {_exact(last)}")


def table_csv(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """Write a table as CSV: full precision, and errors in columns of their own.

    The header is that of the page, with its units.
    """
    cells = [[_full(cell) for cell in row] for row in rows]
    titles = [plain_text(title) for title in header]
    with_error = [
        any(len(row[i]) > 1 for row in cells if i < len(row))
        for i in range(len(titles))
    ]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        name
        for title, has in zip(titles, with_error, strict=True)
        for name in ([title, f"error of {title}"] if has else [title])
    )
    for row in cells:
        writer.writerow(
            part
            for cell, has in zip(row, with_error, strict=False)
            for part in ([*cell, ""][:2] if has else cell[:1])
        )
    return file.getvalue()


def data_uri(text: str, kind: str) -> str:
    """Address that holds a text of a kind, such as ``csv``, itself."""
    content = base64.b64encode(text.encode()).decode()
    return f"data:text/{kind};charset=utf-8;base64,{content}"


def _full(cell: Any) -> list[str]:
    """Value of a cell, and its error where there is one."""
    if isinstance(cell, Shown):
        return list(cell.full)
    return [repr(float(cell)) if isinstance(cell, float) else plain_text(cell)]


def plain_text(cell: Any) -> str:
    """Write a value as text, HTML without its tags."""
    if hasattr(cell, "__html__"):
        return html.unescape(re.sub(r"<[^>]+>", "", str(cell)))
    return "" if cell is None else str(cell)


def _exact(value: Any) -> str:
    """All digits of a number; a text as it is."""
    if isinstance(value, str):
        return value
    return str(int(value)) if isinstance(value, Integral) else repr(float(value))
