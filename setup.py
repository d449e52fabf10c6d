# SPDX-License-Identifier: MIT
"""Compile the kernels, once for each instruction set; without a compiler, leave them.

Where OpenMM is in the environment that builds, as for wheels, the plugin is compiled
too. With OPENMM_ALLEGRO_COMPILE=later all is left to first use, which compiles the
kernels of one processor alone.
"""

import importlib.util
import os
import runpy
import shlex
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).parent
IS_LATER = os.environ.get("OPENMM_ALLEGRO_COMPILE") == "later"
KERNELS = runpy.run_path(str(ROOT / "openmm_allegro" / "kernels" / "builds.py"))
# Flags of Python itself may ask for what a debugger reads: 17 MB.
ASKED = os.environ.get("CFLAGS", "") + os.environ.get("CXXFLAGS", "")
DEBUG = [] if "-g" in ASKED else ["-g0"]
PLUGIN = runpy.run_path(str(ROOT / "openmm_allegro" / "plugin" / "sources.py"))
COMPILER = shlex.split(os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "")


def relative(path: Path) -> str:
    """Path as setuptools asks for it."""
    return path.resolve().relative_to(ROOT.resolve()).as_posix()


def extension(name: str, prefix: str, flags: list[str]) -> Extension:
    """Library of one source, of those whose names in builds.py have a prefix."""
    return Extension(
        f"openmm_allegro.kernels.{name}",
        [relative(KERNELS[f"{prefix}SOURCE"])],
        depends=list(map(relative, KERNELS[f"{prefix}INCLUDED"])),
        extra_compile_args=[*KERNELS[f"{prefix}FLAGS"], *flags, *DEBUG],
        extra_link_args=["-pthread"],
        language="c++",
        optional=True,
    )


def plugin() -> list[Extension]:
    """The plugin, if there is an OpenMM to link it to."""
    if importlib.util.find_spec("openmm") is None:
        return []
    from openmm.version import openmm_library_path

    headers = Path(openmm_library_path).with_name("include")
    flags = [*PLUGIN["FLAGS"], *(PLUGIN["own_statics"](COMPILER) if COMPILER else ())]
    return [
        Extension(
            f"openmm_allegro.plugin.{PLUGIN['module_name']()}",
            [relative(PLUGIN["SOURCE"])],
            depends=list(map(relative, PLUGIN["INCLUDED"])),
            extra_compile_args=[*flags, *DEBUG, "-isystem", str(headers)],
            extra_link_args=["-pthread", "-ldl"],
            library_dirs=[openmm_library_path],
            libraries=["OpenMM"],
            language="c++",
            optional=True,
        )
    ]


EXTENSIONS = [
    *plugin(),
    extension("gpu._gpu", "GPU_", []),
    *(extension(f"cpu.{key}", "", one.flags) for key, one in KERNELS["BUILDS"].items()),
]

setup(
    ext_modules=[] if IS_LATER else EXTENSIONS,
    options={"build_ext": {"parallel": os.cpu_count()}},
)
