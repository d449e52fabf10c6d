# SPDX-License-Identifier: MIT
"""The network against a per-pair reference, in every form and for every option."""

import copy

import pytest
import torch
from helpers import (
    FULL,
    as_structure,
    close,
    evaluate_structure,
    random_atoms,
    tiny_config,
    tiny_energy,
    tiny_statistics,
)
from reference_allegro import reference_energy

from openmm_allegro.model import (
    AllegroEnergy,
    Statistics,
    forces_from_pairs,
    virial_from_pairs,
)
from openmm_allegro.neighbors import PairList, center_blocks
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples

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
    "core": ("tiny", {"core_rates": (1.0, 3.0), "pair_cutoffs": {"H-O": 2.1}}),
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


@pytest.mark.parametrize("overrides", [{}, {"bessel_trainable": True, "zbl": True}])
def test_training_gradient_is_that_of_one_block_per_frame(overrides):
    """Gradients of a loss do not depend on how predict arranges pairs."""
    config = tiny_config(**overrides)
    energy = tiny_energy(config)
    frames = [random_atoms("triclinic", seed, count=14) for seed in (7, 8)]
    samples = make_samples([as_structure(f) for f in frames], config, torch.float64)
    batch = collate(samples, config)
    assert len(batch.blocks) > 1
    found = predict(energy, batch, training=True)
    volumes = batch.volumes[:, None, None]
    loss = found.energies.square().sum() + found.forces.pow(4).sum()
    loss = loss + (found.stresses * volumes).square().sum()
    expected = 0.0
    for frame, sample in zip(frames, samples, strict=True):
        pairs = sample.centers, sample.neighbors, sample.vectors
        (block,) = center_blocks(*pairs, 14, 2.0 * config.cutoff, 10**6, 0.0)
        centers, neighbors, vectors = block
        vectors.requires_grad_(True)
        of_atoms = energy(vectors, frame.types[centers], frame.types[neighbors])
        (gradient,) = torch.autograd.grad(of_atoms.sum(), vectors, create_graph=True)
        forces = forces_from_pairs(gradient, centers, neighbors, 14)
        strain = virial_from_pairs(gradient, vectors.detach())
        expected = expected + of_atoms.sum().square() + forces.pow(4).sum()
        expected = expected + strain.square().sum()
    weights = list(energy.parameters())
    close(loss, expected)
    for a, b in zip(
        torch.autograd.grad(loss, weights),
        torch.autograd.grad(expected, weights),
        strict=True,
    ):
        assert b.abs().max() > 0
        close(a, b, atol=1e-10 * float(b.abs().max()))


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


# A network without a core is scripted in each test of a TorchForce, too.
@pytest.mark.parametrize("zbl", [pytest.param(False, marks=pytest.mark.slow), True])
def test_scripted(zbl, profiling):
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


def test_single_precision_is_close(config):
    atoms = random_atoms("triclinic")
    exact = evaluate_structure(tiny_energy(config), config, *atoms)
    single = tiny_energy(config).set_dtype(torch.float32)
    found = evaluate_structure(single, config, *atoms, dtype=torch.float32)
    assert found.energies.dtype == torch.float64
    assert single.shifts.dtype == single.factors.dtype == torch.float64
    close(found.energies, exact.energies, rtol=1e-5, atol=1e-5)
    close(found.forces, exact.forces, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("overrides", "expected", "found"),
    [
        ({"elements": ()}, "at least one element", "()"),
        ({"elements": ("H", "Xx")}, "chemical symbols", "'Xx'"),
        ({"elements": ("H", "X")}, "chemical symbols", "'X'"),
        ({"elements": ("H", "H")}, "each element once", "('H', 'H')"),
        ({"cutoff": 0.0}, "cutoff above 0", "0.0"),
        (
            {"cutoff": float("nan")},
            "expected finite cutoff above 0 and at most 100 Å",
            "nan",
        ),
        ({"cutoff": "5"}, "expected a number for cutoff", "'5'"),
        ({"pair_cutoffs": {"H-K": 2.0}}, "pair_cutoffs named like", "'H-K'"),
        ({"pair_cutoffs": {"H": 2.0}}, "pair_cutoffs named like", "'H'"),
        ({"pair_cutoffs": {"H-O": 3.5}}, "at most cutoff = 3.0", "3.5"),
        ({"pair_cutoffs": {"H-O": 0.0}}, "above 0", "0.0"),
        ({"l_max": 5}, "l_max of at least 0 and at most 4", "5"),
        ({"l_max": -1}, "l_max of at least 0 and at most 4", "-1"),
        ({"l_max": 2.0}, "expected an integer for l_max", "2.0"),
        ({"num_layers": 0}, "num_layers of at least 1", "0"),
        ({"num_layers": True}, "expected an integer for num_layers", "True"),
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
    assert message.partition("; did you mean")[0].endswith(f"found {found}")


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
