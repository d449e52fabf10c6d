# SPDX-License-Identifier: MIT
"""Scripts of the benchmarks as modules, which are forgotten afterwards."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FOLDERS = [str(BENCHMARKS / "gpu"), str(BENCHMARKS)]


@pytest.fixture(scope="module")
def script():
    """Import a script by name; others have scripts of the same names."""
    path, modules = sys.path[:], set(sys.modules)
    sys.path[:0] = FOLDERS
    yield importlib.import_module
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if Path(file).is_relative_to(BENCHMARKS):
            del sys.modules[name]
