# SPDX-License-Identifier: MIT
"""The manual as pages: every page is reached, and no link or docstring is broken."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_manual_builds_without_warnings(tmp_path):
    """If not: make docs, which the checks of each change run too."""
    pytest.importorskip("sphinx")
    options = ["-q", "-W", "--keep-going", "-b", "dummy", "-d", tmp_path / "trees"]
    folders = ["-c", ROOT / "docs", ROOT, tmp_path / "pages"]
    command = [sys.executable, "-m", "sphinx", *map(str, [*options, *folders])]
    build = subprocess.run(command, capture_output=True, text=True)
    assert build.returncode == 0, build.stderr
