# SPDX-License-Identifier: MIT
"""The plugin as OpenMM and Python load it."""

import ctypes
import functools
import subprocess
import sys
from pathlib import Path

import openmm

from ..kernels import header
from ..kernels.library import library as kernels
from ..kernels.library import obstacle
from .build import plugin_path
from .card import load_cards
from .sources import SOURCES
from .tables import fill_tables_by_cache

# Versions of OpenMM with which the plugin was tried. With another one a process of its
# own tries first, because a wrong one does not fail but crashes.
TRIED = ((8, 4), (8, 5), (8, 6))


@functools.cache
def plugin() -> ctypes.CDLL:
    """Load the plugin, so that OpenMM knows the force and its XML.

    Returns
    -------
    CDLL
        With the functions of ``allegro_plugin.h``.

    Raises
    ------
    ImportError
        If it cannot be compiled or loaded, or the kernels were not built.
    """
    fused = kernels()
    if fused is None:
        raise ImportError(
            f"backend='native' expects the compiled kernels, found none: {obstacle()}"
        )
    path = plugin_path()
    _try_with_unknown_openmm(path)
    try:
        openmm.Platform.loadPluginLibrary(str(path))
        loaded = ctypes.CDLL(str(path))
    except (openmm.OpenMMException, OSError) as error:
        raise ImportError(
            f"backend='native' expects a plugin that OpenMM {openmm.__version__} can "
            f"load, found: {error}"
        ) from None
    header.declare(loaded, SOURCES / "allegro_plugin.h")
    if not loaded.allegro_plugin_use_kernels(fused._name.encode()):
        raise ImportError(last_error(loaded))
    fill_tables_by_cache(loaded)
    load_cards()
    return loaded


def obstacle_of_last_context() -> str:
    """Say why the native force of the Context made last is not on the Platform's card.

    Returns
    -------
    str
        Empty if it is. The Context is that of the calling thread; of several native
        forces it is the last.
    """
    return plugin().allegro_plugin_obstacle().decode()


def last_error(loaded: ctypes.CDLL) -> str:
    """Reason of the plugin's last failure in this thread."""
    return loaded.allegro_plugin_error().decode()


def _try_with_unknown_openmm(path: Path) -> None:
    """Read and write XML in another process, where OpenMM is of a version not tried."""
    version = tuple(int(part) for part in openmm.__version__.split(".")[:2])
    if version in TRIED:
        return
    code = (
        "import sys, openmm; openmm.Platform.loadPluginLibrary(sys.argv[1])\n"
        "try: openmm.XmlSerializer.deserialize("
        '\'<Force type="AllegroForce" version="0" name="x"/>\')\n'
        "except openmm.OpenMMException: sys.exit(0)"
    )
    tried = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, check=False
    )
    if tried.returncode:
        raise ImportError(
            f"backend='native' expects OpenMM 8.4 to 8.6, found {openmm.__version__}, "
            "with which the plugin does not work; install one of these or use another "
            "backend"
        )
