# SPDX-License-Identifier: MIT
"""Inner cutoffs: a network sees no pair come closer, and the rest is as it was."""

import numpy as np
import pytest
import torch
from helpers import evaluate_structure, random_atoms, tiny_config, tiny_energy

from openmm_allegro.model.radial import seen_distance

INNER = {"H-H": 1.3, "H-O": 1.6, "O-O": 1.9, "Na-O": 2.0}


def with_inner(**overrides):
    """A network with a core without inner cutoffs, and the same one with them."""
    configs = [
        tiny_config(**{"zbl": True, **overrides}),
        tiny_config(**{"zbl": True, "inner_cutoffs": INNER, **overrides}),
    ]
    return [(config, tiny_energy(config)) for config in configs]


def test_the_seen_distance_is_smooth_and_stops():
    r = torch.linspace(0.05, 3.0, 4001, dtype=torch.float64, requires_grad=True)
    inner = torch.full_like(r, 1.6)
    seen = seen_distance(r, inner)
    (slope,) = torch.autograd.grad(seen.sum(), r, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), r)
    assert torch.equal(seen[r >= 1.6], r[r >= 1.6])
    assert (seen[r < 1.44] == 1.6 - 0.08).all()
    steps = 2.95 / 4000
    assert (slope >= 0).all() and (slope <= 1).all()
    assert torch.allclose(
        seen.diff(), 0.5 * (slope[1:] + slope[:-1]) * steps, atol=1e-7
    )
    # the second derivative has no step: its largest is 1.5 over the width 0.16
    assert bend.abs().max() < 1.51 / 0.16
    assert bend.diff().abs().max() < 6.1 / 0.16**2 * steps


@pytest.mark.parametrize("embedding", ["bessel", "spline"])
def test_farther_pairs_are_as_without_to_the_bit(embedding):
    (plain, before), (config, energy) = with_inner(radial_embedding=embedding)
    atoms = random_atoms("triclinic")
    far = atoms._replace(positions=2.0 * atoms.positions, cell=2.0 * atoms.cell)
    for one, other in zip(
        evaluate_structure(before, plain, *far),
        evaluate_structure(energy, config, *far),
        strict=True,
    ):
        assert torch.equal(one, other)
    near = [
        evaluate_structure(e, c, *atoms).forces
        for c, e in ((plain, before), (config, energy))
    ]
    assert (near[0] - near[1]).abs().max() > 1e-3


@pytest.mark.parametrize("embedding", ["bessel", "spline"])
def test_forces_and_strain_are_derivatives_within_the_transition(embedding):
    _, (config, energy) = with_inner(radial_embedding=embedding)
    atoms = random_atoms("triclinic", seed=4)
    result = evaluate_structure(energy, config, *atoms)
    generator = torch.Generator().manual_seed(0)
    step = 1e-6
    for _ in range(3):
        along = torch.randn(
            atoms.positions.shape, generator=generator, dtype=torch.float64
        )
        low, high = (
            evaluate_structure(
                energy, config, atoms.positions + s * along, *atoms[1:]
            ).energies.sum()
            for s in (-step, step)
        )
        expected = -float((high - low) / (2 * step))
        assert float((result.forces * along).sum()) == pytest.approx(expected, rel=1e-6)
        bend = 0.5 * (along[:3] + along[:3].T)
        low, high = (
            evaluate_structure(
                energy,
                config,
                atoms.positions @ (torch.eye(3) + s * bend),
                atoms.cell @ (torch.eye(3) + s * bend),
                *atoms[2:],
            ).energies.sum()
            for s in (-step, step)
        )
        expected = float((high - low) / (2 * step))
        assert float((result.strain * bend).sum()) == pytest.approx(expected, rel=1e-6)


def test_two_atoms_feel_their_core_alone_far_inside():
    """So forces there are those of the nuclei, whatever the network would do."""
    _, (config, energy) = with_inner()
    r = torch.tensor([0.2, 0.5, 0.9, 1.3], dtype=torch.float64, requires_grad=True)
    types = torch.tensor([config.elements.index("H"), config.elements.index("O")])
    vectors = torch.zeros(len(r), 1, 3, dtype=torch.float64)
    vectors[:, 0, 0] = 1.0
    whole = sum(
        energy(vectors * r[:, None, None], a.expand(4), b.expand(4, 1)).sum()
        for a, b in (types, types.flip(0))
    )
    zbl = energy.terms["zbl"]
    core = sum(
        zbl(r[:, None], a.expand(4), b.expand(4, 1)).sum()
        for a, b in (types, types.flip(0))
    )
    (found,) = torch.autograd.grad(whole, r)
    (expected,) = torch.autograd.grad(core, r)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)
    assert (found < 0).all()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"inner_cutoffs": {"H-O": 3.5}}, "inner_cutoffs H-O below 3 Å, found 3.5"),
        ({"inner_cutoffs": {"H-O": 1.0, "O-H": 1.0}}, "once, in one order"),
        ({"inner_cutoffs": {"H-Xe": 1.0}}, "named like 'H-O'"),
        ({"inner_cutoffs": {"H": 1.0}}, "named like 'H-O'"),
        ({"inner_cutoffs": {"H-O": 1.0}, "zbl": False}, "zbl or core_rates beside"),
    ],
)
def test_what_cannot_be_is_refused(overrides, message):
    with pytest.raises(ValueError, match=message):
        tiny_config(**{"zbl": True, **overrides})


def test_tables_are_symmetric():
    config = tiny_config(zbl=True, inner_cutoffs={"O-H": 1.5, "O-O": 2.0})
    table = config.inner_table()
    h, o = config.elements.index("H"), config.elements.index("O")
    assert table[h, o] == table[o, h] == 1.5
    assert table[o, o] == 2.0
    assert np.count_nonzero(table) == 3
