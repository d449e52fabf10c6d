# SPDX-License-Identifier: MIT
"""Check and write the files of the command."""

import dataclasses
import json
import math
import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..runs.names import paths_of
from ..utils import files


def add_overwrite_option(parser: Any) -> None:
    """Add the option ``--force`` to a parser or a group of it."""
    parser.add_argument("--force", action="store_true", help="replace existing output")


def check_apart(
    outputs: Mapping[str, Path | None], inputs: Iterable[Path | str]
) -> None:
    """Refuse outputs that are the same file, or one that is read.

    Parameters
    ----------
    outputs : mapping of str to Path or None
        By the names of their options.
    inputs : iterable of path
        What may name a file; those that do not exist are none.

    Raises
    ------
    ValueError
    """
    read = [Path(word) for word in inputs if os.path.isfile(word)]
    known = {path.resolve(): f"{path}, which is read" for path in read}
    for name, path in outputs.items():
        if path is None:
            continue
        place = path.resolve()
        if place in known:
            raise ValueError(
                f"expected a file of its own for {name}, found {known[place]}"
            )
        known[place] = f"{path} for {name} too"


def files_of(words: Iterable[Path | str]) -> list[Path | str]:
    """Words of the command, and the files of runs of which they may be prefixes."""
    return [path for word in words for path in (word, *paths_of(word).values())]


def check_free(path: Path | None, overwrite: bool, *, image: bool = False) -> None:
    """Refuse a file that cannot or should not be written, before any work."""
    if path is None:
        return
    if image and path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ValueError(f"expected an image named .png, .pdf or .svg, found {path}")
    files.check_new_file(path, overwrite)


def quoted(path: Path | str) -> str:
    """Write a path as a shell takes it."""
    return shlex.quote(str(path))


def print_next(*commands: str) -> list[str]:
    """Print what to type next, after a job that took its time, and return the lines."""
    lines = [f"openmm-allegro {command}" for command in commands]
    for number, line in enumerate(lines):
        print(f"{'      ' if number else 'next: '}{line}")
    return lines


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that any reader takes: arrays as lists, NaN and infinity as null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    # a name that is no text becomes JSON's own escape
    path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def plain(value: Any) -> Any:
    """Convert to what JSON has: objects, lists, and null for what is not finite."""
    import numpy as np

    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    return str(value) if isinstance(value, Path) else value


def _key(key: Any) -> str:
    return ",".join(map(str, key)) if isinstance(key, tuple) else str(key)
