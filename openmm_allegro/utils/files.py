# SPDX-License-Identifier: MIT
"""Lock an output, and write files so that a kill leaves the old one or the new."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .config import brief


def check_new_file(path: Path, overwrite: bool) -> None:
    """Refuse, before any work, a file that cannot be or should not be written.

    Raises
    ------
    FileExistsError, PermissionError, ValueError
    """
    if str(path) == "-":
        raise ValueError("expected the name of a file to write, found -")
    if path.is_dir():
        raise FileExistsError(f"expected to write a file at {path}, found a folder")
    check_folder(path.parent)
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"expected no file yet at {path}, found one; use another name, or "
            "overwrite=True (--force)"
        )


def check_folder(path: Path) -> None:
    """Refuse, before any work, a folder that cannot be made or written to.

    Raises
    ------
    FileExistsError, PermissionError
    """
    path = path.absolute()
    nearest = next(p for p in (path, *path.parents) if p.exists())
    if not nearest.is_dir():
        raise FileExistsError(f"expected a folder at {nearest}, found a file")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(
            f"expected a folder that can be written to, found {nearest}, which cannot"
        )


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Name files without the folders that they share.

    Examples
    --------
    >>> list(short_names(["a/data/test.xyz", "a/old/test.xyz", "b/new.xyz"]).values())
    ['data/test.xyz', 'old/test.xyz', 'new.xyz']
    """
    names = {path: os.path.basename(path) or path for path in paths}
    alike: dict[str, list[str]] = {}
    for path, name in names.items():
        alike.setdefault(name, []).append(path)
    for others in alike.values():
        if len(others) > 1:
            folders = {os.path.abspath(path): path for path in others}
            common = os.path.commonpath(folders)
            names |= {path: os.path.relpath(f, common) for f, path in folders.items()}
    return names


@contextlib.contextmanager
def lock_output(output: str | Path, *, wait: bool = False) -> Iterator[bool]:
    """Keep other runs from writing an output, and make its folders.

    The lock ends with the process that holds it, however that ends.

    Parameters
    ----------
    output : path
    wait : bool
        Wait for the end of another run. On a disk that has no locks, there is none.

    Yields
    ------
    bool
        True if there was another run.

    Raises
    ------
    RuntimeError
        If another run holds it, and ``wait`` is False.
    OSError
        If nothing can be written there.
    """
    path = Path(f"{output}.lock")
    check_folder(path.parent)
    waited = False
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise OSError(
                f"expected to write to {path.parent}, found {error.strerror or error}"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait:
                waited = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            else:
                owner = os.read(descriptor, 100).decode(errors="replace").strip()
                os.close(descriptor)
                raise RuntimeError(
                    f"expected no other run on {output}, found one "
                    f"({owner or 'unknown'}) that writes there now; use another name, "
                    "or wait for its end"
                ) from None
        except OSError:  # no locks on this disk
            if not wait:
                os.close(descriptor)
                raise
        # The last owner may have removed the file between the two calls.
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                break
        os.close(descriptor)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {os.uname().nodename}".encode())
        yield waited
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Provide a path to write to; its file then takes the place of ``path``.

    A kill or a full disk leaves the old file or the new one.
    """
    partial = path.with_suffix(".partial" + path.suffix)  # mdtraj looks at the end
    partial.unlink(missing_ok=True)
    try:
        yield partial
        flush_to_disk(partial)
        os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes | str) -> None:
    """Write a file in one step: a reader finds the old content or the new."""
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def flush_to_disk(path: Path) -> int:
    """Wait until a file is on the disk, and return its size in bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def cache_folder() -> Path:
    """Folder of what is made once for a user, and again if it is gone."""
    import platformdirs

    given = os.environ.get("OPENMM_ALLEGRO_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("openmm-allegro")


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Replace a JSON file by a record."""
    replace_file(path, json.dumps(record, indent=2) + "\n")


def check_kinds(record: dict[str, Any], kinds: dict[str, Any], path: Path) -> None:
    """Refuse a record whose values are of other types than it was written with.

    Parameters
    ----------
    record : dict
    kinds : dict of str to type
        By keys; those that the record lacks are left to whoever needs them.
    path : Path

    Raises
    ------
    ValueError
    """
    for key, kind in kinds.items():
        value = record.get(key)
        wrong = not isinstance(value, kind) or (
            isinstance(value, bool) and kind is not bool
        )
        if key in record and wrong:
            raise ValueError(
                f"expected {key} of the type {kind.__name__} in {path}, as it was "
                f"written, found {brief(value)}"
            )


def read_record(path: Path) -> dict[str, Any]:
    """Read a file that ``write_record`` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no JSON object.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"expected the record of a run, found nothing at {path}"
        )
    try:
        record = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"expected a JSON record in {path}, found {error}") from error
    if not isinstance(record, dict):
        raise ValueError(
            f"expected a JSON object in {path}, found a {type(record).__name__}"
        )
    return record
