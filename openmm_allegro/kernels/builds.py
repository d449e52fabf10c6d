# SPDX-License-Identifier: MIT
"""Builds of the kernels: for processors one an instruction set, for cards one.

``setup.py`` runs this file by itself: it imports nothing of the package.
"""

import platform
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parent / "cpu" / "allegro_cpu.cpp"
INCLUDED = sorted([*SOURCE.parent.glob("*.h"), *Path(__file__).parent.glob("*.h")])
# For programs that compile the kernels in: one source an instruction set.
STANDALONE = sorted(SOURCE.parent.glob("standalone/*.cpp"))
STANDALONE_INCLUDED = [SOURCE, *INCLUDED, *SOURCE.parent.glob("standalone/*.h")]
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-pthread"]

# It writes the source of the kernels for cards, and runs nothing of them itself.
GPU_SOURCE = Path(__file__).parent / "gpu" / "allegro_gpu.cpp"
GPU_INCLUDED = [
    *INCLUDED,
    *sorted(GPU_SOURCE.parent.glob("**/*.h")),
    *sorted(GPU_SOURCE.parent.glob("device/*.cc")),
]
GPU_FLAGS = ["-std=c++17", "-O2"]


class Build(NamedTuple):
    """Flags of the compiler, and flags of /proc/cpuinfo that the processor needs."""

    flags: list[str]
    needs: frozenset[str] = frozenset()


# Not -march=x86-64-v3 and -v4, which compilers before GCC 11 do not know.
_AVX2 = frozenset({"avx2", "fma", "bmi1", "bmi2", "f16c", "movbe", "abm"})
_AVX512 = ["avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"]
_WIDE = [*(f"-m{name}" for name in _AVX512), "-mfma", "-mprefer-vector-width=512"]

# From the fastest on.
BUILDS = {
    "_avx512": Build([*_WIDE, "-DWIDTH=64", "-DROWS=12"], _AVX2.union(_AVX512)),
    "_avx2": Build(["-mavx2", "-mfma", "-DWIDTH=32", "-DROWS=6"], _AVX2),
    "_generic": Build(["-DWIDTH=16", "-DROWS=4"]),
}
if platform.machine() not in ("x86_64", "AMD64"):
    BUILDS = {"_generic": BUILDS["_generic"]}
