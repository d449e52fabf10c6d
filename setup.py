# SPDX-License-Identifier: MIT
"""Compile the kernels once for each instruction set; without a compiler, leave them."""

import platform
from pathlib import Path

from setuptools import Extension, setup

FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-pthread"]
KERNELS = Path("openmm_allegro/kernels")
HEADERS = [str(KERNELS / "allegro.h"), *map(str, sorted(KERNELS.glob("cpu/*.h")))]
BUILDS = {"_generic": ["-DWIDTH=16", "-DROWS=4"]}
if platform.machine() in ("x86_64", "AMD64"):
    # Not -march=x86-64-v3 and -v4, which compilers before GCC 11 do not know.
    BUILDS["_avx2"] = ["-mavx2", "-mfma", "-DWIDTH=32", "-DROWS=6"]
    wide = [f"-mavx512{part}" for part in ("f", "dq", "bw", "vl", "cd")]
    wide += ["-mfma", "-mprefer-vector-width=512"]
    BUILDS["_avx512"] = [*wide, "-DWIDTH=64", "-DROWS=12"]

setup(
    ext_modules=[
        Extension(
            f"openmm_allegro.kernels.cpu.{name}",
            [str(KERNELS / "cpu" / "allegro_cpu.cpp")],
            depends=HEADERS,
            extra_compile_args=FLAGS + flags,
            extra_link_args=["-pthread"],
            language="c++",
            optional=True,
        )
        for name, flags in BUILDS.items()
    ]
)
