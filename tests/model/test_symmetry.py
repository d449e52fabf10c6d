# SPDX-License-Identifier: MIT
"""Invariances of the network, the irreps behind them, and derivatives."""

import pytest
import torch
from helpers import (
    CELLS,
    FULL,
    as_structure,
    close,
    evaluate_structure,
    float64,
    random_atoms,
    random_rotation,
    tiny_config,
    tiny_energy,
)

from openmm_allegro.model.irreps import layer_irreps
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples


@pytest.mark.parametrize("kind", ["triclinic", "tiny triclinic", "isolated"])
@pytest.mark.parametrize("inversion", [False, True])
@pytest.mark.parametrize("parity", [False, True])
def test_rotation_and_inversion(kind, inversion, parity):
    config = tiny_config(**FULL | {"parity": parity})
    energy = tiny_energy(config)
    atoms = random_atoms(kind)
    rotation = random_rotation(1) * (-1.0 if inversion else 1.0)
    before = evaluate_structure(energy, config, *atoms)
    after = evaluate_structure(
        energy,
        config,
        atoms.positions @ rotation.t(),
        atoms.cell @ rotation.t(),
        *atoms[2:],
    )
    close(after.energies, before.energies)
    close(after.forces, before.forces @ rotation.t())
    close(after.strain, rotation @ before.strain @ rotation.t(), atol=1e-9)


@pytest.mark.parametrize("kind", CELLS)
def test_translation_and_wrapping(kind, config, energy):
    atoms = random_atoms(kind)
    before = evaluate_structure(energy, config, *atoms)
    shift = float64([13.7, -8.1, 5.3])
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(-3, 4, atoms.positions.shape, generator=generator)
    images = images * atoms.periodic
    moved = atoms.positions + shift + images.double() @ atoms.cell
    after = evaluate_structure(energy, config, moved, *atoms[1:])
    close(after.energies, before.energies)
    close(after.forces, before.forces)
    close(before.forces.sum(0), torch.zeros(3, dtype=torch.float64))


def test_permutation(config, energy):
    atoms = random_atoms("triclinic")
    order = torch.randperm(len(atoms.types), generator=torch.Generator().manual_seed(4))
    before = evaluate_structure(energy, config, *atoms)
    positions, cell, periodic, types = atoms
    after = evaluate_structure(
        energy, config, positions[order], cell, periodic, types[order]
    )
    close(after.energies, before.energies[order])
    close(after.forces, before.forces[order])
    close(after.strain, before.strain)


@pytest.mark.parametrize("kind", ["triclinic", "tiny", "slab"])
def test_forces_are_minus_the_gradient(kind, config, energy):
    atoms = random_atoms(kind, count=3 if kind == "tiny" else 7)
    found = evaluate_structure(energy, config, *atoms).forces

    def total(positions):
        return evaluate_structure(energy, config, positions, *atoms[1:]).energies.sum()

    h = 1e-5
    expected = torch.zeros_like(found)
    for atom in range(len(expected)):
        for axis in range(3):
            step = torch.zeros_like(expected)
            step[atom, axis] = h
            difference = total(atoms.positions + step) - total(atoms.positions - step)
            expected[atom, axis] = -difference / (2 * h)
    close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["triclinic", "tiny triclinic"])
def test_stress_is_the_strain_derivative(kind, config, energy):
    atoms = random_atoms(kind)
    found = evaluate_structure(energy, config, *atoms).strain
    h = 1e-6
    for a in range(3):
        for b in range(a, 3):
            strain = torch.zeros(3, 3, dtype=torch.float64)
            strain[a, b] += h / 2
            strain[b, a] += h / 2
            up, down = (
                evaluate_structure(
                    energy, config, atoms.positions @ d, atoms.cell @ d, *atoms[2:]
                ).energies.sum()
                for d in (torch.eye(3) + strain, torch.eye(3) - strain)
            )
            close((up - down) / (2 * h), found[a, b], rtol=1e-6, atol=1e-5)


def test_gradient_of_a_force_loss():
    """Training differentiates forces by weights; so does a finite difference."""
    config = tiny_config(**FULL | {"bessel_trainable": True})
    energy = tiny_energy(config)
    sample = make_samples(
        [as_structure(random_atoms("triclinic"))], config, torch.float64
    )
    batch = collate(sample, config)

    def loss():
        prediction = predict(energy, batch, training=True)
        parts = (prediction.energies, prediction.forces, prediction.stresses)
        return sum(p.square().mean() for p in parts)

    loss().backward()
    h = 1e-5
    for name, weight in energy.named_parameters():
        flat = weight.data.view(-1)
        index = int(weight.grad.view(-1).abs().argmax())
        values = []
        for step in (h, -2 * h):
            flat[index] += step
            values.append(loss().item())
        flat[index] += h
        difference = (values[0] - values[1]) / (2 * h)
        assert difference != 0.0, name
        assert weight.grad.view(-1)[index].item() == pytest.approx(
            difference, rel=1e-4
        ), name


def test_degree_zero_knows_distances_only():
    """Angles enter with l_max 1: a check that the tensor track is not idle."""
    center = torch.tensor([0])
    types = torch.tensor([[1, 1]])
    right = float64([[[1.2, 0.0, 0.0], [0.0, 1.5, 0.0]]])
    bent = float64([[[1.2, 0.0, 0.0], [0.9, 1.2, 0.0]]])
    for l_max in range(3):
        energy = tiny_energy(tiny_config(l_max=l_max))
        with torch.no_grad():
            a, b = (energy(v, center, types).item() for v in (right, bent))
        assert (abs(a - b) < 1e-12) == (l_max == 0)


@pytest.mark.parametrize(
    ("l_max", "parity", "layers", "expected"),
    [
        (0, True, 3, ["0e", "0e", "0e", "0e"]),
        (1, True, 1, ["0e 1o", "0e"]),
        (1, True, 2, ["0e 1o", "0e 1o", "0e"]),
        # 1e comes from 1o × 1o and returns to 1o by another 1o
        (1, True, 3, ["0e 1o", "0e 1e 1o", "0e 1o", "0e"]),
        (1, False, 3, ["0e 1o", "0e 1o", "0e 1o", "0e"]),
        # 0o comes from 1e × 1o and returns the same way
        (
            1,
            True,
            5,
            ["0e 1o", "0e 1e 1o", "0e 0o 1e 1o", "0e 1e 1o", "0e 1o", "0e"],
        ),
        # 2o comes from 1o × 2e, 0o only from 1e × 1o or 2o × 2e, one layer later
        (2, True, 3, ["0e 1o 2e", "0e 1e 1o 2e 2o", "0e 1o 2e", "0e"]),
        (2, False, 3, ["0e 1o 2e", "0e 1o 2e", "0e 1o 2e", "0e"]),
    ],
)
def test_irreps_that_are_kept(l_max, parity, layers, expected):
    found = irreps_of(l_max, parity, layers)
    assert [" ".join(map(str, irreps)) for irreps in found] == expected


def irreps_of(l_max, parity, layers):
    config = tiny_config(l_max=l_max, parity=parity)
    environment = config.environment_irreps()
    return layer_irreps(environment, config.allowed_irreps(), layers)


@pytest.mark.parametrize("l_max", range(5))
def test_parity_matters_from_three_layers_on(l_max):
    for layers in range(1, 5):
        same = irreps_of(l_max, True, layers) == irreps_of(l_max, False, layers)
        assert same == (layers < 3 or l_max == 0)
