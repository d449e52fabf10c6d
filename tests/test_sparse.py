# SPDX-License-Identifier: MIT
"""The products that training on a CPU takes term by term, and their derivatives."""

import pytest
import torch
from training_helpers import ethanol, fit, short, tiny_config

from openmm_allegro.dataset import collate, make_samples, statistics
from openmm_allegro.evaluate import predict
from openmm_allegro.kernels import contraction, sparse
from openmm_allegro.model import AllegroEnergy

SIZES = {0: 4, 1: 3, 2: 5}  # components of each array
PATHS = 3

needs_kernel = pytest.mark.skipif(
    not contraction.available(), reason="the kernel was not built"
)


def table(terms=11, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def column(size):
        return torch.randint(size, (terms,), generator=generator)

    entries = torch.stack([*map(column, SIZES.values()), column(PATHS)], 1)
    return entries, torch.randn(terms, generator=generator, dtype=torch.float64)


def arrays(centers, channels, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    shapes = [(channels, PATHS), *((centers, s, channels) for s in SIZES.values())]
    return [torch.randn(s, generator=generator, dtype=dtype) for s in shapes]


@needs_kernel
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("channels", [1, 5, 16, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernel_does_what_its_twin_does(dtype, channels, threads, monkeypatch):
    monkeypatch.setattr(contraction, "_threads", lambda centers: threads)
    weights, z, x, y = arrays(9, channels, dtype)
    operators = torch.ops.openmm_allegro
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {}
    for columns, factors, size in (
        ((0, 1, 2), (x, y), SIZES[0]),
        ((1, 0, 2), (z, y), SIZES[1]),
        ((2, 1, 0), (x, z), SIZES[2]),
    ):
        rest = (*table(), list(columns), size)
        torch.testing.assert_close(
            operators.contract(weights, *factors, *rest),
            contraction.contract_in_torch(weights, *factors, *rest),
            **tolerance,
        )
    rest = (*table(), [0, 1, 2], PATHS)
    torch.testing.assert_close(
        operators.contract_weights(z, x, y, *rest),
        contraction.contract_weights_in_torch(z, x, y, *rest),
        **tolerance,
    )


def test_product_is_the_sum_of_its_terms():
    weights, _, x, y = arrays(2, 3)
    entries, values = table()
    expected = torch.zeros(2, SIZES[0], 3, dtype=torch.float64)
    for (o, i, j, path), value in zip(entries.tolist(), values.tolist(), strict=True):
        for c in range(2):
            for u in range(3):
                term = value * weights[u, path] * x[c, i, u] * y[c, j, u]
                expected[c, o, u] += term
    found = contraction.contract(weights, x, y, entries, values, (0, 1, 2), SIZES[0])
    torch.testing.assert_close(found, expected)


def test_first_and_second_derivatives_by_finite_differences():
    weights, _, x, y = (a.requires_grad_() for a in arrays(2, 3))

    def product(weights, x, y):
        return contraction.contract(weights, x, y, *table(), (0, 1, 2), SIZES[0])

    assert torch.autograd.gradcheck(product, (weights, x, y))
    assert torch.autograd.gradgradcheck(product, (weights, x, y))


def test_derivatives_of_the_weights_gradient_by_finite_differences():
    _, z, x, y = (a.requires_grad_() for a in arrays(2, 3))

    def product(z, x, y):
        operator = torch.ops.openmm_allegro.contract_weights
        return operator(z, x, y, *table(), [0, 1, 2], PATHS)

    assert torch.autograd.gradcheck(product, (z, x, y))
    assert torch.autograd.gradgradcheck(product, (z, x, y))


NETWORKS = {
    "one layer": {"num_layers": 1, "l_max": 2},
    "two layers": {"num_layers": 2, "l_max": 3},
    "three layers, both parities": {"num_layers": 3, "l_max": 2},
    "three layers, one parity": {"num_layers": 3, "l_max": 2, "parity": False},
    "scalars alone": {"num_layers": 2, "l_max": 0},
    "one weight for all channels": {"path_channel_coupling": False, "l_max": 2},
    "chosen irreps": {
        "l_max": 2,
        "num_layers": 3,
        "edge_irreps": ("0e", "2e"),
        "tensor_irreps": ("0e", "2e", "1e"),
    },
    "core repulsion and cutoffs of pairs": {
        "zbl": True,
        "pair_cutoffs": {"H-H": 1.7, "O-H": 2.5},
    },
}


@needs_kernel
@pytest.mark.parametrize("name", NETWORKS)
def test_network_and_its_training_gradient_are_the_same(name):
    config = tiny_config(**NETWORKS[name])
    samples = make_samples(ethanol()[:2], config, torch.float64)
    batch = collate(samples, config)
    found = []
    for fast in (False, True):
        energy = AllegroEnergy(config, statistics(samples, config), 3)
        if fast:
            assert sparse.use_sparse_products(energy)
        prediction = predict(energy, batch, training=True)
        loss = prediction.energies.square().sum() + prediction.forces.square().sum()
        gradients = torch.autograd.grad(loss, list(energy.parameters()))
        found.append([prediction.energies, prediction.forces, *gradients])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@needs_kernel
def test_training_on_a_cpu_takes_it(tmp_path, monkeypatch):
    called = []
    plain = sparse.SparseChain.__call__

    def counted(chain, environments):
        called.append(len(environments))
        return plain(chain, environments)

    monkeypatch.setattr(sparse.SparseChain, "__call__", counted)
    model = fit(tmp_path / "run", short(max_epochs=1, device="cpu"))
    assert called and model.energy.network.sparse is None


def test_without_the_kernel_the_network_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(sparse, "available", lambda: False)
    config = tiny_config()
    samples = make_samples(ethanol()[:2], config, torch.float64)
    energy = AllegroEnergy(config, statistics(samples, config), 3)
    assert not sparse.use_sparse_products(energy)
    assert energy.network.sparse is None
