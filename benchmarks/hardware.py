# SPDX-License-Identifier: MIT
"""Description of the machine that a result was measured on."""

import os
import platform
from importlib import metadata

import torch

from openmm_allegro.utils.process import processor_name


def hardware(threads: int) -> dict:
    """Describe processor, threads used, GPU and versions of numerical packages."""
    packages = ("torch", "openmm", "openmmtorch", "vesin-torch", "e3nn")
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads_used": threads,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "versions": {p: _version(p) for p in packages},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
