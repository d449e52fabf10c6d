# SPDX-License-Identifier: MIT
"""The compiled training step has the loss and gradients of the plain one."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from training_helpers import (
    COMPILERS,
    ethanol,
    fit,
    liquid,
    read_log,
    short,
    tiny_config,
    without,
)

pytest.importorskip("lightning")

from openmm_allegro.kernels.training.network import use_training_network
from openmm_allegro.model import AllegroEnergy
from openmm_allegro.modelfile import Model
from openmm_allegro.training import compiled
from openmm_allegro.training import train as train_module
from openmm_allegro.training.compiled import CompiledLoss, DenseBatch, DenseCollate
from openmm_allegro.training.module import TrainingModule
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples
from openmm_allegro.training.statistics import statistics


def module_and_samples(structures, size, network=None, **changes):
    config = tiny_config(**({"num_layers": 2, "l_max": 2} | (network or {})))
    samples = make_samples(structures, config, torch.float64)
    numbers = statistics(samples, config)
    model = Model(
        config, numbers, AllegroEnergy(config, numbers, 1), "total", "float64"
    )
    settings = short(batch_size=size, **changes)
    return TrainingModule(model, settings, 1), samples, config


def loss_and_gradients(module, batch):
    module.zero_grad()
    loss = module.training_step(batch, 0)
    loss.backward()
    return float(loss.detach()), [p.grad.clone() for p in module.parameters()]


def assert_same_step(traced, plain):
    assert traced[0] == pytest.approx(plain[0], rel=1e-10)
    for ours, theirs in zip(traced[1], plain[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


# Enough for what depends on no option of the network; it is traced in half the time.
SMALL = {"num_layers": 1, "l_max": 1}
CASES = {
    "molecules": (ethanol()[:3], {}, {}),
    "liquid with stress": (liquid()[:2], {"stress_weight": 3e3}, {}),
    "energies alone": (ethanol()[:3], {"forces_weight": 0.0}, SMALL),
    "lengths of errors": (ethanol()[:3], {"forces_loss": "l2mae"}, SMALL),
    "a stress is unknown": (
        (liquid()[0], without(liquid()[1], "stress")),
        {"stress_weight": 3e3},
        SMALL,
    ),
}


# Each case, and each kind of products, with one of the others; the rest is slow.
QUICK = (
    ("molecules", "a stress is unknown"),
    ("liquid with stress", "lengths of errors", "energies alone"),
)
STEPS = [
    pytest.param(case, products, marks=() if case in quick else pytest.mark.slow)
    for products, quick in zip(("dense", "sparse"), QUICK, strict=True)
    for case in CASES
]


@pytest.mark.parametrize(("case", "products"), STEPS)
def test_traced_step_is_the_plain_one(case, products, traced):
    structures, changes, network = CASES[case]
    module, samples, config = module_and_samples(
        structures, len(structures), network, **changes
    )
    plain = loss_and_gradients(module, collate(samples, config))
    if products == "sparse" and not use_training_network(module.energy):
        pytest.skip("the kernel was not built")
    batch = DenseCollate(samples, config, len(structures))(samples)
    assert isinstance(batch, DenseBatch)
    assert_same_step(loss_and_gradients(module, batch), plain)


@pytest.fixture(scope="module")
def programs():
    """What was traced first with ``of_four``, which is the same for all."""
    return []


@pytest.fixture
def of_four(traced, monkeypatch, programs):
    """Module, samples of four molecules, two a batch, and config of a small network.

    Its step is traced once for the tests that take it.
    """
    trace = CompiledLoss.trace

    def traced_once(loss, energy, batch):
        if not programs:
            programs.append(trace(loss, energy, batch))
        return programs[0]

    monkeypatch.setattr(CompiledLoss, "trace", traced_once)
    return module_and_samples(ethanol()[:4], 2, network=SMALL)


def test_trace_serves_other_weights_and_other_frames(of_four):
    module, samples, config = of_four
    join = DenseCollate(samples, config, 2)
    loss_and_gradients(module, join(samples[:2]))
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(1.1)
    step = loss_and_gradients(module, join(samples[2:]))
    assert_same_step(step, loss_and_gradients(module, collate(samples[2:], config)))


def test_gradient_of_the_loss_by_finite_differences(of_four):
    """By a central difference along a random direction, without autograd."""
    module, samples, config = of_four
    batch = DenseCollate(samples, config, 2)(samples[:2])
    _, gradients = loss_and_gradients(module, batch)
    generator = torch.Generator().manual_seed(0)
    weights = list(module.parameters())
    along = [torch.randn(p.shape, generator=generator).double() for p in weights]
    slope = sum(float((g * a).sum()) for g, a in zip(gradients, along, strict=True))

    def value(step):
        with torch.no_grad():
            for p, a in zip(weights, along, strict=True):
                p.add_(a, alpha=step)
            batch = collate(samples[:2], config)
            loss = float(module.loss(batch, predict(module.energy, batch)))
            for p, a in zip(weights, along, strict=True):
                p.sub_(a, alpha=step)
        return loss

    assert slope == pytest.approx((value(1e-5) - value(-1e-5)) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_compiled_training_learns_as_the_plain_one(tmp_path, request, compiler):
    """Also with an epoch whose last batch is smaller."""
    request.getfixturevalue(compiler)
    settings = short(batch_size=3, max_epochs=2)
    for name in ("plain", "compiled"):
        config = dataclasses.replace(settings, compile=name == "compiled")
        fit(tmp_path / name, config)
    plain, ours = (read_log(tmp_path / name) for name in ("plain", "compiled"))
    for column in ("loss", "forces_rmse"):
        np.testing.assert_allclose(
            [row[column] for row in ours], [row[column] for row in plain], rtol=1e-3
        )


def test_gradient_scales_with_what_the_loss_goes_into(of_four):
    module, samples, config = of_four
    batch = DenseCollate(samples, config, 2)(samples[:2])
    _, once = loss_and_gradients(module, batch)
    module.zero_grad()
    compiled = CompiledLoss(module.loss, **module.derived)
    (-3.0 * compiled(module.energy, batch)).backward()
    for p, g in zip(module.parameters(), once, strict=True):
        torch.testing.assert_close(p.grad, -3.0 * g)


def test_structures_of_several_sizes_are_refused(tmp_path):
    smaller = ethanol()[0]
    smaller = dataclasses.replace(
        smaller,
        symbols=smaller.symbols[:-1],
        positions=smaller.positions[:-1],
        forces=smaller.forces[:-1],
    )
    with pytest.raises(ValueError, match="2 sizes, from 8 to 9 atoms"):
        fit(
            tmp_path / "run",
            short(compile=True),
            training=(*ethanol()[:3], smaller),
        )
    assert not (tmp_path / "run").exists()


def test_no_compiler_is_named(monkeypatch):
    from torch._inductor import cpp_builder
    from torch._inductor.exc import InvalidCxxCompiler

    def missing():
        raise InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", missing)
    with pytest.raises(RuntimeError, match=r"compile = true, found none"):
        compiled.require_compiler()


def test_a_batch_that_no_epoch_fills_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"at most the 16 training structures .* 32"):
        fit(tmp_path / "run", short(compile=True, batch_size=32))
    assert not (tmp_path / "run").exists()


def test_compiler_is_looked_for_before_anything_is_written(tmp_path, monkeypatch):
    def missing():
        raise RuntimeError("expected a C++ compiler")

    monkeypatch.setattr(train_module, "require_compiler", missing)
    with pytest.raises(RuntimeError, match=r"C\+\+ compiler"):
        fit(tmp_path / "run", short(compile=True, device="cpu"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes",
    [
        SMALL | {"zbl": True, "pair_cutoffs": {"H-H": 1.7, "O-H": 2.5}},
        SMALL | {"radial_embedding": "spline"},
        {"bessel_trainable": True, "parity": False},
    ],
    ids=["zbl and pair cutoffs", "splines", "trained roots"],
)
def test_traced_step_of_other_networks(changes, traced):
    module, samples, config = module_and_samples(ethanol()[:2], 2, network=changes)
    plain = loss_and_gradients(module, collate(samples, config))
    batch = DenseCollate(samples, config, 2)(samples)
    assert_same_step(loss_and_gradients(module, batch), plain)


def test_labels_that_are_not_finite_are_refused(tmp_path):
    wrong = dataclasses.replace(ethanol()[1], forces=ethanol()[1].forces.copy())
    wrong.forces[2, 1] = np.nan
    with pytest.raises(ValueError, match="training structure 1: expected a finite"):
        fit(tmp_path / "run", short(), training=(ethanol()[0], wrong))


def test_compiled_steps_are_kept_for_later_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "mine")
    compiled.keep_programs()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    compiled.keep_programs()
    kept = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    assert kept == tmp_path / "cache" / "inductor" and kept.is_dir()
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    (tmp_path / "file").touch()  # no folder can be made in it
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path / "file"))
    compiled.keep_programs()
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


@pytest.mark.parametrize("kernel", [False, True])
def test_rows_are_grouped_by_their_number_of_neighbours(kernel):
    """The loss and gradients stay, and the padding shrinks."""
    changes = {"stress_weight": 3e3}
    module, samples, config = module_and_samples(liquid()[:2], 2, **changes)
    plain = loss_and_gradients(module, collate(samples, config))
    if kernel and not use_training_network(module.energy):
        pytest.skip("the kernel was not built")
    entries = []
    for fill in (0.0, 0.8):
        batch = DenseCollate(samples, config, 2, fill)(samples)
        entries.append(sum(neighbors.numel() for _, neighbors, _ in batch.blocks))
        loss, *gradients = module._loss_and_gradients(None, batch)
        assert_same_step((float(loss), gradients), plain)
    assert entries[1] < 0.8 * entries[0]
