# SPDX-License-Identifier: MIT
"""Description of the machine that a result was measured on."""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata

from openmm_allegro.utils.process import processor_name


def hardware(threads: int) -> dict:
    """Describe processor, threads used, GPU and versions of numerical packages."""
    packages = ("torch", "openmm", "openmmtorch", "vesin-torch", "e3nn")
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads_used": threads,
        "gpu": _gpu(),
        "python": platform.python_version(),
        "versions": {p: version(p) for p in packages},
    }


def version(package: str) -> str | None:
    """Version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def use_threads(number: int) -> None:
    """Let torch, imported or not, and what OpenMM runs use so many threads."""
    names = "OMP_NUM_THREADS", "OPENMM_CPU_THREADS"
    os.environ.update(dict.fromkeys(names, str(number)))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(number)


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--backend`` of a benchmark that simulates."""
    parser.add_argument(
        "--backend",
        default="auto",
        choices=("auto", "torchforce", "pythonforce", "native"),
        help="force that computes the model, as of create_system (default: auto)",
    )


def _gpu() -> str | None:
    """Name of the first GPU by NVIDIA's tool: torch would take long to import."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=name", "--format=csv,noheader"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stdout.splitlines() or [None])[0]
