# SPDX-License-Identifier: MIT
"""Measure what each installation takes: seconds and megabytes, in fresh environments.

Each has an environment of its own, which is removed afterwards. pip has no cache, so
that every package is downloaded, and the kernels are compiled. Megabytes are those that
the installation adds to an environment with pip alone (du). Beside the seconds stand
those of the processors, which a busy machine changes little.

    python benchmarks/installs.py [--extras "" analysis train all] [--python python3]

writes benchmarks/results/installs.json. The last one takes 8 GB while it lasts.
"""

import argparse
import json
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from hardware import hardware

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "installs.json"
# Packages whose versions tell the environments apart.
TOLD = ("numpy", "openmm", "openmmtorch", "torch")


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    extras = ["", "analysis", "train", "all"]
    parser.add_argument("--extras", nargs="*", default=extras, help="'' is the base")
    parser.add_argument("--python", default="python3")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        source = _copy_of_sources(Path(folder))
        for extra in options.extras:
            row = _measure(Path(folder) / "venv", source, extra, options.python)
            rows[extra or "base"] = row
            print(
                f"{extra or 'base':10s} {row['megabytes']:6d} MB, "
                f"{row['seconds']:.0f} s ({row['processor_seconds']:.0f} s of "
                f"processors), {row['packages']} packages, {row['versions']}",
                flush=True,
            )
    result = {"hardware": hardware(1), "installs": rows}
    options.output.write_text(json.dumps(result, indent=1) + "\n")


def _copy_of_sources(folder: Path) -> Path:
    """Copy the files that git has of the package, without anything built."""
    source = folder / "source"
    command = ["git", "-C", ROOT, "ls-files", "-z", "openmm_allegro", "*.toml", "*.py"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name in [*filter(None, listed.split("\0")), "README.md", "LICENSE"]:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    return source


def _measure(venv: Path, source: Path, extra: str, python: str) -> dict:
    """Make an environment, install, weigh, and remove it."""
    subprocess.run([python, "-m", "venv", venv], check=True)
    before = _megabytes(venv)
    pip = [venv / "bin" / "pip", "--no-cache-dir", "--disable-pip-version-check"]
    target = f"{source}[{extra}]" if extra else str(source)
    begin = time.perf_counter(), _processor_seconds()
    subprocess.run([*pip, "install", "--quiet", target], check=True)
    end = time.perf_counter(), _processor_seconds()
    listed = subprocess.run([*pip, "list", "--format=json"], capture_output=True)
    versions = {p["name"].lower(): p["version"] for p in json.loads(listed.stdout)}
    row = {
        "megabytes": _megabytes(venv) - before,
        "seconds": round(end[0] - begin[0], 1),
        "processor_seconds": round(end[1] - begin[1], 1),
        "packages": len(versions.keys() - {"pip", "setuptools"}),
        "versions": {name: versions[name] for name in TOLD if name in versions},
    }
    shutil.rmtree(venv)
    shutil.rmtree(source / "build", ignore_errors=True)
    return row


def _megabytes(folder: Path) -> int:
    size = subprocess.run(["du", "-sm", folder], check=True, capture_output=True)
    return int(size.stdout.split()[0])


def _processor_seconds() -> float:
    """Processor time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
