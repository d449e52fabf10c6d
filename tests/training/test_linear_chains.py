# SPDX-License-Identifier: MIT
"""Linear maps that training leaves as they are, where others follow them."""

import copy

import pytest
import torch
from helpers import evaluate_structure, random_atoms, tiny_config, tiny_energy
from training_helpers import fit, short
from training_helpers import tiny_config as config_of_ethanol

from openmm_allegro.model import AllegroEnergy
from openmm_allegro.modelfile import load_model
from openmm_allegro.training.linear_chains import fix_linear_chains

WIDE = {"num_scalar_features": 8, "two_body_width": 8, "latent_width": 6}


def heads(network, index):
    """Rows of the weights that take the scalars of layer ``index``."""
    scalars = network.scalars
    rows = slice(index * scalars, (index + 1) * scalars)
    later = [*network.latents[index:], network.readout]
    return [mlp.layers[0].weight[rows] for mlp in later]


@pytest.mark.parametrize("latent_width", [6, 8])
def test_a_network_can_say_the_same_with_fixed_maps(latent_width):
    """Whatever the maps were, those that follow can take them over."""
    config = tiny_config(**WIDE | {"latent_width": latent_width, "num_layers": 3})
    energy, atoms = tiny_energy(config, seed=3), random_atoms("triclinic", seed=5)
    fixed = copy.deepcopy(energy)
    weights = fix_linear_chains(fixed, seed=1)
    assert len(weights) == 5
    plain = evaluate_structure(energy, config, *atoms)
    assert not torch.allclose(
        evaluate_structure(fixed, config, *atoms).energies, plain.energies, rtol=1e-3
    )
    ours, theirs, size = fixed.network, energy.network, config.num_scalar_features

    def change(mlp, wanted):
        """X of kept @ X = wanted."""
        kept = mlp.layers[-1].weight[:, :size]
        found = torch.linalg.pinv(kept) @ wanted
        torch.testing.assert_close(kept @ found, wanted, rtol=1e-10, atol=1e-12)
        return found

    with torch.no_grad():
        x = change(ours.two_body, theirs.two_body.layers[-1].weight)
        projection = theirs.first_projection.layers[-1].weight
        ours.tensor_weights.layers[-1].weight.copy_(
            x @ theirs.tensor_weights.layers[-1].weight
        )
        environment = ours.first_projection.layers[-1].weight[:, size:]
        environment.copy_(x @ projection[:, size:])
        wanted = [x @ projection[:, :size]]
        wanted += [mlp.layers[-1].weight[:, :size] for mlp in theirs.latents]
        sources = [ours.first_projection, *ours.latents]
        for index, source in enumerate(sources):
            x = change(source, wanted[index])
            for head in heads(ours, index):
                head.copy_(x @ head)
    found = evaluate_structure(fixed, config, *atoms)
    for ours, theirs in zip(found, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_fixed_maps_keep_lengths():
    config = tiny_config(**WIDE)
    energy = tiny_energy(config)
    for weight in fix_linear_chains(energy, seed=1):
        fixed = weight.detach()[:, :8]
        square = fixed @ fixed.T
        torch.testing.assert_close(square, 8 * torch.eye(len(square)).to(square))


def test_a_map_to_fewer_scalars_is_trained():
    """Kept, it would hide a part of what comes before it."""
    config = tiny_config(**WIDE | {"latent_width": 9})
    energy = tiny_energy(config)
    fixed = fix_linear_chains(energy, seed=1)
    of_latents = {id(mlp.layers[-1].weight) for mlp in energy.network.latents}
    assert len(fixed) == 2 and not of_latents & {id(weight) for weight in fixed}


@pytest.mark.parametrize(
    ("optimizer", "compiler"),
    [
        ("adam", None),
        ("muon", None),
        pytest.param("muon", "traced", marks=pytest.mark.slow),
        pytest.param("muon", "compiled", marks=pytest.mark.slow),
    ],
)
def test_training_leaves_them(tmp_path, request, optimizer, compiler):
    """The other columns move; a resumed run continues as one that was not stopped."""
    if compiler:
        request.getfixturevalue(compiler)
    model = config_of_ethanol(**WIDE, num_layers=2)
    changes = {"optimizer": optimizer, "compile": bool(compiler), "seed": 4}
    changes |= {"fix_linear_chains": True, "weight_decay": 5.0}
    fit(tmp_path / "whole", short(max_epochs=2, **changes), model=model)
    fit(tmp_path / "parts", short(max_epochs=1, **changes), model=model)
    fit(tmp_path / "parts", short(max_epochs=2, **changes), model=model, resume=True)
    whole, parts = (
        load_model(tmp_path / n / "model.safetensors") for n in ("whole", "parts")
    )
    start = AllegroEnergy(model, whole.statistics, 4).set_dtype(torch.float32)
    fixed = {id(weight) for weight in fix_linear_chains(start, seed=4)}
    pairs = zip(
        whole.energy.parameters(),
        parts.energy.parameters(),
        start.parameters(),
        strict=True,
    )
    moved, kept = 0, 0
    for ours, theirs, before in pairs:
        assert torch.equal(ours, theirs)
        if id(before) in fixed:
            torch.testing.assert_close(ours[:, :8].double(), before[:, :8].double())
            kept += 1
            ours, before = ours[:, 8:], before[:, 8:]
        if ours.numel():
            moved += not torch.equal(ours.double(), before.double())
    assert kept == 4 and moved > 8
