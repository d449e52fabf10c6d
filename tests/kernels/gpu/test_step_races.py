# SPDX-License-Identifier: MIT
"""Sanitizers find nothing in the pair list and in charges, but what is left out."""

import shutil

import pytest
import torch
from gpu_step_races import FIELD, step_outcomes
from helpers import CHARGED, tiny_config, tiny_energy
from kernel_helpers import in_numpy

from openmm_allegro.kernels.inference.fold import fold

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs the runtimes of g++"),
]


@pytest.mark.parametrize("sanitizer", ["thread", "address"])
def test_steps_under_sanitizers(sanitizer, tmp_path):
    program = in_numpy(fold(tiny_energy(tiny_config()), torch.float32))
    drops = 8 if sanitizer == "thread" else 0
    as_they_are, *others = step_outcomes(program, sanitizer, tmp_path, drops)
    assert not as_they_are
    assert all(others)


@pytest.mark.parametrize("sanitizer", ["thread", "address"])
def test_charges_under_sanitizers(sanitizer, tmp_path):
    """Some barriers are needed only where a group has several parts of the work."""
    program = in_numpy(fold(tiny_energy(tiny_config(**CHARGED)), torch.float32))
    drops = 8 if sanitizer == "thread" else 0
    as_they_are, *others = step_outcomes(program, sanitizer, tmp_path, drops, FIELD)
    assert not as_they_are
    assert sum(others) >= 0.5 * len(others)
