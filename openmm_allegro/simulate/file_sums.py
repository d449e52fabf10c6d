# SPDX-License-Identifier: MIT
"""Lengths and checksums of the files that a run appends to, at a checkpoint.

Each block of a file has a CRC-32. It is continued as the file grows, so that every byte
is read once. When a run is resumed, bytes that have changed since are noticed.
"""

import hashlib
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..runs.names import OTHER_SUFFIXES, SUFFIXES, paths_of
from ..utils.files import flush_to_disk

BLOCK = 2**24  # bytes
_PIECE = 2**20
# Begins the keys of a run's own files, which may be moved and renamed; other files have
# paths relative to the record.
_OWN = "*"
_AGAIN = "bring it back, or start anew (overwrite=True, --force)"


class Sums(NamedTuple):
    """Bytes of files, and a checksum for each block of them, by the files' keys."""

    sizes: dict[str, int]
    blocks: dict[str, list[int]]


def growing_files(prefix: str, reporters: Sequence[Any]) -> dict[str, Path]:
    """List files that grow, by names that stay when a run is moved or renamed.

    Parameters
    ----------
    prefix : str
    reporters : sequence
        The user's whose files are cut to a checkpoint.
    """
    paths = paths_of(prefix)
    names = ("trajectory", "energies", *OTHER_SUFFIXES)
    # put together from parts, which are cut by themselves
    names = [name for name in names if name != "velocities"]
    files = [paths[name] for name in names]
    files += [Path(reporter.path) for reporter in reporters]
    return {_key(path, prefix): path for path in files}


def sum_files(files: dict[str, Path], before: Sums | None = None) -> Sums:
    """Measure the files that exist, after they are safely on the disk.

    Parameters
    ----------
    files : dict of str to Path
    before : Sums, optional
        Of the last checkpoint: what is there already is not read again.

    Raises
    ------
    OSError
        If the disk is full, for instance.
    """
    sizes = {key: flush_to_disk(path) for key, path in files.items() if path.exists()}
    blocks = {}
    for key, size in sizes.items():
        done, known = 0, []
        if before is not None and before.sizes.get(key, 0) <= size:
            done, known = before.sizes.get(key, 0), before.blocks.get(key, [])
        if len(known) != -(-done // BLOCK):  # of a version that had none
            done, known = 0, []
        blocks[key] = _continue(files[key], size, done, known)
    return Sums(sizes, blocks)


def cut_files(files: dict[str, Path], sums: Sums) -> None:
    """Cut files that ``check_files`` has checked to the sizes of a checkpoint."""
    sizes = with_keys_of(files, sums).sizes
    for key, path in files.items():
        if path.is_file():
            os.truncate(path, sizes.get(key, 0))
            if key not in sizes:  # it did not exist then
                path.unlink()


def check_files(files: dict[str, Path], sums: Sums) -> None:
    """Refuse files that are not those of a checkpoint, but for what came after it.

    Raises
    ------
    ValueError
    """
    sums = with_keys_of(files, sums)
    for key, size in sums.sizes.items():
        if key not in files:
            raise ValueError(
                f"expected a reporter that writes {key}, as the run had one, found "
                "none; give the same reporters (beside a run that was moved or "
                "renamed, their files keep their place and name), or start anew "
                "(overwrite=True)"
            )
        path = files[key]
        present = path.stat().st_size if path.is_file() else None
        if present is None or present < size:
            actual = "no such file" if present is None else present
            raise ValueError(
                f"expected at least {size} bytes in {path}, as the checkpoint has it, "
                f"found {actual}; {_AGAIN}"
            )
    for key, known in sums.blocks.items():
        _check_blocks(files[key], sums.sizes[key], known)


def with_keys_of(files: dict[str, Path], sums: Sums) -> Sums:
    """Give files the keys that they have here.

    Those of version 0.1.0 were names, which are others if the run was renamed.
    """
    if any(key.startswith(_OWN) for key in sums.sizes):
        return sums
    end = SUFFIXES["trajectory"]
    prefixes = [key.removesuffix(end) for key in sums.sizes if key.endswith(end)]
    prefix = next(
        (p for p in prefixes if p + SUFFIXES["energies"] in sums.sizes),
        prefixes[0] if prefixes else "",
    )
    own = {prefix + key.removeprefix(_OWN): key for key in files if key[:1] == _OWN}
    return Sums(
        {own.get(key, key): value for key, value in sums.sizes.items()},
        {own.get(key, key): value for key, value in sums.blocks.items()},
    )


def sha256_of(path: Path) -> str:
    """Hash a whole file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key(path: Path, prefix: str) -> str:
    """Name a file in a checkpoint: its ending, or its path relative to the record."""
    for ending in (SUFFIXES | OTHER_SUFFIXES).values():
        if str(path) == prefix + ending:
            return _OWN + ending
    return os.path.relpath(path, Path(prefix).parent)


def _check_blocks(path: Path, size: int, known: list[int]) -> None:
    for number, (one, other) in enumerate(
        zip(known, _continue(path, size, 0, []), strict=True)
    ):
        if one != other:
            begin, end = number * BLOCK, min((number + 1) * BLOCK, size)
            raise ValueError(
                f"expected {path} as the run wrote it, found other bytes between "
                f"{begin} and {end}: the file is damaged or was changed; {_AGAIN}. "
                "Another run can begin from the end of this one (state=...)"
            )


def _continue(path: Path, size: int, done: int, known: list[int]) -> list[int]:
    """Checksums of the first ``size`` bytes, if those of ``done`` are known."""
    blocks = list(known)
    if done == size:
        return blocks
    with open(path, "rb") as file:
        file.seek(done)
        while done < size:
            if done % BLOCK == 0:
                blocks.append(0)
            wanted = min(size - done, BLOCK - done % BLOCK, _PIECE)
            data = file.read(wanted)
            if not data:
                raise OSError(f"expected {size} bytes in {path}, found {done}")
            blocks[-1] = zlib.crc32(data, blocks[-1])
            done += len(data)
    return blocks
