# SPDX-License-Identifier: MIT
"""Make a folder of what run.py needs on a machine without a network.

    python benchmarks/gpu/carry.py FOLDER [--python 3.12] [--cuda 13.0]
        [--architecture 90]

The machine must have torch for CUDA, and what comes with it. The folder has

wheels/  OpenMM with its CUDA platform, and what torch does not bring
site/    this package with its compiled kernels, for any Python
cache/   the models of the benchmarks, and their kernels compiled for the card by the
         NVRTC of the same CUDA

Needs a network, pip and a C++ compiler. Nothing is compiled on the card's machine then,
but OpenMM's plugin (seconds) and nequip's model (a minute).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT = 64e6  # bytes that such a machine takes
WHEELS = (
    *("openmm==8.5.2", "openmm-cuda-{major}==8.5.2", "vesin-torch==0.6.2"),
    *("ase==3.29.0", "e3nn==0.6.0", "nequip==0.19.1", "nequip-allegro==0.8.3"),
    *("matscipy==1.3.1", "lmdb==3.0.0", "hydra-core==1.3.8", "omegaconf==2.3.0"),
)
SOURCES = ("antlr4-python3-runtime==4.9.3",)  # no wheel of it is published
PLATFORMS = ("2_34", "2_31", "2_28", "2_27", "2_24", "2_17")


def main() -> None:
    options = _options()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not options.no_wheels:
        _wheels(folder / "wheels", options.python, options.cuda)
    _package(folder / "site")
    os.environ["OPENMM_ALLEGRO_CACHE"] = str(folder / "cache")
    with tempfile.TemporaryDirectory() as scratch:
        nvrtc = options.nvrtc or _nvrtc(Path(scratch), options.cuda)
        _kernels(folder / "cache", nvrtc, options.architecture)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.0f} MB")
    if size > LIMIT:
        sys.exit(f"expected at most {LIMIT / 1e6:.0f} MB")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12")
    parser.add_argument("--cuda", default="13.0")
    parser.add_argument("--architecture", type=int, default=90)
    parser.add_argument("--nvrtc", type=Path, help="its library, instead of pip's")
    parser.add_argument("--no-wheels", action="store_true", help="keep those there")
    return parser.parse_args()


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments, "-q"], check=True)


def _for_linux(python: str) -> list[str]:
    """Options of pip for wheels of another Python."""
    options = ["--no-deps", "--only-binary=:all:", "--python-version", python]
    options += ["--implementation", "cp"]
    for name in (*(f"manylinux_{one}" for one in PLATFORMS), "manylinux2014"):
        options += ["--platform", f"{name}_x86_64"]
    return options


def _wheels(folder: Path, python: str, cuda: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    names = [name.format(major=cuda.partition(".")[0]) for name in WHEELS]
    _pip("download", "-d", str(folder), *_for_linux(python), *names)
    _pip("wheel", "--no-deps", "-w", str(folder), *SOURCES)


def _package(folder: Path) -> None:
    """This package, whose libraries are named so that every Python takes them."""
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        _pip("wheel", "--no-deps", "-w", scratch, str(ROOT))
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    for path in folder.rglob("*.cpython-*.so"):
        subprocess.run(["strip", str(path)], check=True)
        path.rename(path.with_name(path.name.partition(".")[0] + ".abi3.so"))


def _nvrtc(folder: Path, cuda: str) -> Path:
    """NVRTC of a version of CUDA, from its wheel."""
    name = "nvidia-cuda-nvrtc" + ("-cu12" if cuda.startswith("12") else "")
    options = _for_linux("3.12")
    _pip("download", "-d", str(folder), *options, f"{name}=={cuda}.*")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return next(
        path for path in folder.rglob("libnvrtc.so.*") if "alt" not in path.name
    )


def _kernels(folder: Path, path: Path, architecture: int) -> None:
    """Write models, and compile the kernels that ``kernels`` and ``correct`` take."""
    sys.path[:0] = [str(HERE)]
    from cases import nacl, water
    from on_card import ROWS
    from stepper import WAYS, Refused, Steps

    from openmm_allegro.kernels.gpu.nvrtc import Nvrtc

    folder.mkdir(parents=True, exist_ok=True)
    for case in (nacl(1), water(1, folder)):
        for way, products in WAYS.items():
            for rows in ROWS:
                device = Compiling(Nvrtc(path), architecture, int(products))
                try:
                    Steps(device, case, rows).close()
                except Refused as error:
                    print(f"{case.name}, {way}, {rows} rows: {error}")
    for path in folder.glob("*.so"):  # site/ has them
        path.unlink()


class Compiling:
    """A device that only compiles; it looks like an H100's multiprocessors."""

    groups, memory, one_space = 132, 227 * 1024, True

    def __init__(self, nvrtc, architecture: int, products: int) -> None:
        self.nvrtc, self.architecture = nvrtc, f"sm_{architecture}"
        self.products, self.buffers = products, 0

    def allocate(self, size: int) -> int:
        self.buffers += 1
        return self.buffers

    def compile(self, source: str) -> int:
        from openmm_allegro.kernels.gpu.cubins import compiled_source

        compiled_source(self.nvrtc, source, self.architecture)
        return 1

    def kernel(self, compiled: int, name: str, threads: int, memory: int) -> int:
        return 1

    def release(self, buffer: int) -> None:
        """Do nothing, as for all that would run."""

    def upload(self, *arguments: int) -> None:
        """Do nothing."""

    download = watch = launch = upload

    def watched(self, target: int, size: int) -> bool:
        return False


if __name__ == "__main__":
    main()
