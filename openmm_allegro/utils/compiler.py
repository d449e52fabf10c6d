# SPDX-License-Identifier: MIT
"""C++ that is compiled on first use, into the user's cache folder."""

import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .files import cache_folder

COMPILERS = ("g++", "clang++", "c++")
_SHARED = ["-fPIC", "-shared"]
_log = logging.getLogger(__name__)


def compiled_library(
    name: str,
    source: Path,
    flags: Sequence[str],
    *,
    included: Iterable[Path],
    needed_by: str,
    linked: Callable[[], Sequence[str]] = tuple,
) -> Path:
    """Path of a shared library of one source, compiled if there is none yet.

    It is compiled anew when its sources, the flags or the compiler change. The variable
    ``CXX`` names another compiler, with arguments or without, ``CXXFLAGS`` adds flags,
    and ``OPENMM_ALLEGRO_CACHE`` names another folder.

    Parameters
    ----------
    name : str
        Beginning of the file's name.
    source : Path
    flags : sequence of str
    included : iterable of Path
        Other files that the source includes.
    needed_by : str
        Subject of the sentences that say what is missing.
    linked : callable
        Gives flags for libraries of other packages. It is called before compiling, and
        what it gives does not make a file another one.

    Raises
    ------
    ImportError
        If there is no compiler, compiling fails, or the folder cannot be written to;
        the message says what to do.
    """
    compiler = _compiler(needed_by)
    # before the flags given here, which win
    flags = [*shlex.split(os.environ.get("CXXFLAGS", "")), *flags]
    made = _fingerprint(compiler, flags, [source, *included])
    path = cache_folder() / f"{name}-{made}.so"
    if not path.is_file():
        command = [*compiler, *_SHARED, *flags, str(source), *linked()]
        try:
            _compile(command, path, needed_by)
        except OSError as error:
            raise ImportError(
                f"{needed_by} expects a folder to compile into, found that "
                f"{path.parent} is none ({error}); name another by the variable "
                "OPENMM_ALLEGRO_CACHE"
            ) from error
    return path


def _compiler(needed_by: str) -> list[str]:
    """Path of the compiler, and arguments that ``CXX`` gives it."""
    given = os.environ.get("CXX", "").strip()
    for name, *arguments in [shlex.split(given)] if given else zip(COMPILERS):
        path = shutil.which(name)
        if path is not None:
            return [path, *arguments]
    wanted = f"CXX={given}" if given else "g++ or clang++"
    raise ImportError(
        f"{needed_by} expects a C++ compiler, found no {wanted}; install one (Debian "
        "and Ubuntu: apt install g++; conda: cxx-compiler)"
    )


def _fingerprint(
    compiler: Sequence[str], flags: Sequence[str], files: Iterable[Path]
) -> str:
    """Short hash of all that the compiled file depends on, other packages aside."""
    version = subprocess.run(
        [*compiler, "--version"], capture_output=True, check=False
    ).stdout
    parts = [
        version,
        platform.machine().encode(),
        " ".join([*compiler[1:], *flags]).encode(),
    ]
    for path in sorted(files):
        parts += [path.name.encode(), path.read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _compile(command: list[str], path: Path, needed_by: str) -> None:
    _log.info("compiling %s into %s, once", path.stem.partition("-")[0], path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        result = subprocess.run(
            [*command, "-o", str(made)], capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise ImportError(
                f"{needed_by} expects that its source compiles, found an error of "
                f"{command[0]}:\n{result.stderr.strip()[-2000:]}"
            )
        made.replace(path)  # another process may have been faster: either file is whole
