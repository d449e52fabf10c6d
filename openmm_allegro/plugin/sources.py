# SPDX-License-Identifier: MIT
"""Sources of the plugin, and its name where it was compiled with the package.

``setup.py`` runs this file by itself: it imports nothing of the package.
"""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

SOURCES = Path(__file__).with_name("src")
SOURCE = SOURCES / "allegro_plugin.cpp"
_KERNELS = Path(__file__).parents[1] / "kernels"
INCLUDED = [
    *sorted([*SOURCES.glob("*.h"), *_KERNELS.glob("*.h")]),
    _KERNELS / "cpu" / "screening.h",
]
# Two copies in a process, as of two environments, share nothing: of statics that both
# export, one would be used by both, and freed twice.
HIDDEN = "-fvisibility=hidden"
FLAGS = ["-std=c++17", "-O2", "-pthread", HIDDEN]
_OWN_STATICS = "-fno-gnu-unique"  # of those of the C++ library, too


def module_name() -> str:
    """Name that a compiled plugin has in this folder, another for other sources."""
    sha = hashlib.sha256(" ".join(FLAGS).encode())
    for path in (SOURCE, *INCLUDED):
        sha.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return f"_plugin_{sha.hexdigest()[:16]}"


def own_statics(compiler: Sequence[str]) -> list[str]:
    """Flags of a compiler for statics that no other library shares; GCC has one.

    None of a compiler that is not there, so that an installation goes on without one.
    """
    command = [*compiler, _OWN_STATICS, "-E", "-x", "c++", os.devnull]
    try:
        tried = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        return []
    return [] if tried.returncode else [_OWN_STATICS]
