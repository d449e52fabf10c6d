# SPDX-License-Identifier: MIT
"""Check that an HDF5 file holds no Python objects before PyTables opens it.

PyTables unpickles attributes that look like pickles as soon as it sees their node, and
elements of arrays of objects. A pickle can run any code.
"""

import contextlib
import functools
import pickle
import pickletools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .extras import naming_extras

SUFFIXES = (".h5", ".hdf5", ".lh5")
# Opcodes that fetch what a pickle can call.
_FETCHES = {"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4", "PERSID"}
_FETCHES |= {"BINPERSID"}
_MOST_NODES = 10_000  # a trajectory has a dozen


def open_hdf5(path: str | Path, mode: str = "r") -> Any:
    """Open an HDF5 trajectory of mdtraj's, after ``check_hdf5``.

    Returns
    -------
    mdtraj.formats.HDF5TrajectoryFile
    """
    from mdtraj.formats import HDF5TrajectoryFile

    check_hdf5(path)
    return HDF5TrajectoryFile(str(path), mode)


def check_hdf5(path: str | Path) -> None:
    """Refuse an HDF5 file with Python objects in it; other files pass.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it holds such objects, or far more nodes than a trajectory has.
    """
    path = Path(path)
    if path.suffix.lower() in SUFFIXES and path.is_file():
        status = path.stat()
        _check(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=256)
def _check(path: Path, changed: int, size: int) -> None:
    with naming_extras():
        import tables

    harmful: list[str] = []
    count = 0
    with _unpickling_watched(harmful):
        try:
            with tables.open_file(str(path)) as file:
                for count, node in enumerate(file.walk_nodes("/")):
                    if count > _MOST_NODES:
                        break
                    if isinstance(node, tables.VLArray) and node.atom.kind == "object":
                        harmful.append(node._v_pathname)
                    node._v_attrs  # noqa: B018  reads them all
        except Exception as error:  # a damaged file raises any kind
            raise OSError(
                f"{path}: expected an HDF5 file, found one that cannot be read "
                f"({type(error).__name__})"
            ) from error
    if count > _MOST_NODES:
        raise ValueError(
            f"{path}: expected an HDF5 trajectory, found more than {_MOST_NODES} nodes"
        )
    if harmful:
        raise ValueError(
            f"{path}: expected an HDF5 file of numbers and texts, found a pickled "
            "Python object in it, which can run any code when it is read"
        )


@contextlib.contextmanager
def _unpickling_watched(harmful: list[str]) -> Iterator[None]:
    """Have PyTables unpickle nothing that can call something, but list it."""

    def loads(data: bytes, **options: Any) -> Any:
        with contextlib.suppress(ValueError):  # no pickle from there on
            for opcode, argument, _ in pickletools.genops(data):
                if opcode.name in _FETCHES:
                    harmful.append(str(argument))
                    raise pickle.UnpicklingError
        return pickle.loads(data, **options)

    from tables import attributeset

    attributeset.pickle = SimpleNamespace(loads=loads, dumps=pickle.dumps)
    try:
        yield
    finally:
        attributeset.pickle = pickle
