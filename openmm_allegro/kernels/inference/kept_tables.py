# SPDX-License-Identifier: MIT
"""Two-body tables and what was chosen for them, kept in the user's cache folder.

A table is kept if making it took longer than a second. Names are hashes of the program,
the number of intervals and the library that computed, so a file is never another's. The
tables that were used last stay, up to 2 GB; the folder may be removed at any time.
"""

import contextlib
import functools
import hashlib
import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...utils.files import cache_folder
from ...utils.progress import log_if_long
from .program import Program, add_to_hash

KEPT_FROM = 1.0  # seconds to make a table, from which on it is kept
LIMIT = 2_000_000_000  # bytes of all tables
_SUM_BYTES = 4  # after the numbers, their CRC-32
_LEFT_BEHIND = 3600.0  # seconds after which a partial file is nobody's any more
_log = logging.getLogger(__name__)


def fill_table(table: np.ndarray, name: str, make: Callable[[], None]) -> None:
    """Fill a table from its file, or make it, and keep it if that took long.

    Parameters
    ----------
    table : ndarray, contiguous
        Is filled.
    name : str
        From ``name_of``.
    make : function
        Fills it.
    """
    path = folder() / f"{name}.table"
    if _read(path, table):
        return
    began = time.monotonic()
    with log_if_long(_log, f"making a two-body table of {table.nbytes / 1e6:.0f} MB"):
        make()
    if time.monotonic() - began >= KEPT_FROM:
        _write(path, [table, zlib.crc32(table).to_bytes(_SUM_BYTES, "little")])
        _trim(path.parent)


def kept_numbers(name: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Read numbers that were found before, or find them and keep what took long.

    Parameters
    ----------
    name : str
        From ``name_of``.
    find : function
    """
    path = folder() / f"{name}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads(path.read_text())
        if record["crc"] == _crc_of(record["numbers"]):
            _note_use(path)
            return dict(record["numbers"])
    began = time.monotonic()
    with log_if_long(_log, "choosing how fine a two-body table is to be"):
        found = find()
    if time.monotonic() - began >= KEPT_FROM:
        record = {"numbers": found, "crc": _crc_of(found)}
        _write(path, [json.dumps(record).encode()])
    return found


def name_of(library: str, *parts: Any) -> str:
    """Name what programs and numbers give in a library: a hash of all.

    Parameters
    ----------
    library : str
        Path of the compiled kernels, whose rounding is their own.
    *parts
        Programs, and what has a ``repr`` of its own.
    """
    sha = hashlib.sha256(_hash_of_file(library))
    for part in parts:
        if isinstance(part, Program):
            add_to_hash(sha, part)
        else:
            sha.update(repr(part).encode())
    return sha.hexdigest()[:32]


def folder() -> Path:
    """Folder of the tables."""
    return cache_folder() / "tables"


def _crc_of(numbers: Any) -> int:
    return zlib.crc32(json.dumps(numbers).encode())


@functools.lru_cache(maxsize=8)
def _hash_of_file(path: str) -> bytes:
    return hashlib.sha256(Path(path).read_bytes()).digest()


def _read(path: Path, table: np.ndarray) -> bool:
    """Fill a table from its file; False if there is none, or it is damaged."""
    try:
        with open(path, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size != table.nbytes + _SUM_BYTES:
                return False
            begin, bytes_of = 0, memoryview(table).cast("B")
            while begin < len(bytes_of):  # the system reads 2 GB at most at once
                count = file.readinto(bytes_of[begin:])
                if not count:
                    return False
                begin += count
            kept = file.read(_SUM_BYTES)
    except OSError:
        return False
    if zlib.crc32(table).to_bytes(_SUM_BYTES, "little") != kept:
        return False
    _note_use(path)
    return True


def _note_use(path: Path) -> None:
    """Let a file be among those that were used last."""
    with contextlib.suppress(OSError):  # of a folder that one may only read
        os.utime(path)


def _write(path: Path, parts: list[Any]) -> None:
    """Write a file in one step, whatever other processes write meanwhile."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            for part in parts:
                file.write(part)
        partial.replace(path)
    except OSError as error:
        _log.debug("the two-body table is not kept: %s", error)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _trim(where: Path) -> None:
    """Remove the tables that were used longest ago, beyond the limit."""
    total, now = 0, time.time()
    for path, status in sorted(
        _files(where), key=lambda file: file[1].st_mtime, reverse=True
    ):
        if path.suffix == ".partial":
            is_over = now - status.st_mtime > _LEFT_BEHIND
        else:
            total += status.st_size
            is_over = total > LIMIT
        if is_over:
            with contextlib.suppress(OSError):
                path.unlink()


def _files(where: Path) -> Iterator[tuple[Path, os.stat_result]]:
    with contextlib.suppress(OSError):
        for path in where.iterdir():
            with contextlib.suppress(OSError):  # another process may remove it
                yield path, path.stat()
