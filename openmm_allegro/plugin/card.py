# SPDX-License-Identifier: MIT
"""The native force on the card of an OpenMM Platform: CUDA, HIP or OpenCL.

Each Platform has a library of its own, which is compiled where OpenMM has the Platform,
against the headers of that OpenMM.
"""

import functools
import importlib.util
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import openmm

from ..kernels.builds import GPU_FLAGS, GPU_INCLUDED, GPU_SOURCE
from ..utils.compiler import compiled_library, find_compiler
from .build import openmm_headers, openmm_library
from .sources import HIDDEN, SOURCES, own_statics

# What is not found is to be an error of loading, not of the first step.
FLAGS = [*GPU_FLAGS, HIDDEN, "-Wl,-z,now"]
_log = logging.getLogger(__name__)


class Headers(NamedTuple):
    """Files that a Platform's headers include, and who has them."""

    files: tuple[str, ...]
    flags: tuple[str, ...]
    packages: str


PLATFORMS = {
    "CUDA": Headers(
        ("cuda.h", "crt/host_defines.h"),
        (),
        "pip: nvidia-cuda-runtime and nvidia-cuda-nvcc, which OpenMM-CUDA-13 brings, "
        "with the suffix -cu12 beside OpenMM-CUDA-12; conda: cuda-cudart-dev and "
        "cuda-crt-dev_linux-64",
    ),
    "HIP": Headers(
        ("hip/hip_runtime.h",), ("-D__HIP_PLATFORM_AMD__",), "AMD's package hip-dev"
    ),
    "OpenCL": Headers((), (), ""),
}


@functools.cache
def obstacle_on(platform: str) -> str:
    """Say why the native force is not computed on the card of a Platform.

    Some obstacles are only known with a Context, see ``obstacle_of_last_context``.

    Parameters
    ----------
    platform : str
        Name of an OpenMM Platform.

    Returns
    -------
    str
        Empty if it is computed there.
    """
    number = openmm.Platform.getNumPlatforms()
    names = [openmm.Platform.getPlatform(i).getName() for i in range(number)]
    if platform not in names:
        return f"OpenMM has no Platform {platform} here"
    if platform not in PLATFORMS:
        return f"the Platform {platform} has no card"
    if _is_unwanted():
        return "OPENMM_ALLEGRO_CARD=never says so"
    try:
        openmm.Platform.loadPluginLibrary(str(card_path(platform)))
    except (ImportError, openmm.OpenMMException) as error:
        return f"the library for the Platform {platform} cannot be had: {error}"
    return ""


def load_cards() -> None:
    """Load the libraries of all Platforms that OpenMM has; log which it cannot."""
    if _is_unwanted():
        return
    for index in range(openmm.Platform.getNumPlatforms()):
        name = openmm.Platform.getPlatform(index).getName()
        obstacle = obstacle_on(name) if name in PLATFORMS else ""
        if obstacle:
            _log.warning("the native force is computed on the processor: %s", obstacle)


def _is_unwanted() -> bool:
    return os.environ.get("OPENMM_ALLEGRO_CARD") == "never"


def card_path(platform: str) -> Path:
    """Path of a Platform's library, which is compiled if there is none yet.

    Raises
    ------
    ImportError
        As ``utils.compiler.compiled_library``, or if headers are missing; the message
        says what to install.
    """
    own = [*SOURCES.glob("**/*.h"), *SOURCES.glob("**/*.cc")]
    version = openmm.__version__
    return compiled_library(
        f"card_{platform}_{version}",
        SOURCES / "device" / "allegro_card.cpp",
        [*FLAGS, f"-DALLEGRO_{platform.upper()}", f'-DALLEGRO_OPENMM="{version}"'],
        included=[*own, GPU_SOURCE, *GPU_INCLUDED],
        needed_by=f"backend='native' on the Platform {platform}",
        linked=functools.partial(_platform_flags, platform),
    )


def _platform_flags(platform: str) -> list[str]:
    """Flags for OpenMM, its Platform, and the headers of the card's maker."""
    headers = [openmm_headers(), *_folders_of(platform)]
    library = openmm_library()
    flags = [*own_statics(find_compiler("the plugin")), *PLATFORMS[platform].flags]
    for folder in headers:
        flags += ["-isystem", str(folder)]
    flags += [f"-L{library}", "-lOpenMM"]
    if (library / "plugins" / f"libOpenMM{platform}.so").is_file():
        flags += [f"-L{library / 'plugins'}", f"-lOpenMM{platform}"]
    return flags


def _folders_of(platform: str) -> list[Path]:
    """Folders with the headers of the card's maker."""
    needed, _, packages = PLATFORMS[platform]
    candidates = list(_header_folders(platform)) if needed else []
    folders = []
    for file in needed:
        folder = next((each for each in candidates if (each / file).is_file()), None)
        if folder is None:
            raise ImportError(
                f"backend='native' on the Platform {platform} expects the header "
                f"{file}, found none; install it ({packages})"
            )
        folders.append(folder)
    return list(dict.fromkeys(folders))


def _header_folders(platform: str) -> Iterator[Path]:
    """Folders in which headers of CUDA or HIP may lie."""
    homes = {"CUDA": ("CUDA_HOME", "CUDA_PATH"), "HIP": ("ROCM_PATH", "HIP_PATH")}
    for variable in (*homes[platform], "CONDA_PREFIX"):
        if folder := os.environ.get(variable):
            yield Path(folder) / "include"
            yield Path(folder) / "targets" / "x86_64-linux" / "include"
    if platform == "CUDA":
        for folder in _package_folders("nvidia"):
            yield from sorted(folder.glob("*/include"), reverse=True)
        yield Path("/usr/local/cuda/include")
    else:
        yield Path("/opt/rocm/include")
    yield Path("/usr/include")
    maker = {"CUDA": "nvidia", "HIP": "amd"}[platform]
    for folder in _package_folders("triton"):
        yield folder / "backends" / maker / "include"


def _package_folders(name: str) -> list[Path]:
    """Folders of an installed package, which is not imported."""
    spec = importlib.util.find_spec(name)
    return [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
