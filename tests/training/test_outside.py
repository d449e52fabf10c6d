# SPDX-License-Identifier: MIT
"""What a training saw, and structures that are outside of it."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from training_helpers import ethanol, liquid, tiny_model

from openmm_allegro.cli.error_tables import outside_table, worst_table
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.frames import frame_errors
from openmm_allegro.training.latents import recording
from openmm_allegro.training.outside import flags, summary
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples
from openmm_allegro.training.seen import describe_training

ELEMENTS = ("H", "C", "O")


@pytest.fixture(scope="module")
def model():
    """An untrained model that says it was trained on 16 frames of ethanol."""
    model = tiny_model()
    samples = make_samples(ethanol()[:16], model.config)
    record = describe_training(model, samples)
    model.provenance["seen"] = json.loads(json.dumps(record, allow_nan=False))
    return model


def moved(structure, positions):
    return dataclasses.replace(structure, positions=positions, source="")


def test_frames_of_the_training_are_within(model):
    arrays = evaluate(model, ethanol()[:16])["arrays"]
    assert not flags(arrays)["any"].any()
    counts = summary(arrays)
    assert counts["frames"] == counts["atoms"] == 0
    assert "forces_rmse_outside" not in counts
    row = {"atoms": 144, "frames": 16, "outside": counts}
    assert "0 of 16  0 of 144" in outside_table({"x": row})


def test_ranges_are_those_of_brute_force(model):
    """Every distance is in a range, every end of a range is near a distance."""
    distances = []
    for structure in ethanol()[:16]:
        oxygen = structure.symbols.index("O")
        r = np.linalg.norm(structure.positions - structure.positions[oxygen], axis=1)
        distances += [
            d for d, e in zip(r, structure.symbols, strict=True) if e == "H" and d < 3
        ]
    distances = np.array(distances)
    ranges = model.provenance["seen"]["distances"]["H-O"]
    assert len(ranges) > 1  # the bond, and hydrogens of the carbon atoms
    inside = np.zeros(len(distances), dtype=bool)
    for low, high in ranges:
        inside |= (distances >= low - 1e-6) & (distances <= high + 1e-6)
        for end in (low, high):
            assert np.abs(distances - end).min() < 0.011
    assert inside.all()


def test_a_compressed_frame_is_outside(model):
    frames = [ethanol()[0], moved(ethanol()[1], 0.8 * ethanol()[1].positions)]
    result = evaluate(model, frames)
    found = flags(result["arrays"])
    assert not found["any"][:9].any() and found["distance"][9:].all()
    assert found["latent"][9:].any()
    worst = next(
        row for row in frame_errors(result["arrays"], ELEMENTS) if row.atoms_outside > 0
    )
    assert worst.frame == 1 and worst.atoms_outside == 9
    assert "Å)" in worst.outside and "latent" in worst.outside
    assert "outside of training" in worst_table([worst], 1)
    counts = summary(result["arrays"])
    assert (counts["frames"], counts["atoms"], counts["by_distance"]) == (1, 9, 9)
    assert counts["forces_rmse_outside"] > counts["forces_rmse_within"]
    row = result["metrics"] | {"outside": counts}
    assert "1 of 2  9 of 18" in outside_table({"x": row})


def test_a_long_bond_is_outside_at_its_ends(model):
    """Between the bond and the next neighbours there is nothing in the training."""
    structure = ethanol()[0]
    oxygen = structure.symbols.index("O")
    vectors = structure.positions - structure.positions[oxygen]
    r = np.linalg.norm(vectors, axis=1)
    hydrogen = min(
        (i for i, e in enumerate(structure.symbols) if e == "H"), key=lambda i: r[i]
    )
    positions = structure.positions.copy()
    positions[hydrogen] += 0.25 * vectors[hydrogen] / r[hydrogen]
    arrays = evaluate(model, [moved(structure, positions)])["arrays"]
    assert arrays["atom_distance"][[oxygen, hydrogen]].min() > 0.1
    assert arrays["atom_pairs"][oxygen] == f"H-O {r[hydrogen] + 0.25:.3f}"


def test_elements_and_periodic_images_of_no_training(model):
    result = evaluate(model, liquid()[:1])
    assert summary(result["arrays"])["by_neighbors"] > 0
    record = {
        **model.provenance["seen"],
        "latent": {},
        "neighbors": {},
        "distances": {},
    }
    arrays = evaluate(model, ethanol()[:1], seen=record)["arrays"]
    assert flags(arrays)["latent"].all() and flags(arrays)["neighbors"].all()
    assert flags(arrays)["distance"].all()


def test_latents_are_invariant_and_smooth(model):
    """Rotated frames have the latents of the first, permuted ones permuted."""
    structure = ethanol()[0]
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    order = np.random.default_rng(1).permutation(9)
    frames = [
        structure,
        moved(structure, structure.positions @ rotation.T),
        dataclasses.replace(
            structure,
            symbols=tuple(structure.symbols[i] for i in order),
            positions=structure.positions[order],
            forces=structure.forces[order],
        ),
    ]
    model.energy.set_dtype(torch.float64)
    samples = make_samples(frames, model.config, torch.float64)
    with recording(model.energy) as recorder:
        batch = collate(samples, model.config)
        predict(model.energy, batch)
        latents = recorder.take(batch).reshape(3, 9, -1)
        single = collate(samples[:1], model.config)
        predict(model.energy, single)
        alone = recorder.take(single)
    model.energy.set_dtype(torch.float32)
    np.testing.assert_allclose(latents[1], latents[0], atol=1e-10)
    np.testing.assert_allclose(latents[2], latents[0][order], atol=1e-10)
    np.testing.assert_allclose(alone, latents[0], atol=1e-10)  # whatever the padding
    assert np.ptp(latents[0], axis=0).max() > 1e-3
    assert not model.energy.network._forward_hooks


def test_a_model_without_a_record_has_no_flags():
    model = tiny_model()
    model.energy.network.in_training = print
    result = evaluate(model, ethanol()[:2])
    assert model.energy.network.in_training is print
    assert "atom_distance" not in result["arrays"]
    rows = frame_errors(result["arrays"], ELEMENTS)
    assert [(row.atoms_outside, row.outside) for row in rows] == [(-1, "")] * 2
