# SPDX-License-Identifier: MIT
"""Training with charges: matrices against sums, exact forces, gradients and shifts."""

import dataclasses

import numpy as np
import pytest
import torch
from training_helpers import (
    ethanol,
    liquid,
    random_structure,
    short,
    tiny_config,
)

pytest.importorskip("lightning")

from openmm_allegro.kernels.training.network import use_training_network
from openmm_allegro.model.charges import with_total
from openmm_allegro.training.compiled import DenseCollate
from openmm_allegro.training.electrostatics import (
    field_of,
    join_electrostatics,
)
from openmm_allegro.training.fields import with_matrices
from openmm_allegro.training.latents import recording
from openmm_allegro.training.module import TrainingModule
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples
from openmm_allegro.training.start import start_training

START = {"H": 0.2, "C": -0.1, "O": -0.35}
KINDS = ("learned", "constant")
SYMBOLS = ("H", "O", "C", "H", "H", "O")


def charged_config(charges="learned", **changes):
    return tiny_config(charges=charges, charge_start=START, **changes)


def frames(count=2, *, charge=1.0, **labels):
    """Small frames with labels: periodic ones, and those of molecules."""
    rng = np.random.default_rng(4)
    made = []
    for index in range(2 * count):
        stress = rng.normal(size=(3, 3)) * 0.01
        made.append(
            random_structure(
                SYMBOLS,
                index,
                box=4.6 if index % 2 else 0.0,
                energy=float(rng.normal()) - 3000.0,
                forces=rng.normal(size=(len(SYMBOLS), 3)),
                stress=stress + stress.T if index % 2 else None,
                charge=charge * (index // 2),
                **labels,
            )
        )
    return made


def start_of(structures, config=None, **changes):
    """Start of a training in float64."""
    settings = short(dtype="float64", **changes)
    return start_training(config or charged_config(), settings, structures, structures)


def drawn(energy, seed=0):
    """Charges of elements that are not those of the start, of any sum."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        energy.charges.start += 0.2 * torch.randn(3, generator=generator).double()
    return energy


def slope_of(function, h=1e-3):
    """Derivative at 0, by differences of fourth order."""
    near, far = (function(step) - function(-step) for step in (h, 2 * h))
    return (8 * near - far) / (12 * h)


def test_matrices_are_the_sums():
    config = charged_config()
    samples = make_samples([*frames(), *liquid()[:1]], config, torch.float64)
    settings = short(dtype="float64", stress_weight=1.0)
    (stored,) = with_matrices([samples], config, settings)
    generator = torch.Generator().manual_seed(2)
    sizes = torch.tensor([len(s.types) for s in samples])
    charges = torch.randn(int(sizes.sum()), generator=generator).double()
    sums, matrices = (
        field_of(
            join_electrostatics([s.electrostatics for s in part]),
            sizes,
            charges,
            config.alpha,
        )
        for part in (samples, stored)
    )
    periodic = torch.tensor([s.volume > 0 for s in samples])[:, None, None]
    sums = sums._replace(strains=sums.strains * periodic)  # without a volume no stress
    for ours, theirs in zip(matrices, sums, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("charges", KINDS)
def test_forces_and_stress_are_derivatives_of_the_whole_energy(charges):
    """Also of charged frames, whose charges are moved by much to their total."""
    config = charged_config(charges)
    structures = frames(charge=2.0)
    energy = drawn(start_of(structures, config).model.energy)

    def predicted(structure):
        samples = make_samples([structure], config, torch.float64)
        return predict(energy, collate(samples, config))

    rng = np.random.default_rng(1)
    for structure in structures:
        result = predicted(structure)
        assert float(result.charges.sum()) == pytest.approx(structure.charge, abs=1e-12)
        moves = rng.normal(size=structure.positions.shape)
        strain = rng.normal(size=(3, 3))
        strain = strain + strain.T

        def moved(step, structure=structure, moves=moves):
            positions = structure.positions + step * moves
            changed = dataclasses.replace(structure, positions=positions)
            return float(predicted(changed).energies)

        def strained(step, structure=structure, strain=strain):
            matrix = np.eye(3) + step * strain
            changed = dataclasses.replace(
                structure,
                positions=structure.positions @ matrix,
                cell=structure.cell @ matrix,
            )
            return float(predicted(changed).energies)

        ours = -(result.forces.numpy() * moves).sum()
        assert ours == pytest.approx(slope_of(moved), rel=1e-6, abs=1e-6)
        if structure.periodic.any():
            ours = structure.volume * (result.stresses[0].numpy() * strain).sum()
            assert ours == pytest.approx(slope_of(strained), rel=1e-6, abs=1e-6)


def test_large_frames_are_predicted_in_parts(monkeypatch):
    """With one network call for each few centres, and with one for all."""
    config = charged_config()
    structures = frames()
    start = start_of(structures, config)
    energy = drawn(start.model.energy)
    batch = collate(make_samples(structures, config, torch.float64), config)
    with recording(energy) as recorder:
        whole = predict(energy, batch)
        latents = recorder.take(batch)
        monkeypatch.setattr("openmm_allegro.training.predict.LARGEST_BLOCK", 8)
        parts = predict(energy, batch)
        np.testing.assert_allclose(
            recorder.take(batch), latents, rtol=1e-10, atol=1e-12
        )
    for ours, theirs in zip(parts, whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("network", ["plain", "training"])
@pytest.mark.parametrize("charges", KINDS)
def test_gradient_of_the_charged_loss_by_finite_differences(charges, network):
    structures = frames()
    config = charged_config(charges, num_layers=2)
    start = start_of(structures, config, stress_weight=100.0)
    module = TrainingModule(start.model, short(stress_weight=100.0), 1)
    drawn(module.energy)
    batch = collate(start.training, config)
    if network == "training" and not use_training_network(module.energy):
        pytest.skip("the kernel was not built")
    assert batch.electrostatics.matrices
    module.training_step(batch, 0).backward()
    generator = torch.Generator().manual_seed(0)
    weights = dict(module.named_parameters())
    assert weights["energy.charges.start"].grad.abs().min() > 0
    along = {
        n: torch.randn(p.shape, generator=generator).double()
        for n, p in weights.items()
    }
    for chosen in (weights, ["energy.charges.start"]):
        slope = sum(float((weights[n].grad * along[n]).sum()) for n in chosen)

        def value(step, chosen=chosen):
            with torch.no_grad():
                for n in chosen:
                    weights[n].add_(along[n], alpha=step)
            loss = float(module.loss(batch, predict(module.energy, batch)))
            with torch.no_grad():
                for n in chosen:
                    weights[n].sub_(along[n], alpha=step)
            return loss

        difference = (value(1e-5) - value(-1e-5)) / 2e-5
        assert slope == pytest.approx(difference, rel=1e-6)


@pytest.mark.parametrize("charges", KINDS)
def test_traced_step_with_charges_is_the_plain_one(charges, traced):
    structures = frames()[1::2]
    config = charged_config(charges)
    settings = dict(stress_weight=100.0, batch_size=len(structures))
    start = start_of(structures, config, **settings)
    module = TrainingModule(start.model, short(**settings), 1)
    steps = []
    dense = DenseCollate(start.training, config, len(structures))(start.training)
    for batch in (collate(start.training, config), dense):
        module.zero_grad()
        loss = module.training_step(batch, 0)
        loss.backward()
        steps.append([loss.detach(), *(p.grad for p in module.parameters())])
    for ours, theirs in zip(*steps, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


def test_shifts_at_the_start_know_the_field_of_the_start_charges():
    """Energies that are shifts and the field of those charges leave no rest."""
    config = charged_config("constant")
    shifts = {"H": -13.0, "C": -1029.0, "O": -2040.0}
    structures = [
        random_structure(symbols, seed, box=5.0, forces=np.ones((len(symbols), 3)))
        for seed, symbols in enumerate(
            [("H",) * 5, SYMBOLS, ("C", "O", "O"), ("H", "C")]
        )
    ]
    samples = make_samples(
        [dataclasses.replace(s, energy=0.0) for s in structures], config, torch.float64
    )
    labelled = []
    for structure, sample in zip(structures, samples, strict=True):
        start = torch.tensor([START[symbol] for symbol in structure.symbols]).double()
        field = field_of(
            sample.electrostatics,
            torch.tensor([len(start)]),
            with_total(start, 0.0),
            config.alpha,
        )
        energy = sum(map(shifts.get, structure.symbols)) + float(field.energies)
        forces = field.forces.numpy() + np.random.default_rng(0).normal(
            size=(len(start), 3)
        )
        labelled.append(dataclasses.replace(structure, energy=energy, forces=forces))
    numbers = start_of(labelled, config).model.statistics
    assert dict(zip(config.elements, numbers.shifts, strict=True)) == pytest.approx(
        shifts, abs=1e-6
    )


def test_frames_that_charges_cannot_have_are_refused():
    structure = random_structure(SYMBOLS, 0, box=5.0, energy=0.0)
    slab = dataclasses.replace(structure, periodic=np.array([True, True, False]))
    with pytest.raises(ValueError, match="periodicity in all directions or in none"):
        make_samples([slab], charged_config())
    found = {np.nan: "nan", np.inf: "inf", -1e30: r"-1e\+30"}
    for charge, text in found.items():
        unknown = dataclasses.replace(structure, charge=charge)
        message = f"expected one number within ±1000 as charge .*, found {text}"
        with pytest.raises(ValueError, match=message):
            make_samples([unknown], charged_config())
    make_samples([slab, unknown], tiny_config())
    make_samples(ethanol()[:1], charged_config())
