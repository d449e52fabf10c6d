# SPDX-License-Identifier: MIT
"""Sanitizers find nothing in the kernels, but what is left out for them to find."""

import shutil

import pytest
import torch
from gpu_grid import KINDS, MODELS, program
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
    (outcome,) = sanitize(
        in_numpy(program(model, dtype)), sanitizer, tmp_path, rows=0, products=products
    )
    assert not outcome["error"], outcome["report"]


def test_barriers_that_are_left_out_are_found(tmp_path):
    """All but those that keep apart what other barriers keep apart too."""
    numbers = in_numpy(program("two layers", torch.float32))
    whole, *others = sanitize(numbers, "thread", tmp_path, drops="all", rows=0)
    assert not whole["error"], whole["report"]
    missed = [outcome["line"] for outcome in others if not outcome["error"]]
    assert len(others) > 20 and not missed
