# SPDX-License-Identifier: MIT
"""What a record says of models: their files', and that of the card beside them."""

import json
from types import SimpleNamespace

from openmm_allegro.model import AllegroConfig
from openmm_allegro.potential.description import about_model, about_models

CARD = """\
title = "Salt"
file = "salt.safetensors"
level_of_theory = "PBE"
domain = "liquid"
licence = "CC0"
source = "doi:10.0000/data"
metrics = "metrics.json"
fails = "far away"
checked = "density"
"""
MODEL = SimpleNamespace(
    config=AllegroConfig(
        ("Na",), 4.5, num_layers=1, num_scalar_features=16, num_tensor_features=8
    ),
    kind="delta",
    provenance={"training_structures": 7},
)
KNOWN = {
    "cutoff_angstrom": 4.5,
    "kind": "delta",
    "training_structures": 7,
    "architecture": "l_max 2, 1 layer, 16 scalar and 8 tensor features",
}


def test_a_card_beside_the_file_tells_the_level_of_theory(tmp_path):
    (tmp_path / "any.card.toml").write_text(CARD)
    (tmp_path / "broken.card.toml").write_text("title = 1")
    told = {"title": "Salt", "level_of_theory": "PBE", "source": "doi:10.0000/data"}
    told |= {"checked": "density", "fails": "far away"}
    assert about_model(MODEL, str(tmp_path / "salt.safetensors")) == KNOWN | told
    metrics = {"forces_rmse": 53.24, "forces_rms": 660.0, "energy_rmse": 0.339}
    metrics |= {"frames": 20, "atoms": 8320, "energy_total_rmse": 141.065}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    words = about_model(MODEL, str(tmp_path / "salt.safetensors"))["errors"]
    assert words.startswith("forces 53.2 meV/Å, 8.07 % of their root mean square, 660 ")
    # kT is 25.85 meV at 300 K, and √(3 · 416 / 2) is 25
    assert "416 atoms, 141 meV, 5.46 kT at 300 K" in words
    assert words.endswith("fluctuate by 25 kT")
    assert about_model(MODEL, str(tmp_path / "other.safetensors")) == KNOWN
    assert about_model(MODEL, None) == KNOWN


def test_a_model_of_ones_own_tells_its_training_and_its_errors(tmp_path):
    trained = {
        "train": {
            "optimizer": "muon",
            "learning_rate": 0.005,
            "batch_size": 2,
            "energy_weight": 1.0,
            "forces_weight": 10.0,
        },
        "step": 400,
        "test_files": {"test.extxyz": "00"},
        # of labels less a core
        "validation": {"frames": 12, "forces_rmse": 87.5, "forces_rms": 99.0},
    }
    model = SimpleNamespace(**vars(MODEL) | {"provenance": trained})
    file = tmp_path / "model.safetensors"
    about = about_model(model, str(file))
    assert about["training"] == (
        "Muon with a learning rate of 0.005, 400 steps of 2 frames, weights of the "
        "loss: energy 1, forces 10"
    )
    validated = "forces 87.5 meV/Å; of 12 validation frames, which chose the epoch"
    assert about["errors"] == validated
    metrics = {"forces_rmse": 88.5, "forces_rms": 817.0, "frames": 80, "atoms": 15360}
    (tmp_path / "test.json").write_text(json.dumps(metrics))
    errors = about_model(model, str(file))["errors"]
    assert errors.startswith("forces 88.5 meV/Å, 10.8 %") and "80 test frames" in errors
    (tmp_path / "test.json").write_text("[]")
    assert about_model(model, str(file))["errors"] == validated


def test_a_record_has_models_and_link_atoms_where_there_are_some():
    force = {"about": [KNOWN], "caps": [[3, 9, 0.7]]}
    found = {"model_about": [KNOWN], "link_atoms": [[3, 9]]}
    assert about_models([force]) == json.loads(json.dumps(found))
    assert about_models([{"caps": []}]) == {}  # as of an earlier version


def test_a_model_of_nequip_names_its_checkpoint_also_after_a_fine_tuning():
    of_nequip = {
        "imported_from": "best.ckpt",
        "imported_sha256": "abc",
        "imported_with": {"nequip": "0.19.1"},
    }
    told = {"file": "best.ckpt", "sha256": "abc", "with": {"nequip": "0.19.1"}}
    for tuned, provenance in ((False, of_nequip), (True, {"started_from": of_nequip})):
        model = SimpleNamespace(
            config=MODEL.config, kind="total", provenance=provenance
        )
        assert about_model(model, None)["imported"] == told | {"fine_tuned": tuned}
