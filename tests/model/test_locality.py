# SPDX-License-Identifier: MIT
"""Atoms beyond a cutoff do not count, and energies are smooth at it."""

import math

import pytest
import torch
from helpers import (
    CUTOFF,
    ELEMENTS,
    Atoms,
    close,
    evaluate_structure,
    float64,
    random_atoms,
    tiny_config,
    tiny_energy,
    tiny_statistics,
)

from openmm_allegro.neighbors import PairList


def line(distance, *, types=(0, 1)):
    """Two isolated atoms at a distance (Å)."""
    positions = distance * float64([[0.0, 0.0, 0.0], [0.36, 0.48, 0.8]])
    return isolated(positions, types)


def isolated(positions, types):
    return Atoms(
        positions,
        torch.zeros(3, 3, dtype=torch.float64),
        torch.zeros(3, dtype=torch.bool),
        torch.tensor(types),
    )


@pytest.mark.parametrize(
    ("overrides", "order"),
    [
        # integer Bessel roots have a zero at the cutoff, which adds one to the
        # envelope's (1 - x)³; moved roots and the core leave that as it is
        ({}, 4),
        ({"envelope_p": 2.0}, 4),
        ({"bessel_trainable": True}, 3),
        ({"zbl": True}, 3),
    ],
)
def test_smooth_at_the_cutoff(overrides, order):
    config = tiny_config(**overrides)
    energy = tiny_energy(config)
    alone = float64(tiny_statistics(config).shifts)[[0, 1]]
    energies, forces = [], []
    for gap in (4e-3, 2e-3):
        found = evaluate_structure(energy, config, *line(config.cutoff * (1 - gap)))
        energies.append((found.energies - alone).abs().sum().item())
        forces.append(found.forces[0].norm().item())
    assert math.log2(forces[0] / forces[1]) == pytest.approx(order - 1, abs=0.1)
    assert math.log2(energies[0] / energies[1]) == pytest.approx(order, abs=0.1)
    for distance in (config.cutoff * (1 + 1e-9), 1.3 * config.cutoff):
        beyond = evaluate_structure(energy, config, *line(distance))
        assert torch.equal(beyond.energies, alone)
        assert not beyond.forces.any()


def test_smooth_when_a_neighbor_leaves(config, energy):
    """Also in the environment of the neighbours that stay."""
    atoms = random_atoms("isolated", count=6)
    direction = float64([0.6, 0.0, 0.8])

    def at(distance):
        positions = atoms.positions.clone()
        positions[5] = positions[0] + distance * direction
        return evaluate_structure(energy, config, positions, *atoms[1:])

    pair = f"{ELEMENTS[atoms.types[0]]}-{ELEMENTS[atoms.types[5]]}"
    cutoff = config.pair_cutoffs.get(pair, config.cutoff)
    inside, outside = at(cutoff - 1e-7), at(cutoff + 1e-7)
    # 2e-7 Å times a force, and a force constant, of some tens
    close(inside.energies, outside.energies, rtol=0, atol=2e-5)
    close(inside.forces, outside.forces, rtol=0, atol=2e-4)
    assert at(cutoff - 0.3).energies[0] != outside.energies[0]


def test_cutoffs_of_ordered_pairs():
    """Between its two cutoffs a pair has an energy at one end only."""
    config = tiny_config(pair_cutoffs={"H-O": 2.0})
    energy = tiny_energy(config)
    shifts = float64(tiny_statistics(config).shifts)
    found = evaluate_structure(energy, config, *line(2.5, types=(0, 1)))
    assert found.energies[0] == shifts[0]
    assert (found.energies[1] - shifts[1]).abs() > 1e-6
    assert found.forces[0].norm() > 1e-6
    assert torch.equal(found.forces[0], -found.forces[1])


def test_strictly_local(energy, config):
    """A neighbour's neighbour does not count, however many layers there are."""
    # centres O, H and O; H sees O up to 2.4 Å
    free = isolated(float64([[0, 0, 0], [2.2, 0, 0], [4.2, 0.4, 0]]), [1, 0, 1])
    before = evaluate_structure(energy, config, *free)
    after_far, after_near = free.positions.clone(), free.positions.clone()
    after_far[2] += float64([-0.2, 0.5, 0.3])
    after_near[2] = float64([1.2, 1.9, 0.3])
    for positions, reaches in ((after_far, False), (after_near, True)):
        distances = (positions[2] - positions[:2]).norm(dim=-1)
        assert distances[1] < config.pair_cutoffs["H-O"]
        assert (distances[0] < CUTOFF) == reaches
        after = evaluate_structure(energy, config, positions, *free[1:])
        assert (after.energies[1] - before.energies[1]).abs() > 1e-4
        change = (after.energies[0] - before.energies[0]).abs()
        assert (change > 1e-4) if reaches else (change <= 1e-12)


def test_strictly_local_in_a_crowd(energy, config):
    """All that lies outside a centre's cutoff may move at once."""
    atoms = random_atoms("large", count=20)
    before = evaluate_structure(energy, config, *atoms)
    centers, neighbors, _ = PairList(CUTOFF + 0.2)(*atoms[:3])
    generator = torch.Generator().manual_seed(1)
    steps = torch.rand(atoms.positions.shape, generator=generator).double() - 0.5
    for center in range(5):
        inside = neighbors[centers == center]
        moving = torch.ones(len(steps), 1)
        moving[center], moving[inside] = 0.0, 0.0
        assert 2 < len(inside) and moving.sum() > 2
        positions = atoms.positions + 0.2 * moving * steps
        after = evaluate_structure(energy, config, positions, *atoms[1:])
        close(after.energies[center], before.energies[center], rtol=0, atol=1e-12)
        assert (after.energies - before.energies).abs().max() > 1e-4


def test_supercell_and_far_clusters_add(config, energy):
    atoms = random_atoms("tiny triclinic")
    one = evaluate_structure(energy, config, *atoms)
    scale = float64([[2.0], [1.0], [1.0]])
    double = evaluate_structure(
        energy,
        config,
        torch.cat((atoms.positions, atoms.positions + atoms.cell[0])),
        atoms.cell * scale,
        atoms.periodic,
        atoms.types.repeat(2),
    )
    close(double.energies, one.energies.repeat(2))
    close(double.forces, one.forces.repeat(2, 1))
    close(double.strain, 2 * one.strain)

    a, b = random_atoms("isolated", seed=1), random_atoms("isolated", seed=2, count=6)
    apart = float64([40.0, 3.0, 0.0])
    both = evaluate_structure(
        energy,
        config,
        torch.cat((a.positions, b.positions + apart)),
        *a[1:3],
        torch.cat((a.types, b.types)),
    )
    parts = [evaluate_structure(energy, config, *part) for part in (a, b)]
    close(both.energies, torch.cat([p.energies for p in parts]))
    close(both.forces, torch.cat([p.forces for p in parts]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_isolated_atom_has_its_shift(config, dtype):
    energy = tiny_energy(config).set_dtype(dtype)
    for index, shift in enumerate(tiny_statistics(config).shifts):
        atoms = isolated(float64([[0.3, 0.0, 0.0]]), [index])
        found = evaluate_structure(energy, config, *atoms, dtype=dtype)
        assert found.energies.tolist() == [shift]
        assert not found.forces.any()
