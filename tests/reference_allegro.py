# SPDX-License-Identifier: MIT
"""The function of ``openmm_allegro.model``, computed pair by pair.

Here each pair carries its own tensor features and every tensor product is e3nn's, one
row per pair: slow, and with nothing in common with the package but the weights.
"""

import contextlib
import math

import e3nn
import torch
from ase.data import atomic_numbers
from e3nn import o3
from torch import Tensor

ACTIVATIONS = {
    "silu": lambda x: x / (1.0 + torch.exp(-x)),
    "mish": lambda x: x * torch.tanh(torch.log1p(torch.exp(x))),
    "gelu": lambda x: 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0))),
}


def reference_energy(energy, config, statistics, types, centers, neighbors, vectors):
    """Energies of the atoms [N] (eV), differentiable by ``vectors``.

    Parameters
    ----------
    energy : AllegroEnergy
        Only its weights are used.
    config : AllegroConfig
    statistics : Statistics
    types : Tensor [N], int64
    centers, neighbors : Tensor [P], int64
    vectors : Tensor [P, 3], Å, float64
        From centre to neighbour. Pairs beyond their cutoff may be there.
    """
    r = vectors.norm(dim=-1)
    symbols = [config.elements[t] for t in types.tolist()]
    ends = zip(centers.tolist(), neighbors.tolist(), strict=True)
    names = [f"{symbols[i]}-{symbols[j]}" for i, j in ends]
    cutoffs = r.new_tensor([config.pair_cutoffs.get(n, config.cutoff) for n in names])
    pairs = pair_energies(
        energy.network, config, statistics, types, centers, neighbors, vectors, cutoffs
    )
    scales, shifts, mean_neighbors = (
        r.new_tensor(getattr(statistics, name))[types]
        for name in ("scales", "shifts", "mean_neighbors")
    )
    sums = torch.zeros_like(shifts).index_add(0, centers, pairs)
    energies = shifts + scales * sums / torch.sqrt(2.0 * mean_neighbors)
    if config.zbl:
        z = r.new_tensor([atomic_numbers[e] for e in config.elements])[types]
        core = 0.5 * zbl(r, cutoffs, z[centers], z[neighbors])
        energies = energies.index_add(0, centers, core)
    if config.core_rates:
        strengths = energy.terms["core"].strengths[types[centers], types[neighbors]]
        terms = strengths * torch.exp(-r[:, None] * r.new_tensor(config.core_rates))
        core = 0.5 * terms.sum(1) / r * envelope(r / cutoffs, 6.0)
        energies = energies.index_add(0, centers, core)
    return energies


def pair_energies(net, config, statistics, types, centers, neighbors, vectors, cutoffs):
    """Dimensionless energies of the ordered pairs [P]."""
    channels, scalars = config.num_tensor_features, config.num_scalar_features
    r = vectors.norm(dim=-1)
    harmonics = [
        o3.spherical_harmonics(degree, vectors, True, normalization="component")
        for degree in range(config.l_max + 1)
    ]
    norm = r.new_tensor(statistics.mean_neighbors)[types].sqrt()[centers, None]

    x = embedding(net.embedding, config, r, cutoffs, types, centers, neighbors)
    x = mlp(net.two_body, config.two_body_nonlinearity, x)
    features = weighted(harmonics, mlp(net.tensor_weights, "none", x), channels)
    x = mlp(net.first_projection, "none", x)
    track = [x[:, :scalars]]
    irreps = kept_irreps(config.l_max, config.parity, config.num_layers)
    for layer in range(config.num_layers):
        of_pairs = weighted(harmonics, x[:, scalars:], channels)
        sums = of_pairs.new_zeros(len(types), of_pairs.shape[1])
        environment = sums.index_add(0, centers, of_pairs)[centers] / norm
        product = tensor_product(*irreps[layer : layer + 2], config.l_max, channels)
        weights = net.operators[layer].weight.expand(channels, -1).t()
        features = product(features, environment, weights.flatten())
        # 0e comes first among the irreps of every layer
        x = torch.cat((*track, features[:, :channels]), -1)
        x = mlp(net.latents[layer], config.latent_nonlinearity, x)
        track.append(x[:, :scalars])
    return mlp(net.readout, config.readout_nonlinearity, torch.cat(track, -1))[:, 0]


def embedding(module, config, r, cutoffs, types, centers, neighbors) -> Tensor:
    """Bessel functions times envelope times elements, [P, E]."""
    x = r / cutoffs
    bessel = torch.stack([n * torch.sinc(n * x) for n in module.roots], -1)
    radial = bessel * envelope(x, config.envelope_p)[:, None]
    elements = module.center[types[centers]], module.neighbor[types[neighbors]]
    return mlp(module.linear, "none", radial) * torch.cat(elements, -1)


def envelope(x: Tensor, p: float) -> Tensor:
    """Polynomial cutoff: 1 at 0; value and two derivatives 0 at 1."""
    a, b, c = (p + 1) * (p + 2) / 2, p * (p + 2), p * (p + 1) / 2
    inside = 1 - a * x**p + b * x ** (p + 1) - c * x ** (p + 2)
    return torch.where(x < 1, inside, torch.zeros_like(x))


def mlp(module, nonlinearity: str, x: Tensor) -> Tensor:
    """Matrix products without biases, inputs of unit variance kept so."""
    gain = 1.0
    for index, layer in enumerate(module.layers):
        if index > 0 and nonlinearity != "none":
            x = ACTIVATIONS[nonlinearity](x)
            gain = math.sqrt(2.0)
        x = x @ layer.weight * (gain / math.sqrt(layer.weight.shape[0]))
    return x


def weighted(harmonics: list[Tensor], weights: Tensor, channels: int) -> Tensor:
    """Harmonics times weights [P, (l_max+1)·U] in e3nn's layout, U × 0e + U × 1o + …"""
    by_degree = weights.split(channels, -1)  # the channel is the fastest index
    products = [
        (w[:, :, None] * y[:, None, :]).flatten(1)
        for w, y in zip(by_degree, harmonics, strict=True)
    ]
    return torch.cat(products, -1)


def kept_irreps(l_max: int, parity: bool, layers: int) -> list[list[tuple[int, int]]]:
    """(l, p) of the features before each layer and after the last, by selection rules.

    An irrep is kept where a chain of products with the harmonics leads from the
    harmonics to it and from it on to the scalar.
    """
    natural = [(degree, (-1) ** degree) for degree in range(l_max + 1)]
    allowed = [(d, p) for d in range(l_max + 1) for p in (1, -1)]
    allowed = [ir for ir in allowed if parity or ir in natural]

    def step(sources):  # the same in both directions
        degrees = range(l_max + 1)
        return [
            c
            for c in allowed
            if any(is_path(a, d, c) for a in sources for d in degrees)
        ]

    reachable, useful = [natural], [[(0, 1)]]
    for _ in range(layers):
        reachable.append(step(reachable[-1]))
        useful.insert(0, step(useful[0]))
    both = zip(reachable, useful, strict=True)
    return [[ir for ir in forward if ir in backward] for forward, backward in both]


def is_path(a: tuple[int, int], degree: int, c: tuple[int, int]) -> bool:
    """Triangle rule and product of parities for a ⊗ Y_degree → c."""
    return abs(a[0] - degree) <= c[0] <= a[0] + degree and c[1] == a[1] * (-1) ** degree


def tensor_product(irreps_in, irreps_out, l_max: int, channels: int):
    """e3nn's product of features and environment, channel by channel."""
    instructions = [
        (i, degree, k, "uuu", True)
        for k, c in enumerate(irreps_out)
        for i, a in enumerate(irreps_in)
        for degree in range(l_max + 1)
        if is_path(a, degree, c)
    ]
    harmonics = [(degree, (-1) ** degree) for degree in range(l_max + 1)]
    tracks = (irreps_in, harmonics, irreps_out)
    with e3nn_in_float64():
        return o3.TensorProduct(
            *(o3.Irreps([(channels, ir) for ir in track]) for track in tracks),
            instructions,
            irrep_normalization="component",
            path_normalization="none",
            internal_weights=False,
            shared_weights=True,
        )


@contextlib.contextmanager
def e3nn_in_float64():
    """e3nn stores its coefficients in the default dtype and compiles by default."""
    dtype, options = torch.get_default_dtype(), e3nn.get_optimization_defaults()
    torch.set_default_dtype(torch.float64)
    e3nn.set_optimization_defaults(jit_mode="eager", optimize_einsums=False)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        for name in ("jit_mode", "optimize_einsums"):
            e3nn.set_optimization_defaults(**{name: options[name]})


def zbl(r: Tensor, cutoffs: Tensor, z_i: Tensor, z_j: Tensor) -> Tensor:
    """Screened repulsion of whole pairs [P], eV."""
    length = 0.46850 / (z_i**0.23 + z_j**0.23)
    coefficients = (0.02817, 0.28022, 0.50986, 0.18175)
    exponents = (0.20162, 0.40290, 0.94229, 3.19980)
    terms = zip(coefficients, exponents, strict=True)
    screening = sum(c * torch.exp(-d * r / length) for c, d in terms)
    return 14.399645 * z_i * z_j / r * screening * envelope(r / cutoffs, 6.0)
