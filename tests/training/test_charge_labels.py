# SPDX-License-Identifier: MIT
"""Labels of charges and dipoles: read, learnt, and refused where they cannot be."""

import dataclasses

import numpy as np
import pytest
import torch
from test_electrostatics import (
    START,
    SYMBOLS,
    charged_config,
    drawn,
    frames,
    start_of,
)
from training_helpers import ethanol, fit, random_structure, short, tiny_config

pytest.importorskip("lightning")

from openmm_allegro.structure import read_structures
from openmm_allegro.training.calibration import committee_result
from openmm_allegro.training.electrostatics import electrostatics_of
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.fields import check_charges
from openmm_allegro.training.graphs import GraphTraining
from openmm_allegro.training.module import TrainingModule
from openmm_allegro.training.predict import predict
from openmm_allegro.training.resume import hash_structures
from openmm_allegro.training.samples import collate, make_samples

FRAME = """2
Properties=species:S:1:pos:R:3:{column}:R:1 energy=-5 {more} pbc="F F F"
H 0 0 0 0.25
O 0 0 1 -0.75
"""


def read(tmp_path, column="charges", more="", **options):
    path = tmp_path / "x.extxyz"
    path.write_text(FRAME.format(column=column, more=more))
    return read_structures(path, **options)[0]


def test_labels_of_charges_are_read(tmp_path):
    plain = read(tmp_path, "tags")
    assert (plain.charge, plain.dipole, plain.charges) == (0.0, None, None)
    found = read(tmp_path, more='charge=-1 dipole="0.1 0.2 0.3"')
    assert found.charge == -1.0
    np.testing.assert_allclose(found.dipole, [0.1, 0.2, 0.3])
    np.testing.assert_allclose(found.charges, [0.25, -0.75])
    named = read(*(tmp_path, "mbis", 'mu="1 2 3"'), charges_key="mbis", dipole_key="mu")
    np.testing.assert_allclose(named.charges, [0.25, -0.75])
    np.testing.assert_allclose(named.dipole, [1, 2, 3])
    bohr = read(tmp_path, more='dipole="1 2 3"', length_unit="bohr")
    np.testing.assert_allclose(bohr.dipole, 0.529177210544 * np.array([1, 2, 3]))
    # what is no such label under a usual name, and under one that was given
    odd = read(tmp_path, more='charge=unknown dipole="1 2"')
    assert np.isnan(odd.charge) and odd.dipole is None
    assert odd.unclear_charge == "charge = unknown"
    with pytest.raises(ValueError, match="expected 3 numbers as dipole, found"):
        read(tmp_path, more='dipole="1 2"', dipole_key="dipole")


@pytest.mark.parametrize(
    "names", ["charge", "Charge", "total_charge", "Total_Charge", "TOTAL_CHARGE"]
)
def test_names_of_total_charges(tmp_path, names):
    assert read(tmp_path, more=f"{names}=-2").charge == -2.0
    assert read(tmp_path, more=f"{names}=-2 charge=-2.0").charge == -2.0
    assert read(tmp_path, more="net_charges=-2 charged=T").charge == 0.0


def test_total_charges_that_differ_are_refused_by_name(tmp_path):
    """For models with charges alone: others do not read them."""
    found = read(tmp_path, more="charge=-1 total_charge=1")
    assert np.isnan(found.charge)
    with pytest.raises(ValueError, match="found charge = -1 and total_charge = 1"):
        electrostatics_of(found, "x.extxyz")
    unclear = read(tmp_path, more="charge=-1 Charge=anion")
    with pytest.raises(ValueError, match="found charge = -1 and Charge = anion"):
        electrostatics_of(unclear, "x.extxyz")
    plain = read(tmp_path)
    assert hash_structures([found]) == hash_structures([plain])
    assert hash_structures([found], charged=True) != hash_structures(
        [plain], charged=True
    )


def labelled(**labels):
    """Molecules with labels that are those of given charges."""
    made = []
    for index in range(4):
        structure = random_structure(
            *(SYMBOLS, index), energy=0.0, forces=np.zeros((6, 3)), charge=1.0
        )
        charges = np.array([0.4, -0.2, 0.1, 0.3, 0.5, -0.1])
        dipole = charges @ structure.positions
        known = {"charges": charges, "dipole": dipole}
        chosen = {name: known[name] for name, want in labels.items() if want}
        made.append(dataclasses.replace(structure, **chosen))
    return made


@pytest.mark.parametrize("label", ["charges", "dipole"])
def test_loss_of_charges_is_their_mean_square_error(label):
    structures = labelled(**{label: True})
    structures[1:] = [dataclasses.replace(s, **{label: None}) for s in structures[1:]]
    config = charged_config()
    weight = {"charges": "charge_weight", "dipole": "dipole_weight"}[label]
    start = start_of(structures, config, **{weight: 2.0})
    batch = collate(start.training, config)
    losses = []
    for settings in (short(), short(**{weight: 2.0})):
        module = TrainingModule(start.model, settings, 1)
        prediction = predict(module.energy, batch, training=True)
        losses.append(float(module.loss(batch, prediction).detach()))
    charges = prediction.charges.detach().numpy()[:6]
    if label == "charges":
        error = charges - structures[0].charges
    else:
        error = charges @ structures[0].positions - structures[0].dipole
    assert losses[1] - losses[0] == pytest.approx(2 * (error**2).mean(), rel=1e-8)


def test_charges_are_learnt_from_labels(tmp_path):
    """Those of each element, and the score knows them."""
    structures = labelled(charges=True, dipole=True)
    settings = short(
        charge_weight=10.0, energy_weight=0.0, forces_weight=1e-6, max_epochs=25
    )
    model = fit(
        *(tmp_path / "x", settings),
        model=charged_config(),
        training=structures,
        validation=structures,
    )
    metrics = evaluate(model, structures)["metrics"]
    assert metrics["charge_rmse"] < 0.1
    assert metrics["dipole_rmse"] < 0.3
    before = np.array([START[s] for s in SYMBOLS])
    before = before + (1 - before.sum()) / 6
    assert metrics["charge_rmse"] < 0.7 * np.std(before - structures[0].charges)


def test_report_of_charges():
    """Means by element, molecules, and waves that know a plane of charges."""
    rng = np.random.default_rng(0)
    water = np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])
    positions = np.concatenate([water + np.array([0, 0, 4.0]) * i for i in range(2)])
    box = np.diag([7.0, 7.5, 8.0])
    structures = [
        dataclasses.replace(
            random_structure(("O", "H", "H") * 2, 0, energy=0.0),
            positions=positions + rng.normal(size=(6, 3)) * 0.02,
            cell=box,
            periodic=np.ones(3, bool),
        )
    ]
    start = start_of(structures, charged_config("constant"))
    result = evaluate(start.model, structures)
    arrays, metrics = result["arrays"], result["metrics"]
    q = arrays["atom_charge_prediction"]
    assert q.sum() == pytest.approx(0.0, abs=1e-12)
    table = metrics["charges"]
    assert table["O"]["mean"] == pytest.approx(q[0])
    assert table["H"]["deviation"] == pytest.approx(0.0, abs=1e-12)
    molecule = metrics["molecule_charges"]["H2O"]
    assert molecule["count"] == 2
    assert molecule["mean"] == pytest.approx(0.0, abs=1e-12)
    phases = np.exp(2j * np.pi * structures[0].positions / np.diag(box))
    np.testing.assert_allclose(arrays["waves"], np.abs(q @ phases)[None], rtol=1e-9)


@pytest.mark.parametrize(
    ("model", "changes", "labels", "message"),
    [
        (tiny_config(), {"charge_weight": 1.0}, {}, r"charges = 'constant' or"),
        (charged_config(), {"charge_weight": 1.0}, {}, r"expected charges because"),
        (charged_config(), {"dipole_weight": 1.0}, {}, r"expected dipole moments bec"),
        (
            *(charged_config(), {"charge_weight": 1.0}),
            *({"charges": np.full(6, np.inf)}, "expected finite charges or"),
        ),
        (
            *(charged_config(), {"charge_weight": 1.0}),
            {"charges": np.full(6, 0.05)},  # the total of other frames is 1 e
            r"up to the total of the frame, 0 e .* found a sum of \+0\.300 e",
        ),
    ],
)
def test_weights_without_what_they_weigh_are_refused(model, changes, labels, message):
    with pytest.raises(ValueError, match=message):
        check_charges(model, short(**changes), frames(**labels))


def test_dipoles_of_boxes_are_refused():
    structures = frames(dipole=np.ones(3))
    with pytest.raises(ValueError, match="molecules alone, found one of a periodic"):
        check_charges(charged_config(), short(dipole_weight=1.0), structures)
    check_charges(charged_config(), short(), structures)


def test_graphs_of_steps_refuse_charges(tmp_path):
    settings = short(schedule="cosine")
    with pytest.raises(ValueError, match="expected a model of charges = 'none'"):
        GraphTraining(
            *(charged_config(), settings, ethanol()[:16], ethanol()[16:]),
            tmp_path / "x",
        )


@pytest.mark.parametrize("weight", [1.0, 0.0], ids=["forces", "energies alone"])
def test_fields_that_are_too_large_are_summed_in_each_step(monkeypatch, weight):
    config, structures = charged_config(), frames()
    stored = start_of(structures, config)
    monkeypatch.setattr("openmm_allegro.training.fields.LARGEST", 100)
    summed = start_of(structures, config)
    results = []
    for start in (stored, summed):
        module = TrainingModule(start.model, short(forces_weight=weight), 1)
        batch = collate(start.training, config)
        module.training_step(batch, 0).backward()
        results.append([p.grad for p in module.parameters()])
    assert not summed.training[0].electrostatics.matrices
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)
    with pytest.raises(ValueError, match="compile = true"):
        start_of(structures, config, compile=True)


def test_charges_are_given_to_a_trained_model(tmp_path):
    """Its weights stay, and energies and charges begin as the config says."""
    source = fit(tmp_path / "first", short(max_epochs=1))
    config = charged_config("learned")
    settings = short(max_epochs=1, learning_rate=1e-9)
    model = fit(tmp_path / "x", settings, model=config, start_from=source)
    charges = dict(
        zip(config.elements, model.energy.charges.start.tolist(), strict=True)
    )
    assert charges == pytest.approx(START, abs=1e-6)
    samples = make_samples(ethanol()[:2], config, torch.float32)
    found = predict(model.energy, collate(samples, config)).charges
    start = np.array([START[s] for s in ethanol()[0].symbols])
    expected = start - start.mean()
    np.testing.assert_allclose(found.detach()[: len(start)], expected, atol=1e-5)
    network = dict(source.energy.network.named_parameters())
    for name, value in model.energy.network.named_parameters():
        known = network[name]
        torch.testing.assert_close(
            value[..., : known.shape[-1]], known, atol=1e-5, rtol=0
        )
    again = fit(
        *(tmp_path / "again", settings), model=model.config, start_from=model
    ).energy.charges.start
    torch.testing.assert_close(again, model.energy.charges.start, atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="expected charges = learned as the model"):
        fit(
            tmp_path / "y", settings, model=charged_config("constant"), start_from=model
        )


def test_committee_has_the_mean_of_charges():
    structures = frames()
    results = []
    for seed in (0, 1):
        start = start_of(structures, charged_config("constant"))
        drawn(start.model.energy, seed)
        results.append(evaluate(start.model, structures))
    name = "atom_charge_prediction"
    first, second = (result["arrays"][name] for result in results)
    assert np.abs(first - second).max() > 0.01
    mean = committee_result(results, ("H", "C", "O"))
    np.testing.assert_allclose(mean["arrays"][name], (first + second) / 2)
    plain = start_of(structures, tiny_config()).model
    mixed = committee_result([results[0], evaluate(plain, structures)], "HCO")
    assert name not in mixed["arrays"] and "charges" not in mixed["metrics"]
