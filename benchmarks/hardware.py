# SPDX-License-Identifier: MIT
"""Description of the machine that a result was measured on."""

import os
import platform
from importlib import metadata
from pathlib import Path

import torch


def hardware(threads: int) -> dict:
    """Describe processor, threads used, GPU and versions of numerical packages."""
    name = platform.processor() or platform.machine()
    for line in _cpuinfo():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    packages = ("torch", "openmm", "openmmtorch", "vesin-torch", "e3nn")
    return {
        "processor": name,
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


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
