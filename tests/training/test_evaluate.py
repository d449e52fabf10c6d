# SPDX-License-Identifier: MIT
"""Errors against sums done by hand, and the parity plot."""

import dataclasses

import numpy as np
import pytest
import torch
from training_helpers import ethanol, liquid, random_structure, tiny_model, without

from openmm_allegro.cli.error_tables import UNITS
from openmm_allegro.training.evaluate import error_metrics, evaluate
from openmm_allegro.training.parity import parity_plot
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples

ELEMENTS = ("H", "C", "O")


def hand_made():
    """Two frames of 2 and 1 atoms: types H, O and H."""
    return {
        "types": np.array([0, 2, 0]),
        "sizes": np.array([2, 1]),
        "energy_reference": np.array([-1.0, -2.0]),
        "energy_prediction": np.array([-0.997, -2.004]),
        "forces_reference": np.zeros((3, 3)),
        "forces_prediction": np.array(
            [[0.1, 0.0, -0.2], [0.0, 0.3, 0.0], [0.0, 0.0, -0.1]]
        ),
        "stress_reference": np.full((2, 3, 3), np.nan),
        "stress_prediction": np.zeros((2, 3, 3)),
    }


def test_metrics_by_hand():
    metrics = error_metrics(hand_made(), ELEMENTS)
    assert metrics == {
        "frames": 2,
        "atoms": 3,
        "energy_mae": pytest.approx(3.5),
        "energy_rmse": pytest.approx(np.sqrt((9 + 16) / 2)),
        "energy_offset": pytest.approx(-0.5),
        "energy_mae_without_offset": pytest.approx(3.5),
        "energy_rmse_without_offset": pytest.approx(3.5),
        "energy_total_mae": pytest.approx((6 + 4) / 2),
        "energy_total_rmse": pytest.approx(np.sqrt((36 + 16) / 2)),
        "forces_mae": pytest.approx(700 / 9),
        "forces_rmse": pytest.approx(1000 * np.sqrt(0.15 / 9)),
        "forces_rms": pytest.approx(0),
        "forces_mae_by_element": {
            "H": pytest.approx(400 / 6),
            "O": pytest.approx(100),
        },
        "forces_rmse_by_element": {
            "H": pytest.approx(1000 * np.sqrt(0.06 / 6)),
            "O": pytest.approx(1000 * np.sqrt(0.09 / 3)),
        },
    }


def test_metrics_leave_out_what_is_unknown():
    arrays = hand_made()
    arrays["energy_reference"][1] = np.nan
    arrays["forces_reference"][1] = np.nan
    arrays["stress_reference"][0] = np.diag([0.0, 0.0, 0.009])
    metrics = error_metrics(arrays, ELEMENTS)
    assert metrics["energy_rmse"] == metrics["energy_mae"] == pytest.approx(3.0)
    assert metrics["forces_mae"] == pytest.approx(400 / 6)
    arrays["forces_reference"][[0, 2]] = [0.3, 0.0, 0.4]
    size = error_metrics(arrays, ELEMENTS)["forces_rms"]
    assert size == pytest.approx(500 / np.sqrt(3))
    assert list(metrics["forces_mae_by_element"]) == ["H"]
    assert set(metrics) - set(UNITS) == {"frames", "atoms"}
    assert metrics["stress_mae"] == pytest.approx(1.0)
    assert metrics["stress_rmse"] == pytest.approx(3.0)
    assert metrics["stress_rmse_gpa"] == pytest.approx(0.48065, rel=1e-4)


@pytest.fixture(scope="module")
def mixed():
    """Frames of 9 and of 160 atoms, one of them with a stress."""
    structures = [
        ethanol()[0],
        liquid()[0],
        ethanol()[1],
        without(liquid()[1], "stress"),
    ]
    return structures, evaluate(tiny_model(), structures, batch_size=3)


def test_energies_are_per_atom(mixed):
    structures, result = mixed
    expected = [s.energy / len(s) for s in structures]
    np.testing.assert_allclose(result["arrays"]["energy_reference"], expected)
    model = tiny_model()
    predicted = [
        predict(model.energy, collate([sample], model.config)).energies.item()
        / len(sample.types)
        for sample in make_samples(structures, model.config)
    ]
    np.testing.assert_allclose(result["arrays"]["energy_prediction"], predicted)
    error = np.subtract(predicted, expected)
    assert result["metrics"]["energy_mae"] == pytest.approx(1000 * np.abs(error).mean())


def test_arrays_hold_each_atom_in_order(mixed):
    structures, result = mixed
    arrays = result["arrays"]
    symbols = [e for s in structures for e in s.symbols]
    assert [ELEMENTS[t] for t in arrays["types"]] == symbols
    forces = np.concatenate([s.forces for s in structures])
    np.testing.assert_allclose(arrays["forces_reference"], forces, atol=1e-6)


def test_stress_counts_only_where_it_is_known(mixed):
    structures, result = mixed
    arrays = result["arrays"]
    known = np.isfinite(arrays["stress_reference"]).all((1, 2))
    assert known.tolist() == [False, True, False, False]
    error = arrays["stress_prediction"][1] - structures[1].stress
    expected = 1000 * np.sqrt((error**2).mean())
    assert result["metrics"]["stress_rmse"] == pytest.approx(expected, rel=1e-5)


def test_without_any_stress_there_is_no_such_metric():
    metrics = evaluate(tiny_model(), ethanol()[:2])["metrics"]
    assert "stress_rmse" not in metrics and metrics["forces_rmse"] > 0


def test_errors_of_a_model_on_its_own_labels_are_zero():
    """With forces and stress from finite differences of its energy."""
    model = tiny_model("float64")
    structure = random_structure(("H", "O", "C", "H", "O"), box=4.0)

    def energy(positions, cell):
        moved = dataclasses.replace(structure, positions=positions, cell=cell)
        batch = collate(
            make_samples([moved], model.config, torch.float64), model.config
        )
        return predict(model.energy, batch).energies.item()

    h = 1e-4
    forces = np.zeros((5, 3))
    for i, k in np.ndindex(5, 3):
        step = np.zeros((5, 3))
        step[i, k] = h
        plus, minus = (
            energy(structure.positions + s * step, structure.cell) for s in (1, -1)
        )
        forces[i, k] = -(plus - minus) / (2 * h)
    stress = np.zeros((3, 3))
    for a, b in np.ndindex(3, 3):
        strain = np.zeros((3, 3))
        strain[a, b] += h / 2
        strain[b, a] += h / 2
        plus, minus = (
            energy(structure.positions @ m, structure.cell @ m)
            for m in (np.eye(3) + strain, np.eye(3) - strain)
        )
        stress[a, b] = (plus - minus) / (2 * h) / structure.volume
    labelled = dataclasses.replace(
        structure,
        energy=energy(structure.positions, structure.cell),
        forces=forces,
        stress=stress,
    )
    metrics = evaluate(model, [labelled])["metrics"]
    assert metrics["energy_rmse"] == 0
    assert metrics["forces_rmse"] < 1e-3  # meV/Å; the differences' error is h² E'''
    assert metrics["stress_rmse"] < 1e-3
    assert np.abs(forces).max() > 0.05 and np.abs(stress).max() > 1e-3


@pytest.mark.parametrize(
    ("structures", "message"),
    [
        ([], "expected at least one structure to evaluate, found none"),
        (
            [ethanol()[0], without(ethanol()[0], "energy")],
            "frame 0: expected an energy, found none",
        ),
        ([dataclasses.replace(ethanol()[0], symbols=("N",) * 9)], "found N"),
    ],
)
def test_what_cannot_be_evaluated(structures, message):
    with pytest.raises(ValueError, match=message):
        evaluate(tiny_model(), structures)


def test_parity_plot(mixed, tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    path = tmp_path / "new" / "parity.png"
    drawn = parity_plot(mixed[1]["arrays"], ELEMENTS, path, title="Test")
    assert drawn == path
    image = imread(path)
    # energies and stresses, and forces by element and by file
    assert image.shape[0] > 500 and image.shape[1] > 3000
    assert image[:, -image.shape[1] // 4 :, :3].std() > 0.05  # not blank
    without = mixed[1]["arrays"] | {
        "stress_reference": np.full_like(mixed[1]["arrays"]["stress_reference"], np.nan)
    }
    parity_plot(without, ELEMENTS, path)
    assert 2000 < imread(path).shape[1] < 3000
    assert path.stat().st_size < 1e6


def test_parity_plot_of_one_frame_and_unknown_values(tmp_path):
    pytest.importorskip("matplotlib")
    arrays = hand_made()
    arrays["energy_reference"][1] = np.nan
    arrays["forces_reference"][1] = np.nan
    path = parity_plot(arrays, ELEMENTS, tmp_path / "parity.png")
    assert path.stat().st_size > 1000
