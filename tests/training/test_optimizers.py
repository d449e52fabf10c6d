# SPDX-License-Identifier: MIT
"""Steps of Muon: orthogonal, of the promised size, the same after a restart."""

import numpy as np
import pytest
import torch

from openmm_allegro.training.optimizers import Muon, orthogonalised


def gaussian(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def matrices(seed=0):
    return [
        torch.nn.Parameter(gaussian(*shape, seed=seed + i))
        for i, shape in enumerate([(8, 30), (30, 8), (16, 16), (3, 40)])
    ]


def steps(parameters, optimizer, numbers):
    for number in numbers:
        for i, p in enumerate(parameters):
            p.grad = gaussian(*p.shape, seed=100 * number + i)
        optimizer.step()


def test_orthogonalised_keeps_singular_vectors_and_evens_values():
    x = gaussian(4, 12, 20)
    before, after = (
        torch.linalg.svd(m, full_matrices=False) for m in (x, orthogonalised(x))
    )
    assert 0.6 < after.S.min() and after.S.max() < 1.3
    # in the basis of the input's singular vectors the result is diagonal
    inside = before.U.mT @ orthogonalised(x) @ before.Vh.mT
    off = inside - torch.diag_embed(torch.diagonal(inside, dim1=1, dim2=2))
    assert off.abs().max() < 1e-12


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e15])
def test_step_has_the_size_of_the_rate_whatever_the_gradient(scale):
    for p in matrices()[:3]:
        before = p.detach().clone()
        p.grad = scale * gaussian(*p.shape, seed=5)
        Muon([p], lr=0.01).step()
        step = p.detach() - before
        assert float(step.square().mean().sqrt()) == pytest.approx(0.01, rel=0.25)
        assert float((step * p.grad).sum()) < 0


def test_matrices_of_one_shape_do_not_feel_each_other():
    together, alone = matrices(), matrices()
    steps(together, Muon(together, lr=0.02), range(4))
    for i, p in enumerate(alone):
        optimizer = Muon([p], lr=0.02)
        for number in range(4):
            p.grad = gaussian(*p.shape, seed=100 * number + i)
            optimizer.step()
        torch.testing.assert_close(p, together[i], rtol=1e-12, atol=1e-14)


def test_no_gradient_no_step():
    (p,) = matrices()[:1]
    before = p.detach().clone()
    optimizer = Muon([p], lr=0.02)
    optimizer.step()
    assert torch.equal(p, before)
    p.grad = torch.zeros_like(p)
    optimizer.step()
    assert torch.equal(p, before)


def test_weight_decay_takes_its_fraction_of_matrices_apart_from_the_step():
    """Without a gradient they fall geometrically; with one the steps are the same."""
    still, moved, plain = matrices(), matrices(), matrices()
    before = [p.detach().clone() for p in still]
    optimizer = Muon(still, lr=0.02, weight_decay=3.0)
    for _ in range(5):
        for p in still:
            p.grad = torch.zeros_like(p)
        optimizer.step()
    for p, start in zip(still[:3], before[:3], strict=True):
        torch.testing.assert_close(p.detach(), start * 0.94**5, rtol=1e-13, atol=0)
    assert torch.equal(still[3], before[3])  # too few rows: Adam's

    steps(moved, Muon(moved, lr=0.02, weight_decay=3.0), range(1))
    steps(plain, Muon(plain, lr=0.02), range(1))
    for p, other, start in zip(moved[:3], plain[:3], before[:3], strict=True):
        torch.testing.assert_close(p + 0.06 * start, other, rtol=1e-12, atol=1e-14)


def test_state_of_a_time_without_weight_decay_is_read():
    old, new = Muon(matrices(), lr=0.02), Muon(matrices(), lr=0.02, weight_decay=1.0)
    state = old.state_dict()
    for group in state["param_groups"]:
        del group["weight_decay"]
    new.load_state_dict(state)
    assert [group["weight_decay"] for group in new.param_groups] == [0.0]


def test_state_is_all_there_is():
    whole, first = matrices(), matrices()
    steps(whole, Muon(whole, lr=0.02), range(6))
    optimizer = Muon(first, lr=0.02)
    steps(first, optimizer, range(3))
    again = [torch.nn.Parameter(p.detach().clone()) for p in first]
    restarted = Muon(again, lr=0.5)
    restarted.load_state_dict(optimizer.state_dict())
    steps(again, restarted, range(3, 6))
    for p, q in zip(whole, again, strict=True):
        assert torch.equal(p, q)


def test_small_matrices_take_steps_of_adam():
    ours, theirs = (torch.nn.Parameter(gaussian(3, 40)) for _ in range(2))
    for number in range(5):
        ours.grad = theirs.grad = gaussian(3, 40, seed=number + 1)
        if number == 0:
            muon = Muon([ours], lr=0.02)
            adam = torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.99))
        muon.step()
        adam.step()
    np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=1e-6)


def test_minimum_of_a_badly_scaled_quadratic_is_found():
    """|A (W - W0) B|² with condition numbers of 1e3, where plain descent stalls."""
    left = torch.diag(torch.logspace(0, -3, 8, dtype=torch.float64))
    right = torch.diag(torch.logspace(0, -3, 12, dtype=torch.float64))
    target, p = gaussian(8, 12), torch.nn.Parameter(gaussian(8, 12, seed=1))
    optimizer = Muon([p], lr=0.05)
    first = None
    for number in range(400):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - number / 400)
        loss = (left @ (p - target) @ right).square().sum()
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3 * first


def test_what_is_no_matrix_and_what_is_named_takes_steps_of_adam():
    vector, named = gaussian(5), gaussian(8, 12)
    ours = [torch.nn.Parameter(x.clone()) for x in (gaussian(6, 7), vector, named)]
    theirs = [torch.nn.Parameter(x.clone()) for x in (vector, named)]
    muon = Muon(ours[:2], lr=0.02, adam=ours[2:])
    adam = torch.optim.Adam(theirs, lr=0.01, betas=(0.9, 0.99))
    for number in range(3):
        for i, p in enumerate(ours):
            p.grad = gaussian(*p.shape, seed=10 * number + i)
        for p, q in zip(ours[1:], theirs, strict=True):
            q.grad = p.grad
        muon.step()
        adam.step()
    for p, q in zip(ours[1:], theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "changes",
    [{"bessel_trainable": True}, {"radial_embedding": "spline"}],
    ids=["roots", "splines"],
)
def test_every_weight_is_trained_and_embeddings_by_adam(changes):
    pytest.importorskip("lightning")
    from training_helpers import short, tiny_model

    from openmm_allegro.training.module import TrainingModule

    settings = short(optimizer="muon", momentum=0.9)
    module = TrainingModule(tiny_model(**changes), settings, 1)
    optimizer = module.configure_optimizers()["optimizer"]
    assert {g["momentum"] for g in optimizer.param_groups} == {0.9}
    groups = {g["adam"]: g["params"] for g in optimizer.param_groups}
    assert sum(map(len, groups.values())) == len(list(module.parameters()))
    embedding = module.energy.network.embedding
    by_adam = {id(p) for p in groups[True]}
    for name, p in embedding.named_parameters():
        assert (id(p) in by_adam) == (not name.startswith("linear"))
    before = [p.detach().clone() for p in module.parameters()]
    for p in module.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    changed = [not torch.equal(p, q) for p, q in zip(module.parameters(), before)]  # noqa: B905
    assert all(changed)
