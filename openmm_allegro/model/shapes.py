# SPDX-License-Identifier: MIT
"""Shapes of a model's weights, from its hyperparameters alone."""

import math
from itertools import pairwise

from .config import AllegroConfig
from .irreps import layer_irreps, paths

# Weights and couplings in all, so that no file of a few kB takes the memory of a
# machine; the networks of benchmarks/accuracy have 700,000.
LARGEST_NETWORK = 10**8

Shape = tuple[int, ...]


def weight_shapes(config: AllegroConfig) -> dict[str, Shape]:
    """List the weights of ``Allegro(config, …)`` by name, without making them.

    Raises
    ------
    ValueError
        If the network has more than ``LARGEST_NETWORK`` weights and couplings.
    """
    scalars, channels = config.num_scalar_features, config.num_tensor_features
    harmonics = config.environment_irreps()
    env_dim = len(harmonics) * channels
    embedding_dim = config.embedding_dim or scalars
    shapes = _embedding(config, embedding_dim)
    shapes |= _mlp(config, "two_body", "two_body", embedding_dim, scalars)
    shapes["tensor_weights.layers.0.weight"] = (scalars, env_dim)
    shapes["first_projection.layers.0.weight"] = (scalars, scalars + env_dim)
    irreps = layer_irreps(harmonics, config.allowed_irreps(), config.num_layers)
    rows = channels if config.path_channel_coupling else 1
    components = sum(irrep.dim for irrep in harmonics)
    couplings = 0
    for layer, (before, after) in enumerate(pairwise(irreps)):
        count = len(paths(before, harmonics, after))
        shapes[f"operators.{layer}.weight"] = (rows, count)
        dims = (sum(irrep.dim for irrep in part) for part in (before, after))
        couplings += count * components * math.prod(dims)
        dim_in = scalars * (layer + 1) + channels
        dim_out = scalars + (0 if layer == config.num_layers - 1 else env_dim)
        shapes |= _mlp(config, "latent", f"latents.{layer}", dim_in, dim_out)
    dim_in = scalars * (config.num_layers + 1)
    shapes |= _mlp(config, "readout", "readout", dim_in, outputs(config))
    size = couplings + sum(map(math.prod, shapes.values()))
    if size > LARGEST_NETWORK:
        raise ValueError(
            f"model config: expected a network of at most {LARGEST_NETWORK:,} weights "
            f"and couplings, found {size:,}; take fewer layers, degrees or features"
        )
    return shapes


def outputs(config: AllegroConfig) -> int:
    """Outputs of the readout for each pair: its energy and, if learned, its charge."""
    return 2 if config.charges == "learned" else 1


def charge_shapes(config: AllegroConfig) -> dict[str, Shape]:
    """List the weights of ``charges.Charges`` by name, as ``weight_shapes``."""
    return {"start": (len(config.elements),)} if config.is_charged else {}


def term_shapes(config: AllegroConfig) -> dict[str, Shape]:
    """List the weights of further terms by name, as ``weight_shapes``."""
    if not config.core_rates:
        return {}
    types = len(config.elements)
    return {"core.strengths": (types, types, len(config.core_rates))}


def _embedding(config: AllegroConfig, dim: int) -> dict[str, Shape]:
    types = len(config.elements)
    if config.radial_embedding == "spline":
        return {"embedding.weight": (types**2, dim * config.num_splines)}
    shapes: dict[str, Shape] = {
        "embedding.center": (types, dim // 2),
        "embedding.neighbor": (types, dim // 2),
        "embedding.linear.layers.0.weight": (config.num_bessels, dim),
    }
    if config.bessel_trainable:
        shapes["embedding.roots"] = (config.num_bessels,)
    return shapes


def _mlp(
    config: AllegroConfig, kind: str, name: str, dim_in: int, dim_out: int
) -> dict[str, Shape]:
    depth, width = (getattr(config, f"{kind}_{part}") for part in ("depth", "width"))
    dims = [dim_in, *[width] * depth, dim_out]
    return {
        f"{name}.layers.{index}.weight": shape
        for index, shape in enumerate(pairwise(dims))
    }
