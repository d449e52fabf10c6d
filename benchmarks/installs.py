# SPDX-License-Identifier: MIT
"""Measure what each installation takes and can do: in fresh environments, one by one.

Each has an environment of its own, which is removed afterwards. pip has no cache, so
that every package is downloaded. From the checkout the kernels are compiled, which is
measured once: the extras are those of a wheel. Megabytes are those that the
installation adds to an environment with pip alone (du). Beside the seconds stand those
of the processors, which a busy machine changes little, and the load that it had. Each
environment is then asked to simulate, analyse, train and run TorchForce.

    python benchmarks/installs.py [WAY ...] [--cpu-torch torch==2.13.0]

writes benchmarks/results/installs.json, where ways that are not named stay as they are,
and the table of docs/install.md. The largest way takes 8 GB while it lasts. A CPU build
of torch is installed as --cpu-torch says; the ways beside it are left out otherwise.
Wheel and sdist are made first, or are those of the folder --built.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from hardware import hardware
from installs_checks import try_out, write_inputs
from installs_stand_in import cuda_packages_beside
from installs_table import RESULTS, fill

ROOT = Path(__file__).parents[1]
# Packages whose versions tell the environments apart.
TOLD = ("numpy", "openmm", "openmmtorch", "torch")
COMPILED = "lib/*/site-packages/openmm_allegro/**/*.so"


class Way(NamedTuple):
    """What pip installs, from which source, and after what."""

    target: str
    source: str = "checkout"
    first: str = ""
    compiler: bool = True


WAYS = {
    "wheel": Way("", "wheel", compiler=False),
    "sdist, no compiler": Way("", "sdist", compiler=False),
    "models": Way("", "models", first="wheel"),
    "analysis": Way("[analysis]", "wheel"),
    "train beside a CPU torch": Way("[train]", "wheel", first="torch"),
    "train": Way("[train]", "wheel"),
    "torchforce": Way("[torchforce]", "wheel"),
    "all": Way("[all]", "wheel"),
    "base": Way(""),
}


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="*", default=list(WAYS), metavar="WAY")
    parser.add_argument("--python", default="python3")
    parser.add_argument("--cpu-torch", help="requirement of a CPU build, for pip")
    parser.add_argument("--built", type=Path, help="folder with wheel and sdist")
    options = parser.parse_args()
    unknown = set(options.ways) - set(WAYS)
    if unknown:
        parser.error(f"expected ways of {', '.join(WAYS)}, found {', '.join(unknown)}")
    content = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    rows = content.get("installs", {})
    with tempfile.TemporaryDirectory(prefix="installs") as folder:
        sources = _sources(Path(folder), options)
        inputs = Path(folder) / "inputs"
        write_inputs(inputs, Path(sys.executable).with_name("openmm-allegro"))
        for name in options.ways:
            way = WAYS[name]
            if way.first == "torch" and not options.cpu_torch:
                print(f"{name}: left out, for want of --cpu-torch")
                continue
            rows[name] = _measure(Path(folder), sources, inputs, way, options)
            print(name, json.dumps(rows[name], indent=1), flush=True)
            content = {
                "hardware": hardware(1),
                "cache": "pip without a cache; each package downloaded anew",
                "installs": {way: rows[way] for way in WAYS if way in rows},
            }
            RESULTS.write_text(json.dumps(content, indent=1) + "\n")
        content["cuda_packages_beside_a_stand_in_of_a_cpu_torch"] = (
            cuda_packages_beside(Path(folder), sources["checkout"], options.python)
        )
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")
    fill()


def _sources(folder: Path, options) -> dict[str, Path]:
    """Copy the files that git has, without anything built, and make wheel and sdist."""
    source = folder / "source"
    command = ["git", "-C", ROOT, "ls-files", "-z", "openmm_allegro", "systems"]
    command += ["*.toml", "*.py", "README.md", "LICENSE"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    sources = {"checkout": source, "models": source / "systems"}
    kinds = {"wheel": "*.whl", "sdist": "*.tar.gz"}
    if options.built is not None:
        for kind, pattern in kinds.items():
            (sources[kind],) = options.built.resolve().glob(pattern)
        return sources
    tools = folder / "tools"
    subprocess.run([options.python, "-m", "venv", tools], check=True)
    _pip(tools, "install", "--quiet", "build", "setuptools>=77", "openmm>=8.4")
    for kind, pattern in kinds.items():
        build = [tools / "bin" / "python", "-m", "build", "--no-isolation"]
        build += [f"--{kind}", "--outdir", folder, source]
        subprocess.run(build, check=True, capture_output=True)
        shutil.rmtree(source / "build", ignore_errors=True)
        (sources[kind],) = folder.glob(pattern)
    return sources


def _measure(folder: Path, sources: dict, inputs: Path, way: Way, options) -> dict:
    """Make an environment, install, weigh, try it out, and remove it."""
    venv = folder / "venv"
    subprocess.run([options.python, "-m", "venv", venv], check=True)
    path = None if way.compiler else _path_without_compiler(folder, venv)
    if way.first:
        first = {"torch": options.cpu_torch, "wheel": str(sources["wheel"])}
        _pip(venv, "install", "--quiet", first[way.first])
    before = _packages(venv)
    megabytes = _megabytes(venv)
    load = os.getloadavg()[0]
    begin = time.perf_counter(), _processor_seconds()
    words = _pip(venv, "install", f"{sources[way.source]}{way.target}", path=path)
    end = time.perf_counter(), _processor_seconds()
    after = _packages(venv)
    added = {name: after[name] for name in after if after[name] != before.get(name)}
    row = {
        "megabytes": _megabytes(venv) - megabytes,
        "seconds": round(end[0] - begin[0], 1),
        "processor_seconds": round(end[1] - begin[1], 1),
        "load_before": round(load, 1),
        "packages": len(added),
        "cuda_packages": sum(map(_is_cuda, added)),
        "versions": {name: after[name] for name in TOLD if name in after},
        "compiled": sorted(p.name.split(".")[0] for p in venv.glob(COMPILED)),
    }
    if "compil" in words.lower():
        row["pip_says"] = "".join(x for x in words.splitlines(True) if "compil" in x)
    row["can"] = try_out(venv, inputs, path)
    shutil.rmtree(venv)
    shutil.rmtree(sources["checkout"] / "build", ignore_errors=True)
    return row


def _path_without_compiler(folder: Path, venv: Path) -> str:
    """PATH with the environment and a few programs of the shell, no compiler."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("sh", "env", "uname", "ldconfig", "git"):
        if (found := shutil.which(name)) and not (programs / name).exists():
            (programs / name).symlink_to(found)
    return f"{venv / 'bin'}:{programs}"


def _pip(venv: Path, *arguments: str, path: str | None = None) -> str:
    """What pip of an environment prints; it raises an error if pip fails."""
    # What is in PYTHONPATH would count as installed.
    hidden = ("CC", "CXX", "PYTHONPATH")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    if path is not None:
        environment["PATH"] = path
    command = [venv / "bin" / "pip", "--no-cache-dir", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, *arguments],
        check=True,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout


def _packages(venv: Path) -> dict[str, str]:
    command = [venv / "bin" / "pip", "list", "--format=json"]
    listed = subprocess.run(command, check=True, capture_output=True)
    return {one["name"].lower(): one["version"] for one in json.loads(listed.stdout)}


def _is_cuda(name: str) -> bool:
    return name.startswith(("nvidia-", "cuda-", "openmm-cuda")) or name == "triton"


def _megabytes(folder: Path) -> int:
    size = subprocess.run(["du", "-sm", folder], check=True, capture_output=True)
    return int(size.stdout.split()[0])


def _processor_seconds() -> float:
    """Processor time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
