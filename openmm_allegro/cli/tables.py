# SPDX-License-Identifier: MIT
"""Measurements as text: aligned rows for the terminal, curves as CSV."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..measure.measurement import Row, amount


def format_rows(rows: Iterable[Row]) -> str:
    """Align rows as text."""
    cells = [
        (row.item, row.quantity, amount(row.value, row.error), row.unit) for row in rows
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def format_columns(lines: Sequence[Sequence[str]]) -> str:
    """Align cells: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            (str.rjust if index else str.ljust)(cell, width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def write_csv(path: Path, curves: dict[str, dict[str, Any]]) -> None:
    """Write the curves one below the other, with their item in the first column."""
    if not curves:
        raise ValueError(f"expected curves to write to {path}, found none")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["item", *next(iter(curves.values()))])
        for item, columns in curves.items():
            for values in zip(*columns.values(), strict=True):
                writer.writerow([item, *(f"{value:.7g}" for value in values)])
