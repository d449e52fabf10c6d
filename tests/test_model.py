# SPDX-License-Identifier: MIT
"""The network against a per-pair reference, and the physics it must obey."""

import copy
import math

import pytest
import torch
from helpers import (
    CELLS,
    CUTOFF,
    ELEMENTS,
    Atoms,
    as_structure,
    evaluate_structure,
    random_atoms,
    random_rotation,
    tiny_config,
    tiny_energy,
    tiny_statistics,
)
from reference_allegro import reference_energy

from openmm_allegro.dataset import collate, make_samples
from openmm_allegro.evaluate import predict
from openmm_allegro.model import AllegroEnergy, Statistics
from openmm_allegro.model.tensor_product import layer_irreps
from openmm_allegro.neighbors import PairList

# Each option at least once, each l_max and number of layers, each kind of cell.
REFERENCE_CASES = {
    "l0-1": ("large", {"l_max": 0, "num_layers": 1}),
    "l0-3": ("orthorhombic", {"l_max": 0, "num_layers": 3}),
    "l1-1-linear": (
        "triclinic",
        {"l_max": 1, "num_layers": 1, "two_body_depth": 0, "readout_depth": 0},
    ),
    "l1-2-latent-linear": ("tiny", {"l_max": 1, "latent_depth": 0}),
    # five layers are the fewest in which 0o can reach a scalar
    "l1-5": ("isolated", {"l_max": 1, "num_layers": 5}),
    "l2-2": ("tiny triclinic", {}),
    "l2-2-shared": ("triclinic", {"path_channel_coupling": False}),
    "l2-3-mish": ("slab", {"num_layers": 3, "latent_nonlinearity": "mish"}),
    "l2-4": ("orthorhombic", {"num_layers": 4}),
    "l2-4-natural": ("orthorhombic", {"num_layers": 4, "parity": False}),
    "l3-3": ("triclinic", {"l_max": 3, "num_layers": 3}),
    "l3-3-natural": ("triclinic", {"l_max": 3, "num_layers": 3, "parity": False}),
    "l4-1-gelu": (
        "large",
        {"l_max": 4, "num_layers": 1, "two_body_nonlinearity": "gelu"},
    ),
    "l4-2": ("tiny triclinic", {"l_max": 4, "two_body_depth": 2, "latent_depth": 2}),
    "l4-3-shared": (
        "isolated",
        {"l_max": 4, "num_layers": 3, "path_channel_coupling": False},
    ),
    "mish-gelu": (
        "tiny",
        {
            "two_body_nonlinearity": "mish",
            "readout_nonlinearity": "gelu",
            "latent_nonlinearity": "gelu",
            "readout_depth": 2,
        },
    ),
    "none": (
        "slab",
        {
            "two_body_nonlinearity": "none",
            "latent_nonlinearity": "none",
            "readout_nonlinearity": "none",
            "latent_depth": 2,
        },
    ),
    "zbl": ("triclinic", {"zbl": True}),
    "pair-cutoffs": (
        "tiny triclinic",
        {"pair_cutoffs": {"H-O": 2.1, "Na-Na": 2.6, "O-O": 1.3}, "zbl": True},
    ),
    "bessel": (
        "orthorhombic",
        {"bessel_trainable": True, "embedding_dim": 8, "envelope_p": 4.5},
    ),
    "one-channel": (
        "isolated",
        {"num_tensor_features": 1, "num_bessels": 1, "elements": ("O", "H", "Na")},
    ),
}

# Odd features and both element terms, so that each test below sees all of the model.
FULL = {
    "num_layers": 3,
    "zbl": True,
    "pair_cutoffs": {"H-O": 2.4, "Na-Na": 2.7},
}


@pytest.fixture(scope="module")
def config():
    return tiny_config(**FULL)


@pytest.fixture(scope="module")
def energy(config):
    return tiny_energy(config)


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


def close(a, b, rtol=1e-10, atol=1e-10):
    torch.testing.assert_close(a, b, rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", REFERENCE_CASES)
def test_same_function_as_per_pair_reference(case):
    kind, overrides = REFERENCE_CASES[case]
    config = tiny_config(**overrides)
    energy = tiny_energy(config, seed=3)
    atoms = random_atoms(kind, seed=5)
    found = evaluate_structure(energy, config, *atoms)

    centers, neighbors, vectors = PairList(config.cutoff)(*atoms[:3])
    assert len(centers) > 20
    vectors = vectors.detach().requires_grad_(True)
    expected = reference_energy(
        energy,
        config,
        tiny_statistics(config),
        atoms.types,
        centers,
        neighbors,
        vectors,
    )
    (gradient,) = torch.autograd.grad(expected.sum(), vectors)
    forces = torch.zeros_like(atoms.positions)
    forces = forces.index_add(0, centers, gradient).index_add(0, neighbors, -gradient)
    assert forces.abs().max() > 0.01
    close(found.energies, expected.detach())
    close(found.forces, forces)


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


def test_predict_joins_frames(config, energy):
    frames = [random_atoms(kind, seed=7) for kind in ("triclinic", "tiny", "isolated")]
    samples = make_samples([as_structure(f) for f in frames], config, torch.float64)
    found = predict(energy, collate(samples, config))
    single = [evaluate_structure(energy, config, *f) for f in frames]
    close(found.energies, torch.stack([e.energies.sum() for e in single]))
    close(found.forces, torch.cat([e.forces for e in single]))
    for stress, frame, expected in zip(found.stresses, frames, single, strict=True):
        volume = torch.linalg.det(frame.cell).abs()
        close(stress * volume, expected.strain * (volume > 0))


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


def test_padding_does_not_count(config, energy):
    atoms = random_atoms("triclinic", count=14)
    expected = evaluate_structure(energy, config, *atoms)
    for largest_block in (1, 37, 10**6):
        found = evaluate_structure(energy, config, *atoms, largest_block=largest_block)
        close(found.energies, expected.energies, atol=1e-12, rtol=1e-12)
        close(found.forces, expected.forces, atol=1e-11, rtol=1e-11)
    padding = torch.full((2, 3, 3), config.cutoff, dtype=torch.float64)
    types = torch.tensor([0, 2])
    alone = energy(padding, types, torch.zeros(2, 3, dtype=torch.int64))
    assert torch.equal(alone, energy.shifts[types])


@pytest.mark.parametrize("zbl", [False, True])
def test_scripted(zbl):
    config = tiny_config(**FULL | {"zbl": zbl})
    energy = tiny_energy(config)
    atoms = random_atoms("triclinic")
    expected = evaluate_structure(energy, config, *atoms)
    scripted = torch.jit.script(energy)
    for _ in range(3):  # the third run is the optimised one
        found = evaluate_structure(scripted, config, *atoms)
        close(found.energies, expected.energies)
        close(found.forces, expected.forces)


def test_copied(config, energy):
    atoms = random_atoms("triclinic")
    expected = evaluate_structure(energy, config, *atoms)
    copied = copy.deepcopy(energy)
    found = evaluate_structure(copied, config, *atoms)
    assert torch.equal(found.energies, expected.energies)
    assert torch.equal(found.forces, expected.forces)
    with torch.no_grad():
        next(copied.parameters()).add_(1.0)
    again = evaluate_structure(energy, config, *atoms)
    assert torch.equal(again.energies, expected.energies)


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


def test_single_precision_is_close(config):
    atoms = random_atoms("triclinic")
    exact = evaluate_structure(tiny_energy(config), config, *atoms)
    single = tiny_energy(config).set_dtype(torch.float32)
    found = evaluate_structure(single, config, *atoms, dtype=torch.float32)
    assert found.energies.dtype == torch.float64
    assert single.shifts.dtype == single.factors.dtype == torch.float64
    close(found.energies, exact.energies, rtol=1e-5, atol=1e-5)
    close(found.forces, exact.forces, rtol=1e-4, atol=1e-4)


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
    found = layer_irreps(l_max, parity, layers)
    assert [" ".join(map(str, irreps)) for irreps in found] == expected


@pytest.mark.parametrize("l_max", range(5))
def test_parity_matters_from_three_layers_on(l_max):
    for layers in range(1, 5):
        same = layer_irreps(l_max, True, layers) == layer_irreps(l_max, False, layers)
        assert same == (layers < 3 or l_max == 0)


@pytest.mark.parametrize(
    ("overrides", "expected", "found"),
    [
        ({"elements": ()}, "at least one element", "()"),
        ({"elements": ("H", "Xx")}, "chemical symbols", "'Xx'"),
        ({"elements": ("H", "X")}, "chemical symbols", "'X'"),
        ({"elements": ("H", "H")}, "each element once", "('H', 'H')"),
        ({"cutoff": 0.0}, "cutoff above 0", "0.0"),
        ({"cutoff": float("nan")}, "cutoff: expected a finite number", "nan"),
        ({"cutoff": "5"}, "cutoff: expected float", "'5'"),
        ({"pair_cutoffs": {"H-K": 2.0}}, "pair_cutoffs named like", "'H-K'"),
        ({"pair_cutoffs": {"H": 2.0}}, "pair_cutoffs named like", "'H'"),
        ({"pair_cutoffs": {"H-O": 3.5}}, "at most cutoff = 3.0", "3.5"),
        ({"pair_cutoffs": {"H-O": 0.0}}, "above 0", "0.0"),
        ({"l_max": 5}, "l_max from 0 to 4", "5"),
        ({"l_max": -1}, "l_max from 0 to 4", "-1"),
        ({"l_max": 2.0}, "l_max: expected int", "2.0"),
        ({"num_layers": 0}, "num_layers of at least 1", "0"),
        ({"num_layers": True}, "num_layers: expected int", "True"),
        ({"num_scalar_features": 0}, "num_scalar_features of at least 1", "0"),
        ({"num_tensor_features": 0}, "num_tensor_features of at least 1", "0"),
        ({"num_bessels": 0}, "num_bessels of at least 1", "0"),
        ({"envelope_p": 1.0}, "envelope_p of at least 2", "1.0"),
        ({"embedding_dim": 7}, "an even embedding_dim", "7"),
        ({"num_scalar_features": 5}, "an even embedding_dim", "5"),
        ({"embedding_dim": -2}, "an even embedding_dim", "-2"),
        ({"latent_depth": -1}, "latent_depth of at least 0", "-1"),
        ({"readout_width": 0}, "readout_width of at least 1", "0"),
        ({"two_body_nonlinearity": "relu"}, "'silu', 'mish', 'gelu'", "'relu'"),
    ],
)
def test_config_refuses(overrides, expected, found):
    with pytest.raises(ValueError, match=r"model config: (\w+: )?expected") as error:
        tiny_config(**overrides)
    message = str(error.value)
    assert expected in message
    assert message.endswith(f"found {found}")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (((1.0,), (1.0,), (0.0,)), "expected 3 mean_neighbors.*found 1"),
        (((1.0,) * 3, (1.0,) * 3, (0.0,) * 4), "expected 3 shifts.*found 4"),
        (((1.0, 0.0, 1.0), (1.0,) * 3, (0.0,) * 3), "mean_neighbors above 0.*0.0"),
    ],
)
def test_statistics_are_checked(values, message):
    with pytest.raises(ValueError, match=message):
        AllegroEnergy(tiny_config(), Statistics(*values))
