# SPDX-License-Identifier: MIT
"""Inner cutoffs given to a trained model, and networks trained with them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import tiny_config, tiny_energy, tiny_statistics

from openmm_allegro import load_model, read_structures, save_model
from openmm_allegro.interop.nequip.write import builder_arguments
from openmm_allegro.kernels.training.network import use_training_network
from openmm_allegro.model.model import Model
from openmm_allegro.modelfile import read_header
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.inner import add_inner_cutoffs, inner_cutoffs

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def frames():
    return read_structures(DATA / "ethanol.extxyz")[:6]


@pytest.fixture(scope="module")
def model():
    config = tiny_config(elements=("H", "C", "O"), zbl=True)
    return Model(config, tiny_statistics(config), tiny_energy(config), dtype="float64")


def test_frames_are_predicted_as_before(model, frames, tmp_path):
    walled = add_inner_cutoffs(model, frames)
    found = walled.config.inner_cutoffs
    assert found["H-O"] == pytest.approx(closest(frames, "H", "O"), abs=1e-3)
    assert found["H-O"] < closest(frames, "H", "O")
    path = save_model(walled, tmp_path / "walled.safetensors")
    again = load_model(path)
    assert again.config == walled.config
    assert read_header(path)["format_version"] == 4
    for name, values in evaluate(model, frames)["arrays"].items():
        np.testing.assert_array_equal(evaluate(again, frames)["arrays"][name], values)
    with pytest.raises(ValueError, match="without inner cutoffs"):
        add_inner_cutoffs(walled, frames)


def closest(frames, first, second):
    """Smallest distance of two elements, Å."""
    smallest = np.inf
    for frame in frames:
        kinds = np.array(frame.symbols)
        a, b = frame.positions[kinds == first], frame.positions[kinds == second]
        distances = np.linalg.norm(a[:, None] - b, axis=-1)
        smallest = min(smallest, distances[distances > 0].min())
    return smallest


@pytest.mark.parametrize("part", [0.0, 1.2, np.nan])
def test_absurd_parts_are_refused(model, frames, part):
    with pytest.raises(ValueError, match=r"above 0\.1 and at most 1"):
        inner_cutoffs(model, frames, part)


def test_models_without_a_core_are_refused(model, frames):
    config = dataclasses.replace(model.config, zbl=False)
    plain = Model(config, model.statistics, tiny_energy(config), dtype="float64")
    with pytest.raises(ValueError, match="a model with zbl or core_rates for inner"):
        add_inner_cutoffs(plain, [])  # before the frames are looked at


@pytest.mark.parametrize("embedding", ["bessel", "spline"])
def test_the_fast_form_of_a_training_has_the_same_derivatives(embedding):
    """Of pairs within the transition, too."""
    config = tiny_config(
        elements=("H", "O"),
        zbl=True,
        radial_embedding=embedding,
        inner_cutoffs={"H-O": 1.5, "O-O": 1.9, "H-H": 1.2},
    )
    energies = [tiny_energy(config), tiny_energy(config)]
    assert use_training_network(energies[1])
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn((6, 5, 3), generator=generator, dtype=torch.float64)
    vectors *= 1.2 / vectors.norm(dim=-1, keepdim=True)
    vectors *= 1 + torch.rand((6, 5, 1), generator=generator, dtype=torch.float64)
    centers = torch.tensor([0, 1, 0, 1, 1, 0])
    neighbors = torch.randint(2, (6, 5), generator=generator)
    results = []
    for energy in energies:
        v = vectors.clone().requires_grad_(True)
        total = energy(v, centers, neighbors).sum()
        (gradient,) = torch.autograd.grad(total, v)
        results.append((total.detach(), gradient))
    torch.testing.assert_close(*results, atol=1e-10, rtol=1e-10)


def test_nequip_has_none():
    config = tiny_config(zbl=True, inner_cutoffs={"H-O": 1.5})
    model = Model(config, tiny_statistics(config), tiny_energy(config))
    with pytest.raises(ValueError, match="export: expected a model without inner_cut"):
        builder_arguments(model)
