# SPDX-License-Identifier: MIT
"""Closed forms of the losses and their derivatives; weights of elements and files."""

import dataclasses

import numpy as np
import pytest
import torch
from training_helpers import ethanol, fit, liquid, read_log, short, tiny_config

from openmm_allegro.training.config import DataConfig, LossWeights
from openmm_allegro.training.data import read_data
from openmm_allegro.training.loss import batch_loss, force_loss, huber
from openmm_allegro.training.predict import Prediction
from openmm_allegro.training.samples import collate, join_fields, make_samples

ENERGY, FORCES = LossWeights(1, 0, 0), LossWeights(0, 1, 0)
DELTA = 0.3


def batch_of(*frames, **options):
    config = tiny_config()
    return collate(make_samples(frames, config, torch.float64, **options), config)


def wrong(batch, energy=0.0, forces=0.0):
    """Predictions that are off by as much."""
    return Prediction(
        batch.energies + energy, batch.forces + forces, torch.zeros_like(batch.stresses)
    )


@pytest.mark.parametrize("error", [0.0, 0.1, 0.2999, 0.3001, 2.0, -2.0])
def test_huber_is_a_parabola_and_a_line(error):
    x = torch.tensor(error, dtype=torch.float64, requires_grad=True)
    value = huber(x.square(), DELTA)
    expected = torch.nn.functional.huber_loss(x, torch.zeros_like(x), delta=DELTA)
    assert value.item() == pytest.approx(expected.item(), abs=1e-15)
    (slope,) = torch.autograd.grad(value, x)
    assert slope.item() == pytest.approx(np.clip(error, -DELTA, DELTA), abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "measure"),
    [
        ("mse", lambda e: (e**2).mean()),
        ("l2mae", lambda e: np.linalg.norm(e, axis=1).mean()),
        (
            "huber",
            lambda e: np.mean(
                [
                    r**2 / 2 if r < DELTA else DELTA * (r - DELTA / 2)
                    for r in np.linalg.norm(e, axis=1)
                ]
            ),
        ),
    ],
)
def test_errors_of_forces_in_closed_form(kind, measure):
    """And their derivatives, by central differences; Huber's on either side of δ."""
    errors = np.random.default_rng(0).normal(0.0, 0.2, (7, 3))
    lengths = np.linalg.norm(errors, axis=1)
    assert lengths.min() < DELTA < lengths.max()
    settings = short(forces_loss=kind, huber_delta=DELTA)
    zero = torch.zeros((7, 3), dtype=torch.float64)

    def loss(values):
        return force_loss(torch.tensor(values), zero, 1.0, settings).item()

    assert loss(errors) == pytest.approx(measure(errors), rel=2e-3)
    x = torch.tensor(errors, requires_grad=True)
    force_loss(x, zero, 1.0, settings).backward()
    step = np.zeros((7, 3))
    for i, k in np.ndindex(7, 3):
        step[i, k] = 1e-6
        slope = (loss(errors + step) - loss(errors - step)) / 2e-6
        assert x.grad[i, k].item() == pytest.approx(slope, abs=1e-7)
        step[i, k] = 0.0


def test_huber_of_forces_turns_with_the_atoms():
    """Of the length of an error, not of its components."""
    errors = torch.tensor(np.random.default_rng(1).normal(0, 0.2, (5, 3)))
    turn, _ = torch.linalg.qr(
        torch.tensor(np.random.default_rng(2).normal(size=(3, 3)))
    )
    settings, zero = short(forces_loss="huber", huber_delta=DELTA), 0 * errors
    turned = force_loss(errors @ turn, zero, 1.0, settings)
    assert turned.item() == pytest.approx(
        force_loss(errors, zero, 1.0, settings).item(), rel=1e-12
    )


def test_errors_of_energies_per_atom_and_per_structure():
    batch = batch_of(ethanol()[0], liquid()[0])
    off = torch.tensor([0.9, 16.0], dtype=torch.float64)
    sizes = np.array([9, 160])
    for per_atom in (True, False):
        error = off.numpy() / (sizes if per_atom else 1)
        plain = short(energy_per_atom=per_atom)
        value = batch_loss(batch, wrong(batch, off), ENERGY, plain).item()
        assert value == pytest.approx((error**2).mean())
        settings = dataclasses.replace(plain, energy_loss="huber", huber_delta=0.2)
        value = batch_loss(batch, wrong(batch, off), ENERGY, settings).item()
        expected = [e**2 / 2 if e < 0.2 else 0.2 * (e - 0.1) for e in error]
        assert value == pytest.approx(np.mean(expected))


def test_weights_of_elements_multiply_force_errors():
    """Ethanol's mean of squares over 27 components, those of H counted half."""
    batch = batch_of(ethanol()[0], element_weights={"H": 0.5, "O": 3.0})
    factors = np.array([{"H": 0.5, "O": 3.0}.get(e, 1.0) for e in ethanol()[0].symbols])
    errors = np.random.default_rng(3).normal(size=(9, 3))
    off = wrong(batch, forces=torch.tensor(errors))
    value = batch_loss(batch, off, FORCES, short()).item()
    assert value == pytest.approx((factors[:, None] * errors**2).sum() / 27)
    value = batch_loss(batch, off, FORCES, short(forces_loss="l2mae")).item()
    lengths = np.linalg.norm(errors, axis=1)
    assert value == pytest.approx((factors * lengths).sum() / 9, rel=1e-3)
    weighed = dataclasses.replace(ethanol()[0], weights=(1.0, 0.25, 1.0))
    both = batch_of(weighed, element_weights={"H": 0.5, "O": 3.0})
    np.testing.assert_allclose(both.force_weights[:, 0], 0.25 * factors)


def test_weights_of_elements_in_a_training(tmp_path, traced):
    """The plain and the traced step take them; so does the score."""
    settings = short(max_epochs=1, learning_rate=1e-12, ema_decay=0.0)
    half = {"element_weights": {"H": 0.5, "C": 0.5, "O": 0.5}, "energy_weight": 0.0}
    for name, changes in (
        ("one", {"energy_weight": 0.0}),
        ("half", half),
        ("traced", half | {"compile": True}),
    ):
        fit(tmp_path / name, dataclasses.replace(settings, **changes))
    one, *halves = (read_log(tmp_path / n)[0] for n in ("one", "half", "traced"))
    for row in halves:
        for column in ("loss", "validation_score"):
            assert 2 * row[column] == pytest.approx(one[column], rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"element_weights": {"N": 2.0}},
            r"expected element_weights of the model's elements H, C, O, found N",
        ),
        (
            {"element_weights": dict.fromkeys("HCO", 0.0), "energy_weight": 0.0},
            r"weight above 0 .*element_weights",
        ),
    ],
)
def test_weights_that_cannot_be(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        fit(tmp_path / "run", short(**changes))
    assert not (tmp_path / "run").exists()


def test_negative_weights_and_a_delta_of_zero():
    with pytest.raises(ValueError, match="element_weights of at least 0"):
        short(element_weights={"H": -1.0})
    with pytest.raises(ValueError, match="huber_delta above 0"):
        short(huber_delta=0.0)


FRAME = """2
Properties=species:S:1:pos:R:3:forces:R:3 energy=-5{more} pbc="F F F"
H 0 0 0 0.1 0.2 0.3
O 0 0 1 -0.1 -0.2 -0.3
"""


def test_weights_of_files_multiply_those_of_frames(tmp_path):
    (tmp_path / "a.extxyz").write_text(FRAME.format(more=" config_weight=3"))
    (tmp_path / "b.extxyz").write_text(FRAME.format(more=""))
    (tmp_path / "v.extxyz").write_text(FRAME.format(more=""))
    weights = {"a.extxyz": 2.0, "v.extxyz": 0.5}
    config = DataConfig(("a.extxyz", "b.extxyz"), ("v.extxyz",), file_weights=weights)
    training, validation, record = read_data(config, tmp_path)
    assert [s.weights for s in training] == [(6, 6, 6), (1, 1, 1)]
    assert validation[0].weights == (0.5, 0.5, 0.5)
    assert record["file_weights"] == weights
    fields = join_fields(make_samples(training, tiny_config(), torch.float64))
    np.testing.assert_array_equal(fields["force_weights"][:, 0], [6, 6, 1, 1])
    with pytest.raises(
        ValueError,
        match=r"file_weights of files in training or validation \(a, v\), found b, c",
    ):
        DataConfig(("a",), ("v",), file_weights={"b": 1.0, "v": 2.0, "c": 1.0})
