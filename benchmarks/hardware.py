# SPDX-License-Identifier: MIT
"""Describe the machine that a result is measured on, and measure parts of one."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

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


def measure_parts(
    file: Path, parts: Mapping[str, Callable], options: argparse.Namespace
) -> None:
    """Measure ``options.parts`` on one thread; those of the file that are not stay.

    The file is written after each part, and what was measured is printed.
    """
    use_threads(1)
    content = json.loads(file.read_text()) if file.exists() else {}
    content["hardware"] = hardware(1)
    for name in options.parts:
        content[name] = parts[name](options)
        print(name, json.dumps(content[name], indent=1))
        file.write_text(json.dumps(content, indent=1) + "\n")


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
