# SPDX-License-Identifier: MIT
"""Fourteen formats in simulate and analyze: each row of a table in formats.md."""

import importlib.util
import re
from pathlib import Path

import pytest
from input_files import FORMATS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def matrix():
    pytest.importorskip("ase")
    path = ROOT / "benchmarks" / "input_formats.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_gives_the_same_energy_or_says_what_to_do(matrix, tmp_path, name):
    """Within 1e-6 of the interaction energy. The table: benchmarks/input_formats.py."""
    page = matrix.PAGE.read_text(encoding="utf-8")
    table = page.partition(matrix.BEGIN)[2].partition(matrix.END)[0]
    row = "| " + " | ".join((name, *matrix.try_format(name, tmp_path))) + " |"
    assert row in table
    assert len(re.findall(r"^\| (?!format|-)", table, re.MULTILINE)) == len(FORMATS)
