# SPDX-License-Identifier: MIT
"""The same function as nequip-allegro: its own numbers for the same weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from openmm_allegro import Structure, load_model
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples

FOLDER = Path(__file__).parents[1] / "data" / "nequip_allegro"
REFERENCE = json.loads((FOLDER / "reference.json").read_text())


@pytest.mark.parametrize("kind", ["isolated", "triclinic"])
@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_energy_forces_and_stress_of_nequip_allegro(name, kind):
    expected = REFERENCE[name][kind]
    model = load_model(FOLDER / f"{name}.safetensors")
    structure = Structure(
        tuple(expected["symbols"]),
        np.array(expected["positions"]),
        np.array(expected["cell"]),
        np.array(expected["periodic"]),
    )
    samples = make_samples([structure], model.config, torch.float64)
    result = predict(model.energy, collate(samples, model.config))
    assert result.energies.item() == pytest.approx(expected["energy"], abs=1e-10)
    forces = np.array(expected["forces"])
    assert abs(forces).max() > 0.01  # else agreement would say nothing
    np.testing.assert_allclose(result.forces, forces, atol=1e-10)
    if kind == "triclinic":
        np.testing.assert_allclose(result.stresses[0], expected["stress"], atol=1e-12)
