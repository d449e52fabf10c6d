# SPDX-License-Identifier: MIT
"""Compile the plugin on first use, into the user's cache folder."""

from pathlib import Path

import openmm

from ..utils.compiler import compiled_library

SOURCES = Path(__file__).with_name("src")
KERNEL_HEADER = SOURCES.parents[1] / "kernels" / "allegro.h"
FLAGS = ["-std=c++17", "-O2", "-pthread"]


def plugin_path() -> Path:
    """Path of the compiled plugin, which is compiled if there is none yet.

    One file serves OpenMM 8.4 to 8.6 and any Python.

    Raises
    ------
    ImportError
        As ``utils.compiler.compiled_library``, or if OpenMM came without its headers;
        the message says what to install.
    """
    source = SOURCES / "allegro_plugin.cpp"
    return compiled_library(
        "plugin",
        source,
        FLAGS,
        included=[*({*SOURCES.iterdir()} - {source}), KERNEL_HEADER],
        needed_by="backend='native'",
        linked=_openmm_flags,
    )


def _openmm_flags() -> list[str]:
    """Flags for OpenMM's library, and the headers beside it."""
    library = Path(openmm.version.openmm_library_path)
    headers = library.parent / "include"
    if not (headers / "OpenMM.h").is_file():
        raise ImportError(
            f"backend='native' expects OpenMM's headers, found none in {headers}; "
            "install openmm from PyPI or conda-forge"
        )
    return ["-isystem", str(headers), f"-L{library}", "-lOpenMM", "-ldl"]
