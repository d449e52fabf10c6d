# SPDX-License-Identifier: MIT
"""Compile the plugin on first use, into the user's cache folder."""

from pathlib import Path

import openmm

from ..utils.compiler import compiled_library

SOURCES = Path(__file__).with_name("src")
KERNEL_HEADERS = [
    *sorted((SOURCES.parents[1] / "kernels").glob("*.h")),
    SOURCES.parents[1] / "kernels" / "cpu" / "screening.h",
]
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
        included=[*SOURCES.glob("*.h"), *KERNEL_HEADERS],
        needed_by="backend='native'",
        linked=_openmm_flags,
    )


def openmm_library() -> Path:
    """Folder of OpenMM's libraries."""
    return Path(openmm.version.openmm_library_path)


def openmm_headers() -> Path:
    """Folder of OpenMM's headers.

    Raises
    ------
    ImportError
        If OpenMM came without them; the message says what to do.
    """
    headers = openmm_library().parent / "include"
    if not (headers / "OpenMM.h").is_file():
        raise ImportError(
            f"backend='native' expects OpenMM's headers, found none in {headers}; "
            "install openmm from PyPI or conda-forge"
        )
    return headers


def _openmm_flags() -> list[str]:
    headers, library = openmm_headers(), openmm_library()
    return ["-isystem", str(headers), f"-L{library}", "-lOpenMM", "-ldl"]
