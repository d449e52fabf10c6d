# SPDX-License-Identifier: MIT
"""Labels that some frames or directions lack count nowhere, and weights count."""

import dataclasses
import logging

import numpy as np
import pytest
import torch
from training_helpers import (
    ethanol,
    fit,
    liquid,
    random_structure,
    read_log,
    short,
    tiny_config,
    tiny_model,
)

from openmm_allegro.structure import Structure
from openmm_allegro.training.config import LossWeights
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.loss import batch_loss
from openmm_allegro.training.predict import Prediction, predict
from openmm_allegro.training.samples import collate, make_samples
from openmm_allegro.training.start import check_stresses

CELL = np.array([[6.0, 0.0, 0.0], [1.0, 7.0, 0.0], [0.0, 0.0, 30.0]])


def slab(periodic=(True, True, False), cell=CELL, seed=0):
    """Atoms in the middle of a cell with vacuum, without labels."""
    atoms = random_structure(("H", "O", "C", "H"), seed)
    return dataclasses.replace(
        atoms,
        positions=atoms.positions + np.array([0, 0, 10.0]),
        cell=np.array(cell),
        periodic=np.array(periodic),
    )


def strain_derivative(model, structure, step=1e-5):
    """(1/V) dE/dε by finite differences, in double precision."""

    def energy(strain):
        deformation = np.eye(3) + strain
        moved = dataclasses.replace(
            structure,
            positions=structure.positions @ deformation,
            cell=structure.cell @ deformation,
        )
        samples = make_samples([moved], model.config, torch.float64)
        return predict(model.energy, collate(samples, model.config)).energies.item()

    stress = np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            strain = np.zeros((3, 3))
            strain[a, b] += step / 2
            strain[b, a] += step / 2
            stress[a, b] = (energy(strain) - energy(-strain)) / (2 * step)
    return stress / structure.volume


def labelled(model, structure):
    """The structure with the model's own labels."""
    sample = make_samples([structure], model.config, torch.float64)
    result = predict(model.energy, collate(sample, model.config))
    return dataclasses.replace(
        structure,
        energy=result.energies.item(),
        forces=result.forces.numpy(),
        stress=strain_derivative(model, structure),
    )


@pytest.mark.parametrize(
    ("periodic", "known"),
    [((1, 1, 1), (0, 1, 2)), ((1, 1, 0), (0, 1)), ((1, 0, 0), (0,)), ((0, 0, 1), (2,))],
)
def test_stress_is_that_of_the_periodic_directions(periodic, known):
    """For the volume of the whole cell; other components are not compared."""
    model = tiny_model("float64")
    right = labelled(model, slab(np.array(periodic, dtype=bool)))
    wrong = right.stress.copy()
    for axis in set(range(3)) - set(known):
        wrong[axis, :] = wrong[:, axis] = 7.0  # what is across the slab is ignored
    right = dataclasses.replace(right, stress=wrong)
    result = evaluate(model, [right])
    reference = result["arrays"]["stress_reference"][0]
    expected = np.zeros((3, 3), dtype=bool)
    expected[np.ix_(known, known)] = True
    np.testing.assert_array_equal(np.isfinite(reference), expected)
    assert result["metrics"]["stress_rmse"] < 1e-5
    off = dataclasses.replace(right, stress=right.stress + 1e-3)
    assert evaluate(model, [off])["metrics"]["stress_rmse"] == pytest.approx(1, 1e-3)


@pytest.mark.parametrize(
    "structure",
    [
        slab((False, False, False)),
        slab(cell=np.diag([6.0, 7.0, 0.0])),  # a plane without a volume
        slab(cell=np.array([[6.0, 0, 2.0], [0, 7.0, 0], [0, 0, 30.0]])),  # tilted
        slab((False, False, False), np.zeros((3, 3))),
    ],
)
def test_stress_that_there_is_not_is_left_out_and_said(structure, caplog):
    model = tiny_model("float64")
    structure = dataclasses.replace(
        structure, energy=-5.0, forces=np.zeros((4, 3)), stress=np.eye(3)
    )
    with caplog.at_level(logging.INFO):
        result = evaluate(model, [structure])
    assert "stress_rmse" not in result["metrics"]
    assert np.isnan(result["arrays"]["stress_prediction"]).all()
    assert "stresses of 1 of 1 structures are left out" in caplog.text
    with pytest.raises(
        ValueError, match=r"found none but in 1 structures that have no"
    ):
        check_stresses(short(stress_weight=1.0), [structure], [structure])


def test_training_on_stress_ignores_frames_without_one(tmp_path):
    """Labels in vacuum would be compared with zero and drive the loss."""
    model = tiny_model("float64")
    right = [labelled(model, slab(seed=i)) for i in range(2)]
    vacuum = dataclasses.replace(ethanol()[0], stress=np.full((3, 3), 1e3))
    settings = short(max_epochs=1, batch_size=2, stress_weight=1.0)
    for name, frames in (
        ("wrong", [*right, vacuum]),
        ("none", [*right, ethanol()[0]]),
    ):
        fit(tmp_path / name, settings, training=frames, validation=frames)
    rows = [read_log(tmp_path / name) for name in ("wrong", "none")]
    assert rows[0][0]["loss"] == rows[1][0]["loss"]
    assert rows[0][0]["validation_score"] == rows[1][0]["validation_score"]
    assert rows[0][0]["stress_rmse"] == rows[1][0]["stress_rmse"]


def test_a_set_with_some_stresses_says_so(caplog):
    with caplog.at_level(logging.INFO):
        make_samples([*ethanol()[:3], *liquid()[:2]], tiny_config())
    assert "2 of 5 structures have a stress" in caplog.text


def test_predictions_without_a_label_are_no_zeros():
    model = tiny_model()
    arrays = evaluate(model, [ethanol()[0], liquid()[0]])["arrays"]
    assert np.isnan(arrays["stress_prediction"][0]).all()
    assert np.isfinite(arrays["stress_prediction"][1]).all()
    unlabelled = dataclasses.replace(liquid()[0], stress=None)
    arrays = evaluate(model, [unlabelled])["arrays"]
    assert np.isnan(arrays["stress_prediction"]).all()


def weighted(structure: Structure, *weights: float) -> Structure:
    return dataclasses.replace(structure, weights=weights)


@pytest.mark.parametrize("forces_loss", ["mse", "l2mae", "huber"])
def test_weights_of_frames_multiply_their_errors(forces_loss):
    """Σ_n w_n e_n / N, as MACE has it."""
    config, settings = tiny_config(), short(forces_loss=forces_loss)
    frames, weights = [liquid()[0], ethanol()[0]], [(2.0, 0.5, 3.0), (0.25, 1.5, 1.0)]
    pairs = zip(frames, weights, strict=True)
    both, *alone = (
        collate(make_samples(part, config, torch.float64), config)
        for part in ([weighted(s, *w) for s, w in pairs], frames[:1], frames[1:])
    )

    def loss(batch, name):
        wrong = Prediction(
            batch.energies + batch.sizes.double() ** 1.5,
            1.1 * batch.forces,
            torch.zeros_like(batch.stresses),
        )
        unit = LossWeights(*(float(name == other) for other in LossWeights._fields))
        return batch_loss(batch, wrong, unit, settings).item()

    # of the frames in a mean over frames, atoms, and the one frame with a stress
    shares = {"energy": (0.5, 0.5), "forces": (160 / 169, 9 / 169), "stress": (1, 0)}
    for index, name in enumerate(LossWeights._fields):
        terms = zip(weights, alone, shares[name], strict=True)
        expected = sum(
            w[index] * share * loss(batch, name) for w, batch, share in terms
        )
        assert expected > 0 and loss(both, name) == pytest.approx(expected)


def test_frames_of_weight_zero_are_as_if_absent(tmp_path):
    """In the loss, the score and the statistics, but for the number of frames."""
    wild = dataclasses.replace(
        ethanol()[1], energy=1e5, forces=ethanol()[1].forces * 1e3
    )
    settings = short(max_epochs=1, batch_size=4)
    frames = [*ethanol()[:3], weighted(wild, 0, 0, 0)]
    trained = fit(tmp_path / "run", settings, training=frames, validation=frames)
    row = read_log(tmp_path / "run")[0]
    assert row["loss"] < 100 and row["validation_score"] < 100 < row["forces_rmse"]
    alone = fit(
        tmp_path / "alone",
        settings,
        training=frames[:3],
        validation=frames[:3],
    )
    assert trained.statistics.shifts == pytest.approx(alone.statistics.shifts, 1e-9)
    assert trained.statistics.scales == alone.statistics.scales
    assert 4 * row["loss"] == pytest.approx(3 * read_log(tmp_path / "alone")[0]["loss"])


def test_weights_that_are_all_zero(tmp_path):
    frames = [weighted(s, 0, 0, 0) for s in ethanol()[:4]]
    with pytest.raises(ValueError, match=r"weight above 0.*use_weights = false"):
        fit(tmp_path, short(), training=frames)


def test_the_message_counts_what_is_missing(tmp_path):
    frames = [*ethanol()[:3], dataclasses.replace(ethanol()[3], energy=None)]
    with pytest.raises(ValueError, match=r"found none; of 4 structures 3 have one"):
        fit(tmp_path, short(), training=frames)
