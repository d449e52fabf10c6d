# SPDX-License-Identifier: MIT
"""Find the plugin, or compile it on first use, into the user's cache folder."""

import importlib.util
import os
from pathlib import Path

import openmm

from ..utils.compiler import compiled_library, find_compiler
from .sources import FLAGS, INCLUDED, SOURCE, module_name, own_statics

_NEEDED_BY = "backend='native'"


def plugin_path() -> Path:
    """Path of the compiled plugin, which is compiled if there is none yet.

    One file serves OpenMM 8.4 to 8.6 and any Python. It is that of the package, if one
    was compiled with it, as in wheels, and neither ``CXX`` nor ``CXXFLAGS`` asks for
    another.

    Raises
    ------
    ImportError
        As ``utils.compiler.compiled_library``, or if OpenMM came without its headers;
        the message says what to install.
    """
    if not {"CXX", "CXXFLAGS"} & os.environ.keys():
        spec = importlib.util.find_spec(f"{__package__}.{module_name()}")
        if spec is not None and spec.origin is not None:
            return Path(spec.origin)
    return compiled_library(
        "plugin",
        SOURCE,
        FLAGS,
        included=INCLUDED,
        needed_by=_NEEDED_BY,
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
    statics = own_statics(find_compiler(_NEEDED_BY))
    linked = [f"-L{library}", "-lOpenMM", "-ldl"]
    return [*statics, "-isystem", str(headers), *linked]
