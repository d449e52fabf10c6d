# SPDX-License-Identifier: MIT
"""The products that training on a CPU takes term by term, and their derivatives."""

import copy
import itertools

import pytest
import torch
from training_helpers import ethanol, fit, short, tiny_config

from openmm_allegro.kernels import library
from openmm_allegro.kernels.training import (
    contraction,
    network,
    operators,
    projection,
)
from openmm_allegro.model import AllegroEnergy
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples
from openmm_allegro.training.statistics import statistics

SIZES = {0: 4, 1: 3, 2: 5}  # components of each array
PATHS = 3

needs_kernel = pytest.mark.skipif(
    library.library() is None, reason="the kernel was not built"
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


@pytest.fixture(params=list(library.BUILDS))
def build(request, monkeypatch):
    """The kernel for one of the instruction sets."""
    loaded = library.load(request.param)
    if loaded is None:
        pytest.skip(f"{request.param} was not built or does not run here")
    assert library.is_current(loaded)
    for module in (contraction, operators, projection):
        monkeypatch.setattr(module, "library", lambda: loaded)


@pytest.mark.usefixtures("build")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("channels", [1, 5, 16, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernel_does_what_its_twin_does(dtype, channels, threads, monkeypatch):
    monkeypatch.setattr(contraction, "threads_for", lambda centers: threads)
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


@needs_kernel
def test_arrays_that_do_not_fit_are_refused():
    weights, z, x, y = arrays(4, 3)
    entries, values = table()
    operators = torch.ops.openmm_allegro
    rest = entries, values, [0, 1, 2], SIZES[0]
    for bad in (
        (weights[:1], x, y, *rest),
        (weights, x, y[:2], *rest),
        (weights, x, y, entries, values.float(), [0, 1, 2], SIZES[0]),
        (weights, x, y, entries.int(), values, [0, 1, 2], SIZES[0]),
    ):
        with pytest.raises(ValueError, match=r"contract: expected .* found"):
            operators.contract(*bad)
    with pytest.raises(TypeError, match="one dtype"):
        operators.contract(weights, x.float(), y, *rest)
    with pytest.raises(ValueError, match=r"components below \(2, 3, 5\) .* in entries"):
        operators.contract(weights, x, y, *rest[:3], 2)
    with pytest.raises(ValueError, match="paths below 1 in entries"):
        operators.contract_weights(z, x, y, *rest[:3], 1)
    with pytest.raises(ValueError, match=r"project: expected shapes .* found"):
        projection.project(x[:, 0], x, (1, 3), [(4, 1)])


def test_other_precisions_are_left_to_torch():
    weights, _, x, y = (a.bfloat16() for a in arrays(4, 3))
    rest = (*table(), (0, 1, 2), SIZES[0])
    found = contraction.contract(weights, x, y, *rest)
    assert torch.equal(found, contraction.contract_in_torch(weights, x, y, *rest))


DEGREES = (1, 3, 5, 7, 9)


def of_pairs(shapes, channels, sizes, dtype=torch.float64):
    """Arrays y, w and v, with the distance of rows that a slice of weights has."""
    generator = torch.Generator().manual_seed(2)

    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=dtype)

    pairs = sum(c * k for c, k in shapes)
    y = random(pairs, sum(sizes))
    w = random(pairs, 7 + len(sizes) * channels)[:, 7:]
    w = w.unflatten(-1, (len(sizes), channels))
    return y, w, random(sum(c for c, _ in shapes), sum(sizes), channels)


@pytest.mark.usefixtures("build")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("neighbors", [0, 1, 6])
@pytest.mark.parametrize("channels", [1, 5, 16, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_over_pairs_are_their_twins(
    dtype, channels, neighbors, threads, monkeypatch
):
    monkeypatch.setattr(projection, "threads_for", lambda centers: threads)
    shapes = [(3, neighbors), (2, 2 * neighbors)]
    y, w, v = of_pairs(shapes, channels, DEGREES, dtype)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {}
    for name, arrays_of in (("project", (y, w)), ("spread", (y, v)), ("meet", (w, v))):
        found = getattr(projection, name)(*arrays_of, DEGREES, shapes)
        in_torch = getattr(projection, f"{name}_in_torch")
        expected = in_torch(*arrays_of, DEGREES, shapes)
        torch.testing.assert_close(found, expected, **tolerance)


def test_sums_over_pairs_term_by_term():
    sizes, shapes, degree = (3, 1), [(2, 2), (1, 3)], [0, 0, 0, 1]
    arrays_of = of_pairs(shapes, 2, sizes)
    y, w, v = (a.tolist() for a in arrays_of)
    y_, w_, v_ = arrays_of
    found = {
        "project": projection.project(y_, w_, sizes, shapes),
        "spread": projection.spread(y_, v_, sizes, shapes),
        "meet": projection.meet(w_, v_, sizes, shapes),
    }
    expected = {name: torch.zeros_like(a) for name, a in found.items()}
    centers = [0, 0, 1, 1, 2, 2, 2]
    for p, a, u in itertools.product(range(7), range(4), range(2)):
        c, d = centers[p], degree[a]
        expected["project"][c, a, u] += y[p][a] * w[p][d][u]
        expected["spread"][p, d, u] += y[p][a] * v[c][a][u]
        expected["meet"][p, a] += w[p][d][u] * v[c][a][u]
    for name, a in found.items():
        torch.testing.assert_close(a, expected[name])


@pytest.mark.parametrize("name", projection.NAMES)
def test_derivatives_of_sums_over_pairs_by_finite_differences(name):
    sizes = (1, 3)
    shapes = [(2, 3), (1, 2)]
    y, w, v = (a.requires_grad_() for a in of_pairs(shapes, 2, sizes))
    inputs = {"project": (y, w), "spread": (y, v), "meet": (w, v)}[name]

    def operator(*arrays_of):
        return getattr(projection, name)(*arrays_of, sizes, shapes)

    assert torch.autograd.gradcheck(operator, inputs)
    assert torch.autograd.gradgradcheck(operator, inputs)


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
            assert network.use_training_network(energy)
        prediction = predict(energy, batch, training=True)
        loss = prediction.energies.square().sum() + prediction.forces.square().sum()
        gradients = torch.autograd.grad(loss, list(energy.parameters()))
        found.append([prediction.energies, prediction.forces, *gradients])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@needs_kernel
def test_such_a_network_can_still_be_scripted():
    config = tiny_config(num_layers=2)
    samples = make_samples(ethanol()[:2], config, torch.float64)
    batch = collate(samples, config)
    energy = AllegroEnergy(config, statistics(samples, config), 3)
    expected = predict(energy, batch).energies
    assert network.use_training_network(energy)
    scripted = torch.jit.script(copy.deepcopy(energy))
    torch.testing.assert_close(predict(scripted, batch).energies, expected)


@needs_kernel
def test_training_on_a_cpu_takes_it(tmp_path, monkeypatch):
    called = []
    plain = network.TrainingNetwork.__call__

    def counted(*arguments):
        called.append(len(arguments))
        return plain(*arguments)

    monkeypatch.setattr(network.TrainingNetwork, "__call__", counted)
    model = fit(tmp_path / "run", short(max_epochs=1, device="cpu"))
    assert called and model.energy.network.in_training is None


def test_without_the_kernel_the_network_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(network, "library", lambda: None)
    config = tiny_config()
    samples = make_samples(ethanol()[:2], config, torch.float64)
    energy = AllegroEnergy(config, statistics(samples, config), 3)
    assert not network.use_training_network(energy)
    assert energy.network.in_training is None
