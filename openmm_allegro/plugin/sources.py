# SPDX-License-Identifier: MIT
"""Sources of the plugin, and its name where it was compiled with the package.

``setup.py`` runs this file by itself: it imports nothing of the package.
"""

import hashlib
from pathlib import Path

SOURCES = Path(__file__).with_name("src")
SOURCE = SOURCES / "allegro_plugin.cpp"
_KERNELS = Path(__file__).parents[1] / "kernels"
INCLUDED = [
    *sorted([*SOURCES.glob("*.h"), *_KERNELS.glob("*.h")]),
    _KERNELS / "cpu" / "screening.h",
]
FLAGS = ["-std=c++17", "-O2", "-pthread"]


def module_name() -> str:
    """Name that a compiled plugin has in this folder, another for other sources."""
    sha = hashlib.sha256(" ".join(FLAGS).encode())
    for path in (SOURCE, *INCLUDED):
        sha.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return f"_plugin_{sha.hexdigest()[:16]}"
