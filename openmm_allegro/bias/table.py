# SPDX-License-Identifier: MIT
"""Tables that a biased run appends lines to: of variables, hills and kernels."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO


class GrowingTable:
    """A CSV file with one header, to which lines are appended.

    Lines are at the system when a checkpoint is made. A file that was cut to a
    checkpoint is continued; whoever begins a run removes the earlier file.

    Parameters
    ----------
    path : Path
    columns : sequence of str
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self._columns = path, list(columns)
        self._file: TextIO | None = None

    def append(self, values: Sequence[float]) -> None:
        """Append a line; times are rounded to the femtosecond's millionth."""
        if self._file is None:
            self._file = open(self.path, "a", buffering=1, encoding="utf-8")
            if not self._file.tell():
                print(*self._columns, sep=",", file=self._file)
        print(*(_text(value) for value in values), sep=",", file=self._file)

    def __del__(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # of a line that was told about
                self._file.close()


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else format(float(value), ".10g")
