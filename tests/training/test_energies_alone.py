# SPDX-License-Identifier: MIT
"""Sets without forces, or with those of some frames: read, trained on, evaluated."""

import dataclasses
import logging

import numpy as np
import pytest
import torch
from training_helpers import (
    ethanol,
    fit,
    read_log,
    short,
    tiny_config,
    tiny_model,
    without,
)

from openmm_allegro.cli.error_tables import error_table, file_rows
from openmm_allegro.structure import read_structures
from openmm_allegro.training import train as train_module
from openmm_allegro.training.data import check_labels
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.samples import make_samples
from openmm_allegro.training.statistics import statistics

BARE = tuple(without(s, "forces") for s in ethanol())
MOLECULE = """3
Properties=species:S:1:pos:R:3{column} U0=-76.4 pbc="F F F"
O 0.0 0.0 0.0{force}
H 0.0 0.8 0.6{force}
H 0.0 -0.8 0.6{force}
"""
PLAIN = MOLECULE.format(column="", force="")
WITH_FORCES = MOLECULE.format(column=":forces:R:3", force=" 0.1 0.2 0.3")


def test_a_file_without_forces_says_so(tmp_path, caplog):
    path = tmp_path / "molecules.extxyz"
    path.write_text(2 * PLAIN)
    labels = {"energy_key": "U0", "energy_unit": "hartree"}
    with caplog.at_level(logging.INFO):
        frames = read_structures(path, **labels)
    assert [s.forces for s in frames] == [None, None]
    assert frames[0].energy == pytest.approx(-76.4 * 27.211386, abs=1e-3)
    assert "no frame has forces" in caplog.text
    assert "columns are ['numbers', 'positions']" in caplog.text
    with pytest.raises(ValueError, match=r"because forces_key = 'f', found none in 2 "):
        read_structures(path, forces_key="f", **labels)
    path.write_text(PLAIN + WITH_FORCES)
    read_structures(path, **labels)
    assert "of 2 frames 2 have an energy, 1 forces and 0 a stress" in caplog.text


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder and model of a training on energies alone."""
    folder = tmp_path_factory.mktemp("energies") / "run"
    settings = short(forces_weight=0.0, max_epochs=8)
    model = fit(folder, settings, training=BARE[:16], validation=BARE[16:])
    return folder, model


def test_training_on_energies_alone(trained):
    rows = read_log(trained[0])
    assert rows[-1]["energy_rmse"] < rows[0]["energy_rmse"]
    for row in rows:  # the score is the mean square, of eV where the log has meV
        expected = (row["energy_rmse"] / 1000) ** 2
        assert row["validation_score"] == pytest.approx(expected, rel=1e-3)
        assert np.isnan(row["forces_rmse"]) and np.isnan(row["forces_mae"])
    assert "forces_rmse" not in trained[1].provenance["validation"]


def test_no_derivative_by_positions_is_computed(tmp_path, monkeypatch):
    grad = torch.autograd.grad

    def by_weights(outputs, inputs, *arguments, **options):
        assert not torch.is_tensor(inputs), "a derivative by positions"
        return grad(outputs, inputs, *arguments, **options)

    def fit_without(*arguments, **options):
        monkeypatch.setattr(torch.autograd, "grad", by_weights)
        original(*arguments, **options)

    original = train_module.fit  # once the network is ready, which takes derivatives
    monkeypatch.setattr(train_module, "fit", fit_without)
    settings = short(forces_weight=0.0, max_epochs=1)
    fit(tmp_path / "run", settings, training=BARE[:16], validation=BARE[16:])


def test_forces_with_a_weight_are_needed_somewhere(tmp_path, caplog):
    message = (
        r"training: expected forces because their weight is 1, found none in 16 "
        r"structures; forces_weight = 0 trains on energies alone"
    )
    with pytest.raises(ValueError, match=message):
        fit(tmp_path / "run", short(), training=BARE[:16])
    late = short(forces_weight=0.0, late_epoch=1, late_weights=(1.0, 3.0, 0.0))
    with pytest.raises(ValueError, match=r"because their weight is 3"):
        check_labels("training", BARE, late)
    with pytest.raises(ValueError, match=r"validation: expected forces"):
        fit(tmp_path / "run", short(), validation=BARE[16:])
    assert not (tmp_path / "run").exists()
    mixed = [*ethanol()[:3], *BARE[3:8]]
    with caplog.at_level(logging.INFO):
        fit(tmp_path / "run", short(max_epochs=1), training=mixed)
    assert "3 of 8 structures have forces" in caplog.text


def test_frames_without_forces_count_for_energies(tmp_path):
    """The score is that of energies of all frames and forces of some."""
    frames = [*ethanol()[16:18], *BARE[18:20]]
    for name, validation in (
        ("mixed", frames),
        ("forces", ethanol()[16:18]),
        ("energies", BARE[16:20]),
    ):
        standing = {"learning_rate": 1e-12, "max_epochs": 1, "ema_decay": 0.0}
        weights = {"energy_weight": 0.0} if name == "forces" else {}
        weights |= {"forces_weight": 0.0} if name == "energies" else {}
        fit(tmp_path / name, short(**standing, **weights), validation=validation)
    score = {
        name: read_log(tmp_path / name)[0]["validation_score"]
        for name in ("mixed", "forces", "energies")
    }
    assert score["mixed"] == pytest.approx(score["forces"] + score["energies"], 1e-5)


def test_scale_without_forces_is_the_spread_of_energies_per_atom():
    config = tiny_config()
    numbers = statistics(make_samples(BARE, config), config)
    energies = np.array([s.energy for s in BARE]) / 9  # of one composition
    assert numbers.scales == pytest.approx((energies.std(),) * 3, rel=1e-6)
    some = statistics(make_samples([ethanol()[0], *BARE[1:]], config), config)
    force = np.sqrt((ethanol()[0].forces ** 2).mean())
    assert some.scales == pytest.approx((force,) * 3, rel=1e-6)
    one = statistics(make_samples(BARE[:1], config), config)
    assert one.scales == (1.0,) * 3


def test_evaluation_without_forces(tmp_path):
    pytest.importorskip("matplotlib")
    from openmm_allegro.training.parity import parity_plot

    model = tiny_model()
    bare, whole = evaluate(model, BARE[:4]), evaluate(model, ethanol()[:4])
    for key in ("energy_mae", "energy_rmse"):
        assert bare["metrics"][key] == whole["metrics"][key]
    assert "forces_rmse" not in bare["metrics"]
    assert np.isnan(bare["arrays"]["forces_prediction"]).all()
    printed = error_table(file_rows(bare["metrics"], bare["files"]))
    assert "energy" in printed and "forces" not in printed
    assert parity_plot(bare["arrays"], ("H", "C", "O"), tmp_path / "p.png").exists()
    mixed = evaluate(model, [*BARE[:2], *ethanol()[2:4]])
    alone = evaluate(model, ethanol()[2:4])
    assert mixed["metrics"]["forces_rmse"] == pytest.approx(
        alone["metrics"]["forces_rmse"]
    )


def test_a_primitive_cell_of_one_atom_needs_no_forces():
    crystal = dataclasses.replace(
        BARE[0],
        symbols=("C",),
        positions=np.zeros((1, 3)),
        cell=2.5 * np.eye(3),
        periodic=np.ones(3, dtype=bool),
    )
    model = tiny_model()
    assert evaluate(model, [crystal])["metrics"]["energy_rmse"] > 0
