# SPDX-License-Identifier: MIT
"""The plugin that gives LAMMPS ``pair_style allegro``, compiled on first use.

Each process of a run under MPI imports this module, so it imports little.
"""

import os
import shutil
import sys
from pathlib import Path

from ..kernels.builds import (
    FLAGS,
    SOURCE,
    STANDALONE,
    STANDALONE_INCLUDED,
)
from ..plugin.sources import HIDDEN, own_statics
from ..utils.compiler import (
    COMPILERS,
    CompilerError,
    Unit,
    compile_library,
    environment_flags,
    find_compiler,
    fingerprint,
)
from ..utils.files import cache_folder, replacing
from .installation import (
    NEEDED_BY,
    Lammps,
    installed_lammps,
    installed_version,
    lammps_source,
)

SOURCES = Path(__file__).with_name("src")
PLUGIN = "allegroplugin.so"  # LAMMPS loads what ends in plugin.so
PLUGIN_FLAGS = ["-std=c++17", "-O2", HIDDEN]
# Number of a process among those that a launcher starts.
_RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")


def plugin_folder() -> str:
    """Folder of the plugin for the installed LAMMPS, which loads it; "" without one.

    It is the entry point of the group ``lammps.plugins``. An obstacle is a sentence on
    stderr, once for all processes of a run, for LAMMPS does without the plugin.
    """
    try:
        return str(build_plugin().parent)
    except Exception as error:
        is_first = all(os.environ.get(name, "0") == "0" for name in _RANKS)
        if is_first or isinstance(error, CompilerError):
            sys.stderr.write(f"openmm-allegro: {_sentence(error)}\n")
        return ""


def build_plugin(
    lammps: str | Path | None = None,
    *,
    output: str | Path | None = None,
    standalone: bool = False,
    sizes: str | None = None,
) -> Path:
    """Compile the plugin.

    For the package lammps of this Python it is compiled once and kept in the user's
    cache folder; see ``utils.compiler.compiled_library`` for the variables that count.

    Parameters
    ----------
    lammps : path, optional
        Sources of another LAMMPS, their build folder, or its headers; the plugin is
        compiled each time.
    output : path, optional
        Where it is written, in place of the cache folder; its name ends in
        ``plugin.so``. Necessary with ``lammps``.
    standalone : bool
        Compile the kernels in, for machines where this package is not installed; it
        takes half a minute of processor time.
    sizes : str, optional
        LAMMPS's sizes of integers, "smallbig", "bigbig" or "smallsmall", where the
        folder ``lammps`` does not tell.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If there is no LAMMPS at ``lammps``.
    ImportError
        If compiler, headers of LAMMPS or MPI, or kernels are missing, or compiling
        fails; the message says what to do.
    ValueError
        If the name of the output or the sizes are wrong or missing.
    """
    path = None if output is None else Path(output)
    if path is not None and not path.name.endswith("plugin.so"):
        raise ValueError(
            f"expected an output whose name ends in plugin.so, as {PLUGIN}, by which "
            f"LAMMPS knows plugins, found {path}"
        )
    if lammps is not None:
        if path is None:
            raise ValueError(
                f"expected an output for the plugin of {lammps}, found none"
            )
        found = lammps_source(Path(lammps), sizes)
        path.unlink(missing_ok=True)
        _compile(path, found, standalone)
        return path
    kept = _kept(standalone)
    if not kept.is_file():
        _compile(kept, installed_lammps(), standalone)
    if path is None:
        return kept
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        shutil.copyfile(kept, partial)
    return path


def _kept(standalone: bool) -> Path:
    """Path of the plugin for the installed LAMMPS in the cache folder.

    It depends on what the plugin finds when it runs, the folder of the kernels, but not
    on the compiler, which may be missing where LAMMPS runs.
    """
    version = installed_version() or "none"
    kernels = "standalone" if standalone else str(SOURCE.parent)
    texts = [version, kernels, *environment_flags(), *PLUGIN_FLAGS, *FLAGS]
    files = [*SOURCES.iterdir(), *STANDALONE, *STANDALONE_INCLUDED]
    return cache_folder() / f"lammps-{version}-{fingerprint(texts, files)}" / PLUGIN


def _compile(path: Path, lammps: Lammps, standalone: bool) -> None:
    preferred = COMPILERS if lammps.mpi else ("mpicxx",)
    compiler = find_compiler(NEEDED_BY, preferred)
    folders = [lammps.headers, *([lammps.mpi] if lammps.mpi else [])]
    flags = [f"-I{SOURCE.parents[1]}", f"-DLAMMPS_{lammps.sizes.upper()}"]
    flags += [HIDDEN, *own_statics(compiler), *lammps.flags]
    for folder in folders:
        flags += ["-isystem", str(folder)]
    units = [Unit(SOURCES / "allegroplugin.cpp", PLUGIN_FLAGS)]
    if standalone:
        flags += ["-DALLEGRO_STANDALONE"]
        units += [Unit(source, FLAGS) for source in STANDALONE]
    else:
        from ..kernels.library import library_paths

        paths = ":".join(map(str, library_paths()))
        flags += [f'-DALLEGRO_KERNELS="{paths}"']
    compile_library(path, units, [*flags, "-ldl", "-pthread"], compiler, NEEDED_BY)


def _sentence(error: Exception) -> str:
    """The first line of a message, and of a compiler's output the first error."""
    first, *more = str(error).splitlines() or [type(error).__name__]
    return " ".join([first, *[line for line in more if "error" in line][:1]])
