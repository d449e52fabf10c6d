# SPDX-License-Identifier: MIT
"""Sanitizers find nothing in the kernels, but what is left out for them to find."""

import shutil

import pytest
from gpu_grid import KINDS, MODELS, emitted, program
from gpu_races import sanitize
from kernel_helpers import in_numpy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs the runtimes of g++"),
]


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_found(model, kind, sanitizer, tmp_path):
    dtype, products = KINDS[kind]
    numbers = in_numpy(program(model, dtype))
    (outcome,) = sanitize(numbers, sanitizer, tmp_path, rows=16, products=products)
    assert not outcome["error"], outcome["report"]


@pytest.mark.parametrize("kind", ["single", "tf32"])
def test_each_barrier_that_is_left_out_is_found(kind, tmp_path):
    """All of groups of centres, and of wide ones most: their threads share few rows."""
    dtype, products = KINDS[kind]
    numbers = in_numpy(program("two layers", dtype))
    whole, *others = sanitize(
        numbers, "thread", tmp_path, drops="all", rows=16, products=products
    )
    assert not whole["error"], whole["report"]
    lines = emitted("two layers", kind, 16).source.splitlines()
    wide = next(n for n, line in enumerate(lines) if "void wide(" in line)
    end = lines.index("}", wide)
    packed = [outcome["error"] for outcome in others if outcome["line"] > end]
    assert len(packed) > 40 and all(packed)
    rest = [outcome["error"] for outcome in others if outcome["line"] < end]
    assert sum(rest) > 0.5 * len(rest)
