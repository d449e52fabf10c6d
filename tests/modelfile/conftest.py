# SPDX-License-Identifier: MIT
"""A good model file, and what makes others of it."""

import functools

import pytest
from model_files import rewrite

from openmm_allegro import save_model


@pytest.fixture(scope="session")
def content(tmp_path_factory):
    """Bytes of a tiny model's file."""
    from training_helpers import tiny_model  # not where torch is missing

    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    return save_model(tiny_model(), path).read_bytes()


@pytest.fixture
def rewritten(content, tmp_path):
    """Write the file with changes, see ``model_files.rewrite``."""
    return functools.partial(rewrite, tmp_path / "model.safetensors", content)
