# SPDX-License-Identifier: MIT
"""Compile the plugin on first use, into the user's cache folder."""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import openmm
import platformdirs

SOURCES = Path(__file__).with_name("src")
KERNEL_HEADER = SOURCES.parents[1] / "kernels" / "allegro.h"
FLAGS = ["-std=c++17", "-O2", "-fPIC", "-shared", "-pthread"]
COMPILERS = ("g++", "clang++", "c++")


def plugin_path() -> Path:
    """Path of the compiled plugin, which is compiled if there is none yet.

    One file serves OpenMM 8.4 to 8.6 and any Python. It is compiled anew when its
    sources or the compiler change. The variable ``CXX`` names another compiler, and
    ``OPENMM_ALLEGRO_CACHE`` another folder.

    Raises
    ------
    ImportError
        If there is no compiler, OpenMM came without its headers, or compiling fails;
        the message says what to install.
    """
    compiler = _compiler()
    path = cache_folder() / f"plugin-{_fingerprint(compiler)}.so"
    if not path.is_file():
        _compile(compiler, path)
    return path


def cache_folder() -> Path:
    """Folder of what is compiled once for a user."""
    given = os.environ.get("OPENMM_ALLEGRO_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("openmm-allegro")


def _compiler() -> str:
    given = os.environ.get("CXX", "").strip()
    for name in [given] if given else COMPILERS:
        found = shutil.which(name.split()[0])
        if found is not None:
            return found
    wanted = f"CXX={given}" if given else "g++ or clang++"
    raise ImportError(
        f"backend='native' expects a C++ compiler, found no {wanted}; install one "
        "(Debian and Ubuntu: apt install g++; conda: gxx), or use another backend"
    )


def _headers() -> Path:
    """Folder of OpenMM's headers, beside its library."""
    folder = Path(openmm.version.openmm_library_path).parent / "include"
    if not (folder / "OpenMM.h").is_file():
        raise ImportError(
            f"backend='native' expects OpenMM's headers, found none in {folder}; "
            "install openmm from PyPI or conda-forge"
        )
    return folder


def _fingerprint(compiler: str) -> str:
    """Short hash of all that the compiled file depends on, OpenMM aside."""
    version = subprocess.run(
        [compiler, "--version"], capture_output=True, check=False
    ).stdout
    parts = [version, platform.machine().encode(), " ".join(FLAGS).encode()]
    for source in [*sorted(SOURCES.iterdir()), KERNEL_HEADER]:
        parts += [source.name.encode(), source.read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _compile(compiler: str, path: Path) -> None:
    headers = _headers()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        command = [compiler, *FLAGS, "-isystem", str(headers)]
        command += [str(SOURCES / "allegro_plugin.cpp"), "-o", str(made)]
        command += [f"-L{openmm.version.openmm_library_path}", "-lOpenMM", "-ldl"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise ImportError(
                "backend='native' expects that its plugin compiles, found an error of "
                f"{compiler}:\n{result.stderr.strip()[-2000:]}"
            )
        made.replace(path)  # another process may have been faster: either file is whole
