# SPDX-License-Identifier: MIT
"""Compile the kernels once for each instruction set; without a compiler, leave them.

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


setup(
    ext_modules=[
        Extension(
            f"openmm_allegro.kernels.cpu.{name}",
            [relative(KERNELS["SOURCE"])],
            depends=list(map(relative, KERNELS["INCLUDED"])),
            extra_compile_args=KERNELS["FLAGS"] + build.flags,
            extra_link_args=["-pthread"],
            language="c++",
            optional=True,
        )
        for name, build in KERNELS["BUILDS"].items()
        if not IS_LATER
    ],
    options={"build_ext": {"parallel": os.cpu_count()}},
)
