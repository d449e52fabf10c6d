# SPDX-License-Identifier: MIT
"""The Allegro network, from pair vectors to pair energies.

Musaelian et al., Nat Commun 14:579 (2023), doi:10.1038/s41467-023-36329-y, in the form
that nequip-allegro 0.8 gives it: product type embedding, densely connected scalars,
no envelope after the embedding. Written per centre, see ``tensor_product``.
"""

import functools
from collections.abc import Callable

import torch
from e3nn import get_optimization_defaults, o3, set_optimization_defaults
from torch import Tensor

from .config import AllegroConfig
from .irreps import layer_irreps
from .mlp import ScalarMLP
from .radial import InnerCutoffs, PairCutoffs, ProductTypeEmbedding, SplineEmbedding
from .shapes import outputs, weight_shapes
from .tensor_product import CenterOperator


class Allegro(torch.nn.Module):
    """Compute ordered pair energies from the vectors to each centre's neighbours.

    Built in float64; ``.to(torch.float32)`` afterwards is exact for the constants.

    Parameters
    ----------
    config : AllegroConfig
    mean_neighbors : Tensor [T]
        Mean number of neighbours of a centre of each element, the normalisation of the
        environment sums.
    seed : int
        Seed of the initial weights.

    Raises
    ------
    ValueError
        As ``weight_shapes``.
    """

    def __init__(
        self, config: AllegroConfig, mean_neighbors: Tensor, seed: int = 0
    ) -> None:
        super().__init__()
        weight_shapes(config)  # refuses one that is too large
        generator = torch.Generator().manual_seed(seed)
        scalars, channels = config.num_scalar_features, config.num_tensor_features
        self.scalars: int = scalars
        self.channels: int = channels
        harmonics = config.environment_irreps()
        env_dim = len(harmonics) * channels
        embedding_dim = config.embedding_dim or scalars

        norm = mean_neighbors.to(torch.float64).rsqrt()
        self.register_buffer("environment_norm", norm, persistent=False)
        # [A, L, 1]: which of the L irreps (l_max + 1) each component belongs to
        degrees = torch.tensor(
            [i for i, ir in enumerate(harmonics) for _ in range(ir.dim)]
        )
        mask = torch.nn.functional.one_hot(degrees).to(torch.float64).unsqueeze(-1)
        self.register_buffer("degree_mask", mask, persistent=False)
        self.degrees = tuple(ir.degree for ir in harmonics)
        self.spherical_harmonics = _spherical_harmonics(self.degrees)
        self.embedding = _embedding(config, embedding_dim, generator)

        def mlp(dim_in: int, dim_out: int, kind: str) -> ScalarMLP:
            shape = [getattr(config, f"{kind}_{x}") for x in ("depth", "width")]
            name = getattr(config, f"{kind}_nonlinearity")
            name = None if name == "none" else name
            return ScalarMLP(dim_in, dim_out, *shape, name, generator)

        self.two_body = mlp(embedding_dim, scalars, "two_body")
        self.tensor_weights = ScalarMLP(scalars, env_dim, 0, 0, None, generator)
        self.first_projection = ScalarMLP(
            scalars, scalars + env_dim, 0, 0, None, generator
        )
        # Does the same as forward, faster in training on a CPU; it cannot be scripted.
        # See kernels.training.network.
        self.in_training: Callable[..., Tensor] | None = None
        irreps = layer_irreps(harmonics, config.allowed_irreps(), config.num_layers)
        self.operators = torch.nn.ModuleList()
        self.latents = torch.nn.ModuleList()
        for layer in range(config.num_layers):
            self.operators.append(
                CenterOperator(
                    irreps[layer],
                    harmonics,
                    irreps[layer + 1],
                    channels,
                    config.path_channel_coupling,
                    generator,
                )
            )
            last = layer == config.num_layers - 1
            dim_in = scalars * (layer + 1) + channels
            self.latents.append(
                mlp(dim_in, scalars + (0 if last else env_dim), "latent")
            )
        self.readout = mlp(scalars * (config.num_layers + 1), 1, "readout")
        # further outputs last, so that energies start as those of a network without
        if outputs(config) > 1:
            self.readout.widen(outputs(config) - 1, generator)

    def forward(
        self,
        vectors: Tensor,
        center_types: Tensor,
        neighbor_types: Tensor,
        shapes: list[tuple[int, int]],
    ) -> Tensor:
        """Compute pair energies, dimensionless, before the sum over neighbours.

        With them are the contributions of pairs to the charges, if those are learned.

        Parameters
        ----------
        vectors : Tensor [P, 3]
            From centre to neighbour, Å, of the P = Σ C·K pairs of all blocks; a padding
            entry is longer than the cutoff. May be of higher precision than the
            weights: radial functions and spherical harmonics are computed in it and
            cast then.
        center_types : Tensor [ΣC], int64
        neighbor_types : Tensor [P], int64
        shapes : list of (C, K)

        Returns
        -------
        Tensor [P], or [P, 2] of energies and charges
        """
        # TorchScript would look it up even behind `not is_scripting() and`.
        if not torch.jit.is_scripting():
            if self.in_training is not None:
                return self.in_training(vectors, center_types, neighbor_types, shapes)
        r = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)  # [P, 1]
        harmonics = self.spherical_harmonics(vectors / r)
        y = as_blocks(harmonics.to(self.environment_norm.dtype), shapes)  # [C, K, A]
        kinds = per_pair(center_types, shapes)
        x = self.embedding(r, kinds, neighbor_types.unsqueeze(-1)).squeeze(1)
        x = self.two_body(x)  # [P, S]
        weights = self.tensor_weights(x)  # [P, L·U]
        x, env_weights = self._halves(self.first_projection(x))  # [P, S], [P, L·U]
        scalars = [x]
        norm = self.environment_norm[center_types].unsqueeze(-1)  # [ΣC, 1]

        chain: list[Tensor] = []  # M⁰, M¹, …, each [U, ΣC, A, A′]
        for operator, latent in zip(self.operators, self.latents):  # noqa: B905
            environment = self._environment(y, as_blocks(env_weights, shapes)) * norm
            chain.append(operator(environment))  # from [U, ΣC, B]
            v = chain[-1][..., :1]  # the scalar column: v = M⁰ M¹ … m
            for k in range(len(chain) - 2, -1, -1):
                v = torch.matmul(chain[k], v)  # [U, ΣC, A, 1]
            scalars.append(self._pair_scalars(y, weights, v.squeeze(-1)))  # [P, U]
            x = latent(torch.cat(scalars, -1))  # [P, S (+ L·U)]
            scalars[-1], env_weights = self._halves(x)
        return self.readout(torch.cat(scalars, -1)).squeeze(-1)

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split scalars from weights; slices would fill zeros in training."""
        parts = x.split([self.scalars, x.shape[-1] - self.scalars], -1)
        return parts[0], parts[1]

    def _environment(self, harmonics: list[Tensor], weights: list[Tensor]) -> Tensor:
        """Sum Σ_k w[c, k, l, u] Y[c, k, lm]: [U, ΣC, B].

        One matrix product over all pairs of degrees and a mask: small matrices cost
        more per call than the products that are thrown away.
        """
        sums: list[Tensor] = []
        for y, w in zip(harmonics, weights):  # noqa: B905
            sums.append(torch.matmul(y.transpose(1, 2), w))  # [C, B, L·U]
        masked = _join(sums).unflatten(-1, (-1, self.channels)) * self.degree_mask
        return masked.sum(2).permute(2, 0, 1).contiguous()

    def _pair_scalars(
        self, harmonics: list[Tensor], weights: Tensor, v: Tensor
    ) -> Tensor:
        """Sum Σ_l w[p, l, u] Σ_m Y[p, lm] v[u, c, lm], c the centre of p: [P, U]."""
        masked = v.permute(1, 2, 0).unsqueeze(2) * self.degree_mask  # [ΣC, A, L, U]
        parts = masked.flatten(2).split([y.shape[0] for y in harmonics])
        projected: list[Tensor] = []
        for y, m in zip(harmonics, parts):  # noqa: B905
            projected.append(torch.matmul(y, m).flatten(0, 1))  # [C·K, L·U]
        products = weights * _join(projected)
        return products.unflatten(-1, (-1, self.channels)).sum(1)


def as_blocks(x: Tensor, shapes: list[tuple[int, int]]) -> list[Tensor]:
    """Split the rows of ``x`` [P, ...] into views [C, K, ...]."""
    blocks: list[Tensor] = []
    rows = x.split([shape[0] * shape[1] for shape in shapes])
    for part, shape in zip(rows, shapes):  # noqa: B905
        blocks.append(part.unflatten(0, (shape[0], shape[1])))
    return blocks


def per_pair(x: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
    """Repeat each centre's entry of ``x`` [ΣC] for each of its pairs: [P]."""
    parts: list[Tensor] = []
    centers = x.split([shape[0] for shape in shapes])
    for part, shape in zip(centers, shapes):  # noqa: B905
        parts.append(part.unsqueeze(-1).expand(shape[0], shape[1]).flatten())
    return _join(parts)


def _join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@functools.cache
def _harmonics_class(degrees: tuple[int, ...]) -> type[torch.nn.Module]:
    """Trace e3nn's module for some degrees: a class whose ``forward`` has them alone.

    Scripted as a whole it would bring the formulas of all degrees up to 12, which are
    most of what is read each time a force is copied or put into a Context. Modules of
    one class share what TorchScript has compiled.
    """
    before = get_optimization_defaults()["jit_mode"]
    set_optimization_defaults(jit_mode="eager")  # a scripted one cannot be traced
    try:
        module = o3.SphericalHarmonics(list(degrees), False, "component")
    finally:
        set_optimization_defaults(jit_mode=before)
    traced = torch.fx.symbolic_trace(module)
    # A pickle finds no class that is made here.
    members = {
        "forward": type(traced).forward,
        "__reduce__": lambda self: (_spherical_harmonics, (degrees,)),
    }
    return type("SphericalHarmonics", (torch.nn.Module,), members)


def _spherical_harmonics(degrees: tuple[int, ...]) -> torch.nn.Module:
    return _harmonics_class(degrees)()


def _embedding(
    config: AllegroConfig, width: int, generator: torch.Generator
) -> SplineEmbedding | ProductTypeEmbedding:
    """Make what turns distance and elements of a pair into numbers."""
    cutoffs = PairCutoffs(torch.from_numpy(config.cutoff_table()))
    inner = InnerCutoffs(torch.from_numpy(config.inner_table()))
    if config.radial_embedding == "spline":
        return SplineEmbedding(
            cutoffs, inner, config.num_splines, config.spline_span, width, generator
        )
    return ProductTypeEmbedding(
        cutoffs,
        inner,
        config.num_bessels,
        config.envelope_p,
        config.bessel_trainable,
        width,
        generator,
    )
