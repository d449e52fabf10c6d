# SPDX-License-Identifier: MIT
"""The files of a run: their names, who may write them, how they are written."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SUFFIXES = {
    "topology": ".pdb",
    "trajectory": ".xtc",
    "energies": ".csv",
    "state": ".xml",
    "system": ".system.xml",
    "checkpoint": ".chk",
    "record": ".json",
}
# Written on request, or when something happens.
OTHER_SUFFIXES = {
    "velocities": ".h5",
    "events": ".events.csv",
    "event_frames": ".events.xyz",
}


def check_output(
    output: str | Path, overwrite: bool = False, resume: bool = False
) -> dict[str, Path]:
    """The files that ``run`` will write for a prefix.

    Raises
    ------
    FileExistsError
        If one exists and neither ``overwrite`` nor ``resume`` is set, or ``resume`` and
        there is no record to go on with.
    ValueError
        If ``output`` is a folder, or both are set.
    """
    if str(output).endswith(("/", os.sep)) or Path(output).is_dir():
        raise ValueError(
            "expected the prefix of files to write, such as runs/nacl, found the "
            f"folder {output}"
        )
    if overwrite and resume:
        raise ValueError(
            "expected overwrite (--force) or resume (--resume), found both: one "
            "replaces what the other goes on with"
        )
    paths = paths_of(output)
    check_existing(paths, overwrite, resume)
    return {name: paths[name] for name in SUFFIXES}


def check_existing(paths: dict[str, Path], overwrite: bool, resume: bool) -> None:
    """Refuse files that are there unasked, and to resume without a record.

    Raises
    ------
    FileExistsError
    """
    existing = [str(p) for p in paths.values() if p.exists()]
    if existing and not overwrite and not resume:
        raise FileExistsError(
            f"expected no output yet, found {', '.join(existing)}; use another name, "
            "overwrite=True (--force), or resume=True (--resume) to go on with it"
        )
    if existing and resume and not paths["record"].exists():
        raise FileExistsError(
            f"expected the record {paths['record']} of a run to go on with, found "
            f"{', '.join(existing)} without it; bring it back, use another name, or "
            "overwrite=True (--force)"
        )


def paths_of(output: str | Path) -> dict[str, Path]:
    """All files that a run with this prefix can have."""
    names = SUFFIXES | OTHER_SUFFIXES
    return {name: Path(f"{output}{suffix}") for name, suffix in names.items()}


def parts_of(path: Path) -> Path:
    """The folder of the parts that a file with velocities is made of in the end."""
    return path.with_name(path.name + ".parts")


def remove_output(output: str | Path, keep: tuple[str, ...] = ()) -> None:
    """Remove all files of a prefix but some, by their names in ``paths_of``."""
    for name, path in paths_of(output).items():
        if name not in keep:
            path.unlink(missing_ok=True)
            shutil.rmtree(parts_of(path), ignore_errors=True)


@contextlib.contextmanager
def lock_output(output: str | Path) -> Iterator[None]:
    """Be the only one who writes this output; folders are made.

    The lock goes with the process that holds it, however that ends.

    Raises
    ------
    RuntimeError
        If another run holds it.
    OSError
        If nothing can be written there.
    """
    path = Path(f"{output}.lock")
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise OSError(
                error.errno, f"expected to write to {path.parent}, found {error}"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 100).decode(errors="replace").strip()
            os.close(descriptor)
            raise RuntimeError(
                f"expected no other run on {output}, found one ({owner or 'unknown'}) "
                "that writes there now; use another name, or wait for its end"
            ) from None
        # The last owner may have removed the file between the two calls.
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                break
        os.close(descriptor)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {os.uname().nodename}".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file to write that takes the place of ``path`` when all went well.

    A kill or a full disk leaves the old one or the new.
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
    """Write a file in one step."""
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def flush_to_disk(path: Path) -> int:
    """Wait until a file is on the disk; its size in bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Replace a JSON file."""
    replace_file(path, json.dumps(record, indent=2) + "\n")


def read_record(path: Path) -> dict[str, Any]:
    """What ``write_record`` wrote.

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
        raise ValueError(f"expected a JSON object in {path}, found {type(record)}")
    return record
