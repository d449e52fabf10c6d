# SPDX-License-Identifier: MIT
"""Make openmm-torch's force and the package's operators known, once they are needed."""

import contextlib
import ctypes
import functools
import re
from typing import Any

import openmm

from ..utils.compatibility import warn_of_known_bad_versions
from ..utils.quiet import quiet

_KERNEL = "CalcTorchForce"


def register_operators(needed_by: str = "a model's module") -> None:
    """Make the operators and classes known to torch that an archive may name.

    Parameters
    ----------
    needed_by : str
        Beginning of the error message.

    Raises
    ------
    ImportError
        If torch or vesin-torch is missing.
    """
    try:
        import vesin_torch  # noqa: F401  registers its list of pairs

        from ..kernels.inference import operator
    except ImportError as error:
        raise ImportError(
            f"{needed_by} expects torch and vesin-torch, found: {error}; pip install "
            "'openmm-allegro[torch]', or make the System with backend='native', which "
            "needs neither"
        ) from error
    operator.register()


@functools.cache
def register_torch_force() -> Any:
    """Get the TorchForce class, and make its kernels and its XML known to OpenMM.

    OpenMM loads its plugins when it is imported. Those of openmm-torch need torch's
    libraries, so they fail if torch was not imported before, and are loaded here.

    Raises
    ------
    ImportError
        If openmm-torch cannot be imported, or has no kernels for this OpenMM.

    Warns
    -----
    RuntimeWarning
        If the installed versions are known not to work together.
    """
    warn_of_known_bad_versions()
    _load_nvrtc()
    try:
        import torch  # noqa: F401  openmm-torch needs its libraries

        with quiet("openmmtorch"):
            from openmmtorch import TorchForce
        _load_kernels()
    except ImportError as error:
        raise ImportError(
            "a TorchForce (backend='torchforce') expects openmm-torch, found: "
            f"{error}; pip install 'openmm-allegro[torchforce]' (conda: openmm-torch), "
            "or make the System with backend='native', which needs no torch, or "
            "'pythonforce', which needs no openmm-torch"
        ) from error
    return TorchForce


def _load_kernels() -> None:
    for failure in openmm.Platform.getPluginLoadFailures():
        library = re.search(r"\S*OpenMMTorch\w*\.\w+", failure)
        if library:
            # Platforms that this machine lacks fail again, and are not needed.
            with contextlib.suppress(openmm.OpenMMException):
                openmm.Platform.loadPluginLibrary(library[0])
    # those of another OpenMM lie where this one does not look
    if not openmm.Platform.getPlatformByName("Reference").supportsKernels([_KERNEL]):
        raise ImportError(f"no kernels of it for OpenMM {openmm.__version__}")


def _load_nvrtc() -> None:
    """Load the CUDA 13 nvrtc where it is installed, for openmmtorch on Python 3.13.

    That wheel of openmmtorch 1.5 is linked to it, while torch 2.9 brings CUDA 12 and
    puts only its own libraries where the loader finds them.
    """
    from importlib import metadata

    with contextlib.suppress(metadata.PackageNotFoundError, OSError):
        for file in metadata.distribution("nvidia-cuda-nvrtc").files or []:
            if file.name == "libnvrtc.so.13":
                ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)
