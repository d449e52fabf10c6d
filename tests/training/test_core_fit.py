# SPDX-License-Identifier: MIT
"""A pair core: fitted to forces, subtracted from labels, a wall without any data."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import as_structure, close, random_atoms, tiny_config, tiny_statistics
from safetensors import safe_open

from openmm_allegro import Model, load_model, save_model
from openmm_allegro.kernels.inference.folded import known_program
from openmm_allegro.model import AllegroEnergy
from openmm_allegro.model.energy import make_terms
from openmm_allegro.structure import Structure, read_structures
from openmm_allegro.training.config import TrainConfig
from openmm_allegro.training.core_fit import find_kinds, fit_terms
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples
from openmm_allegro.training.terms import subtract_terms
from openmm_allegro.training.train import train

ETHANOL = Path(__file__).resolve().parents[1] / "data" / "ethanol.extxyz"
CORE = {"zbl": True, "core_rates": (0.5, 1.0, 2.0, 3.0, 4.0, 6.0)}
DEPTH, STEEPNESS, BOND = 4.5, 2.0, 1.1  # eV, 1/Å, Å, of a Morse curve
DTYPE = torch.float64


def morse(r):
    """Energy (eV) and its derivative by r (eV/Å)."""
    decay = np.exp(-STEEPNESS * (r - BOND))
    return DEPTH * (1 - decay) ** 2, 2 * DEPTH * STEEPNESS * decay * (1 - decay)


def dimer(r, elements=("C", "H")):
    """Two atoms with Morse's energy and forces."""
    energy, slope = morse(r)
    forces = np.zeros((2, 3))
    forces[:, 0] = slope, -slope
    positions = np.array([[0.0, 0.0, 0.0], [r, 0.0, 0.0]])
    labels = {"energy": float(energy), "forces": forces}
    return Structure(elements, positions, np.zeros((3, 3)), np.zeros(3, bool), **labels)


def fitted(structures, config):
    """Terms of an energy, fitted to structures."""
    terms = make_terms(config)
    samples = make_samples(structures, config, DTYPE)
    fit_terms(terms, samples, config, DTYPE)
    return terms


def pair_forces(terms, config, pair, distances):
    """Repulsion (eV/Å) of two atoms by the terms."""
    a, b = (torch.tensor([config.elements.index(element)]) for element in pair)
    r = torch.tensor(distances, dtype=DTYPE).unsqueeze(1).requires_grad_(True)
    total = sum(
        term(r, *kinds).sum()
        for term in terms.values()
        for kinds in ((a, b.unsqueeze(1)), (b, a.unsqueeze(1)))
    )
    return -torch.autograd.grad(total, r)[0].squeeze(1).numpy()


def test_fit_recovers_a_bond_and_what_lies_beyond_the_data():
    config = tiny_config(elements=("C", "H"), cutoff=5.0, **CORE)
    terms = fitted([dimer(r) for r in np.linspace(0.95, 1.3, 40)], config)
    inside = np.linspace(0.95, 1.3, 11)
    forces = pair_forces(terms, config, "CH", inside)
    assert np.abs(forces + morse(inside)[1]).max() < 0.3
    # Without it forces stay what they are at the end of the range, or do worse.
    for end, beyond, part in ((1.3, 1.45, 0.9), (0.95, 0.8, 0.25)):
        error = abs(pair_forces(terms, config, "CH", [beyond])[0] + morse(beyond)[1])
        assert error < part * abs(morse(beyond)[1] - morse(end)[1])


def test_core_is_a_wall_for_each_pair_of_elements():
    structures = read_structures([ETHANOL])
    config = tiny_config(elements=("H", "C", "O", "Na"), cutoff=5.0, **CORE)
    terms = fitted(structures, config)
    kinds = find_kinds(make_samples(structures, config, DTYPE), 4)
    assert len(kinds.types) == 5  # one oxygen, no sodium
    for (a, b), closest in zip(kinds.types.tolist(), kinds.closest, strict=True):
        pair = config.elements[a], config.elements[b]
        distances = np.linspace(0.25, 0.85 * float(closest), 30)
        assert (pair_forces(terms, config, pair, distances) > 0).all(), pair
    strengths = terms["core"].strengths
    assert strengths.equal(strengths.transpose(0, 1))
    for absent in ((2, 2), (3, 0), (3, 3)):
        assert not strengths[absent].any()


@pytest.mark.parametrize("kind", ["isolated", "triclinic", "tiny"])
def test_subtracting_terms_leaves_the_errors_as_they_are(kind):
    config = tiny_config(**CORE, pair_cutoffs={"H-O": 2.4, "Na-Na": 2.7})
    structures = []
    rng = np.random.default_rng(0)
    for seed in range(3):
        atoms = as_structure(random_atoms(kind, seed))
        labels = {"energy": 3.0 * seed, "forces": rng.normal(size=(len(atoms), 3))}
        if kind != "isolated":
            labels["stress"] = np.eye(3) * rng.normal()
        structures.append(Structure(**vars(atoms) | labels))
    samples = make_samples(structures, config, DTYPE)
    energy = AllegroEnergy(config, tiny_statistics(config))
    fit_terms(energy.terms, samples, config, DTYPE)
    assert energy.terms["core"].strengths.any()
    network = energy.with_terms(torch.nn.ModuleDict())
    assert network.network is energy.network
    whole = collate(samples, config)
    rest = collate(subtract_terms(samples, energy.terms), config)
    carried, subtracted = predict(energy, whole), predict(network, rest)
    for name in ("energies", "forces", "stresses"):
        errors = getattr(carried, name) - getattr(whole, name)
        others = getattr(subtracted, name) - getattr(rest, name)
        close(*map(torch.nan_to_num, (errors, others)), atol=1e-11, rtol=1e-12)
    again = subtract_terms(subtract_terms(samples, energy.terms), energy.terms, -1.0)
    close(again[0].forces, samples[0].forces, atol=1e-12)


def test_without_forces_nothing_is_fitted(caplog):
    config = tiny_config(**CORE)
    structure = as_structure(random_atoms("isolated"))
    assert not fitted([structure], config)["core"].strengths.any()
    assert "no frame has forces" in caplog.text


def test_training_has_a_core_in_its_model(tmp_path):
    structures = read_structures([ETHANOL])[:8]
    config = tiny_config(elements=("H", "C", "O"), cutoff=4.0, **CORE)
    settings = TrainConfig(max_epochs=1, batch_size=4, refit_shifts=False, device="cpu")
    validation = structures[6:]
    model = train(
        config, settings, structures[:6], validation, tmp_path, progress=False
    )
    strengths = model.energy.terms["core"].strengths
    terms = make_terms(config)
    fit_terms(terms, make_samples(structures[:6], config), config, torch.float32)
    close(strengths, terms["core"].strengths, rtol=1e-3)
    metrics = evaluate(model, validation)["metrics"]
    known = model.provenance["validation"]
    for name in ("energy_rmse", "forces_rmse"):
        assert known[name] == pytest.approx(metrics[name], rel=1e-3)


def test_core_is_in_the_file_which_earlier_packages_refuse(tmp_path):
    config = tiny_config(**CORE)
    energy = AllegroEnergy(config, tiny_statistics(config))
    energy.terms["core"].strengths.copy_(torch.rand(3, 3, 6, dtype=DTYPE))
    model = Model(config, tiny_statistics(config), energy, dtype="float64")
    path = save_model(model, tmp_path / "core.safetensors")
    again = load_model(path)
    close(again.energy.terms["core"].strengths, energy.terms["core"].strengths)
    assert known_program(again, "double") is not None  # with the network built, too
    with safe_open(path, "np") as file:
        header = json.loads(file.metadata()["openmm_allegro"])
    assert header["format_version"] == 3
    plain = tiny_config()
    model = Model(
        plain, tiny_statistics(plain), AllegroEnergy(plain, tiny_statistics(plain))
    )
    path = save_model(model, tmp_path / "plain.safetensors", with_programs=False)
    with safe_open(path, "np") as file:
        header = json.loads(file.metadata()["openmm_allegro"])
    assert header["format_version"] == 2
    assert "core_rates" not in header["config"]


def test_core_leaves_less_than_the_forces_of_a_molecule_and_stays_a_wall():
    """The core of ethanol's carbons turns over, but behind its wall."""
    structures = read_structures(ETHANOL)
    config = tiny_config(elements=("H", "C", "O"), cutoff=5.0, **CORE)
    terms = fitted(structures, config)
    samples = make_samples(structures, config, DTYPE)
    left = torch.cat([s.forces for s in subtract_terms(samples, terms)])
    forces = torch.cat([s.forces for s in samples])
    assert left.square().mean() < 0.25 * forces.square().mean()
    for pair in (("C", "C"), ("C", "O"), ("C", "H"), ("H", "O"), ("H", "H")):
        assert (pair_forces(terms, config, pair, [0.5, 0.6, 0.7]) > 0).all()
