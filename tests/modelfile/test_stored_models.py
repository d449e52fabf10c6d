# SPDX-License-Identifier: MIT
"""Models that tests read where there is no torch are those that it makes."""

import runpy

import pytest
from helpers import STORED

from openmm_allegro import load_model
from openmm_allegro.kernels.inference.folded import known_program
from openmm_allegro.model.model import digest

MODELS = runpy.run_path(str(STORED / "make.py"))["MODELS"]


@pytest.mark.parametrize("name", MODELS)
def test_stored_model_is_current(name):
    """If not: PYTHONPATH=tests python tests/data/models/make.py."""
    pytest.importorskip("torch")
    stored = load_model(STORED / f"{name}.safetensors")
    assert digest(stored) == digest(MODELS[name]())
    for precision in ("mixed", "double"):
        assert known_program(stored, precision) is not None
