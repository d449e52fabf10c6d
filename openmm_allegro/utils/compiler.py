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
from typing import NamedTuple

from .files import cache_folder, lock_output

COMPILERS = ("g++", "clang++", "c++")
_log = logging.getLogger(__name__)


class CompilerError(ImportError):
    """Error of the compiler that this process, and no other one, has called."""


class Unit(NamedTuple):
    """A source, and flags of its own."""

    source: Path
    flags: Sequence[str] = ()


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
    compiler = find_compiler(needed_by)
    texts = [_version(compiler), *compiler[1:], *environment_flags(), *flags]
    path = cache_folder() / f"{name}-{fingerprint(texts, [source, *included])}.so"
    if not path.is_file():
        every = [*flags, *linked()]
        compile_library(path, [Unit(source)], every, compiler, needed_by)
    return path


def find_compiler(needed_by: str, preferred: Sequence[str] = COMPILERS) -> list[str]:
    """Path of the compiler, and arguments that ``CXX`` gives it.

    Raises
    ------
    ImportError
        If there is none, or ``CXX`` has a quote that is not closed.
    """
    given = _words("CXX")
    for name, *arguments in [given] if given else zip(preferred):
        path = shutil.which(name)
        if path is not None:
            return [path, *arguments]
    wanted = f"CXX={shlex.join(given)}" if given else "g++ or clang++"
    raise ImportError(
        f"{needed_by} expects a C++ compiler, found no {wanted}; install one (Debian "
        "and Ubuntu: apt install g++; conda: cxx-compiler)"
    )


def environment_flags() -> list[str]:
    """Flags that the variable ``CXXFLAGS`` adds."""
    return _words("CXXFLAGS")


def fingerprint(texts: Iterable[str], files: Iterable[Path]) -> str:
    """Short hash of what a compiled file depends on, this kind of machine included."""
    parts = [platform.machine(), *texts]
    sha = hashlib.sha256("\0".join(parts).encode())
    for path in sorted(files):
        sha.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()[:16]


def compile_library(
    path: Path,
    units: Sequence[Unit],
    flags: Sequence[str],
    compiler: Sequence[str],
    needed_by: str,
) -> None:
    """Compile a shared library of one or several sources.

    Of processes that want the same file at the same time one compiles, and the others
    wait for it, or fail as it did. Flags of the variable ``CXXFLAGS`` come first, so
    that those given here win.

    Raises
    ------
    ImportError
        If compiling fails, or the folder cannot be written to.
    """
    command = [*compiler, *environment_flags(), *flags]
    try:
        with lock_output(path, wait=True) as waited:
            if path.is_file():
                return
            if waited:
                raise ImportError(
                    f"{needed_by} expects that another process compiles it, found that "
                    "it failed; its message says why"
                )
            _compile(path, units, command, needed_by)
    except OSError as error:
        raise ImportError(
            f"{needed_by} expects a folder to compile into, found that {path.parent} "
            f"is none ({error.__cause__ or error}); name another by the variable "
            "OPENMM_ALLEGRO_CACHE"
        ) from error


def _words(variable: str) -> list[str]:
    text = os.environ.get(variable, "")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ImportError(
            f"expected words as of a shell in the variable {variable}, found {text} "
            f"({error})"
        ) from error


def _version(compiler: Sequence[str]) -> str:
    command = [*compiler, "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _compile(
    path: Path, units: Sequence[Unit], command: Sequence[str], needed_by: str
) -> None:
    """Compile the units side by side, and link them."""
    from concurrent.futures import ThreadPoolExecutor

    _log.info("compiling %s into %s, once", path.stem.partition("-")[0], path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        objects = [Path(folder) / f"{number}.o" for number in range(len(units))]
        commands = [
            [*command, *unit.flags, "-fPIC", "-c", str(unit.source), "-o", str(made)]
            for unit, made in zip(units, objects, strict=True)
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda command: _run(command, needed_by), commands))
        made = Path(folder) / path.name
        # Libraries after what needs them.
        compiler, *flags = command
        link = [compiler, "-shared", *map(str, objects), *flags, "-o", str(made)]
        _run(link, needed_by)
        made.replace(path)  # a reader finds no file or a whole one


def _run(command: Sequence[str], needed_by: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise CompilerError(
            f"{needed_by} expects that its source compiles, found an error of "
            f"{command[0]}:\n{result.stderr.strip()[-2000:]}"
        )
