# SPDX-License-Identifier: MIT
"""Charges of a model: scalars of the environment, strictly local, of a given sum."""

import json

import pytest
import torch
from helpers import (
    CHARGED,
    CUTOFF,
    FULL,
    close,
    evaluate_structure,
    float64,
    random_atoms,
    random_rotation,
    tiny_config,
    tiny_energy,
    tiny_statistics,
)

from openmm_allegro.interop.nequip.write import builder_arguments
from openmm_allegro.kernels.library import library
from openmm_allegro.kernels.training.network import use_training_network
from openmm_allegro.model.charges import with_total, with_totals
from openmm_allegro.model.long_range import LongRangeSettings, long_range_settings
from openmm_allegro.model.model import Model, digest
from openmm_allegro.modelfile import load_model, read_header, save_model
from openmm_allegro.neighbors import PairList, center_blocks

CONSTANT = CHARGED | {"charges": "constant"}


def charged_model(config, dtype="float64"):
    statistics = tiny_statistics(config)
    return Model(config, statistics, tiny_energy(config), "total", dtype)


def raw_charges(energy, config, positions, cell, periodic, types):
    """Energies and raw charges [N] of atoms, all blocks in one call."""
    centers, neighbors, vectors = PairList(config.cutoff)(positions, cell, periodic)
    pairs = centers, neighbors, vectors, len(types), 1.5 * config.cutoff, 64
    atoms, others, r = zip(*center_blocks(*pairs), strict=True)
    shapes = [tuple(block.shape) for block in others]
    order = torch.cat(atoms)
    kinds = types[order], types[torch.cat([block.flatten() for block in others])]
    vectors = torch.cat([block.flatten(0, 1) for block in r])
    found = energy.block_outputs(vectors, *kinds, shapes)
    energies, charges = (torch.empty_like(x).index_copy(0, order, x) for x in found)
    return energies.detach(), charges.detach()


@pytest.fixture(scope="module", params=[{}, FULL], ids=["plain", "full"])
def config(request):
    return tiny_config(**request.param, **CHARGED)


@pytest.fixture(scope="module")
def energy(config):
    return tiny_energy(config)


def test_charges_are_scalars_of_the_environment(config, energy):
    """They are the same in another frame of reference, mirrored, and in any order."""
    atoms = random_atoms("triclinic")
    _, charges = raw_charges(energy, config, *atoms)
    assert charges.std() > 1e-3
    for rotation in (random_rotation(), -random_rotation(1)):
        turned = (atoms.positions @ rotation.T, atoms.cell @ rotation.T, *atoms[2:])
        close(raw_charges(energy, config, *turned)[1], charges)
    order = torch.randperm(len(charges), generator=torch.Generator().manual_seed(0))
    shuffled = (atoms.positions[order], *atoms[1:3], atoms.types[order])
    close(raw_charges(energy, config, *shuffled)[1], charges[order])


def test_raw_charges_are_strictly_local(config, energy):
    atoms = random_atoms("large", count=20)
    _, before = raw_charges(energy, config, *atoms)
    centers, neighbors, _ = PairList(CUTOFF + 0.2)(*atoms[:3])
    generator = torch.Generator().manual_seed(1)
    steps = torch.rand(atoms.positions.shape, generator=generator).double() - 0.5
    moving = torch.ones(len(steps), 1)
    moving[0], moving[neighbors[centers == 0]] = 0.0, 0.0
    assert moving.sum() > 2
    positions = atoms.positions + 0.2 * moving * steps
    _, after = raw_charges(energy, config, positions, *atoms[1:])
    close(after[0], before[0], rtol=0, atol=1e-13)
    assert (after - before).abs().max() > 1e-4
    # an atom alone has none
    alone = float64([[0.0, 0.0, 0.0], [1.01 * CUTOFF, 0.0, 0.0]])
    free = torch.zeros(3, 3).double(), torch.zeros(3, dtype=torch.bool)
    assert not raw_charges(energy, config, alone, *free, torch.tensor([0, 1]))[1].any()


@pytest.mark.parametrize("charges", ["learned", "constant"])
def test_energies_start_as_those_without_charges(charges):
    """All weights that both networks have are drawn alike."""
    config = tiny_config(**CHARGED | {"charges": charges})
    atoms = random_atoms("triclinic")
    without = tiny_energy(tiny_config())
    expected = evaluate_structure(without, config, *atoms).energies
    energies, raw = raw_charges(tiny_energy(config), config, *atoms)
    close(energies, expected)
    assert raw.any() == (charges == "learned")


def test_outputs_of_a_model_without_charges(config):
    config = tiny_config()
    energy = tiny_energy(config)
    atoms = random_atoms("tiny")
    energies, raw = raw_charges(energy, config, *atoms)
    assert not energy.charged and energy.charges is None and not raw.any()
    close(energies, evaluate_structure(energy, config, *atoms).energies)


@pytest.mark.parametrize("charges", ["none", "learned", "constant"])
def test_outputs_can_be_scripted(charges):
    """Also where a caller wants energies alone."""
    config = tiny_config(
        **(CHARGED | {"charges": charges} if charges != "none" else {})
    )
    energy = tiny_energy(config)

    class Caller(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.energy = energy

        def forward(self, vectors: torch.Tensor, c: torch.Tensor, n: torch.Tensor):
            shapes = [(n.shape[0], n.shape[1])]
            kinds = vectors.flatten(0, 1), c, n.flatten(), shapes
            return self.energy.block_outputs(*kinds), self.energy(vectors, c, n)

    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(4, 6, 3, generator=generator, dtype=torch.float64)
    kinds = [torch.randint(3, shape, generator=generator) for shape in ((4,), (4, 6))]
    scripted = torch.jit.script(Caller())
    (energies, raw), alone = scripted(vectors, *kinds)
    (expected, expected_raw), _ = Caller()(vectors, *kinds)
    close(energies, expected)
    close(alone, expected)
    close(raw, expected_raw)
    names = {name for name, _ in scripted.named_buffers()}
    assert ("energy.charges.factors" in names) == (charges != "none")


def test_frames_have_their_total_charge():
    generator = torch.Generator().manual_seed(0)
    count = 3000
    raw = torch.randn(count, generator=generator, dtype=torch.float64)
    types = torch.randint(3, (count,), generator=generator)
    frames = torch.randint(4, (count,), generator=generator)
    totals = float64([0.0, 1.0, -2.0, 0.5])
    charges = tiny_energy(tiny_config(**CHARGED)).charges
    found = charges(raw, types, frames, totals).detach()
    for frame, total in enumerate(totals):
        atoms = frames == frame
        assert found[atoms].sum() == pytest.approx(float(total), abs=1e-12)
        own = raw[atoms] + charges.start[types[atoms]].detach()
        close(found[atoms], with_total(own, float(total)), rtol=0, atol=1e-14)
        close(found[atoms] - found[atoms][0], own - own[0], rtol=0, atol=1e-14)


def test_the_same_for_all_has_no_effect():
    """Adding to all charges changes none: the derivative by it is zero."""
    raw = torch.randn(7, dtype=torch.float64).requires_grad_()
    seeds = torch.randn(7, dtype=torch.float64)
    frames, totals = torch.zeros(7, dtype=torch.int64), float64([1.0])
    (slope,) = torch.autograd.grad(
        (with_totals(raw, frames, totals) * seeds).sum(), raw
    )
    close(slope, seeds - seeds.mean(), rtol=0, atol=1e-15)


def test_settings_beside_the_network():
    model = charged_model(tiny_config(**CHARGED))
    assert long_range_settings(model, 1.0) == LongRangeSettings(
        (0.3, -0.7, 0.9), 2 / CUTOFF, 1.0, True
    )
    model = charged_model(tiny_config(**CONSTANT, charge_alpha=0.4))
    assert long_range_settings(model)[1:] == (0.4, 0.0, False)
    assert long_range_settings(charged_model(tiny_config())) is None


@pytest.mark.skipif(library() is None, reason="the kernel was not built")
def test_training_form_of_the_network():
    """It gives energies and charges of pairs, and their derivatives by the weights."""
    config = tiny_config(**CHARGED)
    centers, neighbors, vectors = PairList(CUTOFF)(*random_atoms("triclinic")[:3])
    types = random_atoms("triclinic").types
    counts = torch.bincount(centers)
    keep = centers == int(counts.argmax())
    pairs = vectors[keep], types[centers[keep][:1]], types[neighbors[keep]]
    shapes = [(1, int(keep.sum()))]
    found = []
    for fast in (False, True):
        energy = tiny_energy(config)
        assert not fast or use_training_network(energy)
        outputs = energy.network(*pairs, shapes)
        assert outputs.shape == (shapes[0][1], 2)
        loss = (outputs * float64([1.0, -3.0])).square().sum()
        weights = list(energy.network.parameters())
        found.append([outputs, *torch.autograd.grad(loss, weights)])
    for ours, theirs in zip(*found, strict=True):
        close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("charges", ["learned", "constant"])
def test_model_file(charges, dtype, tmp_path, capsys):
    """It gives back the charges, is of a version of its own, and info shows them."""
    from openmm_allegro.cli.main import main

    config = tiny_config(**CHARGED | {"charges": charges}, charge_alpha=0.4)
    model = charged_model(config, dtype)
    with torch.no_grad():
        model.energy.charges.start.add_(0.125)
    path = save_model(model, tmp_path / "model.safetensors")
    header, loaded = read_header(path), load_model(path)
    assert header["format_version"] == 4
    assert loaded.config == config and digest(loaded) == digest(model)
    expected = [charge + 0.125 for charge in config.charge_start.values()]
    assert long_range_settings(loaded).start == pytest.approx(expected, abs=1e-6)
    atoms = random_atoms("tiny")
    for ours, theirs in zip(
        *(raw_charges(m.energy, config, *atoms) for m in (model, loaded)), strict=True
    ):
        close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert main(["info", str(path)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["num_weights"] == sum(p.numel() for p in model.energy.parameters())
    assert shown["charges"]["alpha"] == 0.4
    oxygen = shown["charges"]["elements"]["O"]
    assert oxygen == {"start": -0.7, "trained": pytest.approx(-0.575, abs=1e-6)}


def test_model_file_without_charges_is_as_before(tmp_path):
    config = tiny_config()
    header = read_header(save_model(charged_model(config), tmp_path / "m.safetensors"))
    assert header["format_version"] == 2
    assert not [name for name in header["config"] if name.startswith("charge")]


def test_charge_scale(tmp_path):
    """What the network adds to the charges is proportional to it; files keep it."""
    from openmm_allegro.model.config import CHARGE_SCALE

    atoms = random_atoms("tiny")
    raw = {}
    for scale in (CHARGE_SCALE, CHARGE_SCALE / 3):
        model = charged_model(tiny_config(**CHARGED, charge_scale=scale))
        path = save_model(model, tmp_path / f"{scale}.safetensors")
        kept = {} if scale == CHARGE_SCALE else {"charge_scale": scale}
        config = read_header(path)["config"]
        assert {k: v for k, v in config.items() if k == "charge_scale"} == kept
        loaded = load_model(path)
        _, raw[scale] = raw_charges(loaded.energy, loaded.config, *atoms)
    close(raw[CHARGE_SCALE], 3 * raw[CHARGE_SCALE / 3], rtol=1e-9, atol=1e-12)
    assert raw[CHARGE_SCALE].abs().max() > 1e-3


def test_model_file_of_absurd_charges(tmp_path):
    model = charged_model(tiny_config(**CHARGED))
    with torch.no_grad():
        model.energy.charges.start[1] = -11.0
    path = save_model(model, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="a charge of O within 10 e, found -11 e"):
        load_model(path)


def test_programs_of_nequip_have_no_charges():
    with pytest.raises(
        ValueError, match=r"export: .*charges = 'none'.*found 'learned'"
    ):
        builder_arguments(charged_model(tiny_config(**CHARGED)))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"charges": "fixed"}, "expected charges of .*found 'fixed'"),
        ({"charges": "learned"}, "charge_start with a charge for each of .*found {}"),
        (
            {"charges": "constant", "charge_start": {"H": 0.4, "O": -0.8}},
            "charge_start with a charge for each of",
        ),
        (CHARGED | {"charges": "none"}, "charges of 'constant' or 'learned' beside"),
        ({"charge_alpha": 0.4}, "charges of 'constant' or 'learned' beside"),
        ({"charge_scale": 0.1}, "charges of 'constant' or 'learned' beside"),
        (CHARGED | {"charge_scale": 0.0}, "charge_scale of at least 0.001"),
        (CHARGED | {"charge_alpha": 0.01}, "charge_alpha of 0 or at least 0.05"),
        (CHARGED | {"charge_alpha": 3.0}, "charge_alpha of at least 0 and at most 2"),
    ],
)
def test_bad_settings(overrides, message):
    with pytest.raises(ValueError, match=message):
        tiny_config(**overrides)
