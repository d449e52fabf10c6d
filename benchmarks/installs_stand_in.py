# SPDX-License-Identifier: MIT
"""What pip would add beside a CPU build of torch 2.9, which a stand-in plays.

Where the index at hand has only torch with CUDA, a wheel without content but with the
name and version of the CPU build is installed, and pip is asked what it would add.
"""

import json
import subprocess
import zipfile
from pathlib import Path

EXTRAS = ("torch", "train", "torchforce", "nequip", "all")
VERSION = "2.9.1+cpu"


def cuda_packages_beside(folder: Path, source: Path, python: str) -> dict[str, list]:
    """For each extra, the packages of CUDA that pip would add."""
    venv = folder / "stand-in"
    subprocess.run([python, "-m", "venv", venv], check=True)
    pip = [venv / "bin" / "pip", "--disable-pip-version-check"]
    wheel = _wheel(folder)
    subprocess.run([*pip, "install", "--quiet", "--no-deps", wheel], check=True)
    report = folder / "report.json"
    dry = [*pip, "install", "--quiet", "--dry-run", "--report", report]
    added = {}
    for extra in EXTRAS:
        subprocess.run([*dry, f"{source}[{extra}]"], check=True)
        packages = json.loads(report.read_text())["install"]
        names = [one["metadata"]["name"].lower() for one in packages]
        added[extra] = sorted(
            name
            for name in names
            if name.startswith(("nvidia-", "cuda-")) or name in ("torch", "triton")
        )
    return added


def _wheel(folder: Path) -> Path:
    """Write a wheel of torch that holds nothing but its name and version."""
    path = folder / f"torch-{VERSION}-py3-none-any.whl"
    info = f"torch-{VERSION}.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {VERSION}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(f"{info}/{name}", text)
    return path
