# SPDX-License-Identifier: MIT
"""Compile the kernels, once for each instruction set; without a compiler, leave them.

With OPENMM_ALLEGRO_COMPILE=later they are left to first use, which compiles those of
one processor alone.
"""

import os
import runpy
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).parent
IS_LATER = os.environ.get("OPENMM_ALLEGRO_COMPILE") == "later"
KERNELS = runpy.run_path(str(ROOT / "openmm_allegro" / "kernels" / "builds.py"))


def relative(path: Path) -> str:
    """Path as setuptools asks for it."""
    return path.resolve().relative_to(ROOT.resolve()).as_posix()


def extension(name: str, prefix: str, flags: list[str]) -> Extension:
    """Library of one source, of those whose names in builds.py have a prefix."""
    return Extension(
        f"openmm_allegro.kernels.{name}",
        [relative(KERNELS[f"{prefix}SOURCE"])],
        depends=list(map(relative, KERNELS[f"{prefix}INCLUDED"])),
        extra_compile_args=KERNELS[f"{prefix}FLAGS"] + flags,
        extra_link_args=["-pthread"],
        language="c++",
        optional=True,
    )


EXTENSIONS = [
    extension("gpu._gpu", "GPU_", []),
    *(extension(f"cpu.{key}", "", one.flags) for key, one in KERNELS["BUILDS"].items()),
]

setup(
    ext_modules=[] if IS_LATER else EXTENSIONS,
    options={"build_ext": {"parallel": os.cpu_count()}},
)
