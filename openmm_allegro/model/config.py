# SPDX-License-Identifier: MIT
"""Hyperparameters of the network."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from e3nn.o3 import Irrep
from torch import Tensor

from ..units import COULOMB_EV_ANGSTROM
from ..utils.config import check_types
from .mlp import NONLINEARITIES

EMBEDDINGS = ("bessel", "spline")


@dataclass(frozen=True)
class AllegroConfig:
    """Hyperparameters of the network; field for field the ``[model]`` table of a TOML.

    Parameters
    ----------
    elements : tuple of str
        Chemical symbols the model knows, in the order of its weights.
    cutoff : float
        Largest distance of a pair, Å.
    pair_cutoffs : dict of str to float
        Shorter cutoffs (Å) for ordered pairs, ``"H-O": 3.0`` for centre H and
        neighbour O. Pairs not named have ``cutoff``.
    l_max : int
        Largest degree of the spherical harmonics, 0 to 4.
    parity : bool
        Whether to keep tensor features whose parity spherical harmonics lack. Matters
        from three layers on.
    edge_irreps, tensor_irreps : tuple of str
        Irreps (``("0e", "1o")``) of the environment and of the tensor features in
        the place of those that ``l_max`` and ``parity`` stand for; rarely wanted.
    num_layers : int
        Number of tensor products.
    num_scalar_features, num_tensor_features : int
        Channels of the scalar and of the tensor track.
    radial_embedding : str
        "bessel": Bessel functions times an envelope, and an embedding of each element;
        "spline": splines of their own for each ordered pair of elements.
    num_bessels : int
        Radial functions.
    bessel_trainable : bool
        Whether their roots are trained.
    envelope_p : float
        Exponent of the polynomial envelope.
    num_splines, spline_span : int
        Splines of each pair of elements, and how many of them overlap.
    embedding_dim : int
        Channels of the two-body embedding, even; 0 means ``num_scalar_features``.
    two_body_depth, two_body_width, two_body_nonlinearity
        Hidden layers of the two-body MLP.
    latent_depth, latent_width, latent_nonlinearity
        Hidden layers of each layer's latent MLP.
    readout_depth, readout_width, readout_nonlinearity
        Hidden layers of the pair-energy readout. Nonlinearities are "silu", "mish",
        "gelu" or "none".
    path_channel_coupling : bool
        Whether each tensor channel has its own path weights.
    zbl : bool
        Whether to add the Ziegler-Biersack-Littmark core repulsion.
    zbl_envelope_p : float
        Exponent of its envelope.
    zbl_coulomb : float
        Its e²/(4πε₀), eV Å; as LAMMPS' ``units metal`` rounds it.

    Raises
    ------
    ValueError
        If a value is outside what the network can be built with.
    """

    elements: tuple[str, ...]
    cutoff: float
    pair_cutoffs: dict[str, float] = field(default_factory=dict)
    l_max: int = 2
    parity: bool = True
    edge_irreps: tuple[str, ...] = ()
    tensor_irreps: tuple[str, ...] = ()
    num_layers: int = 2
    num_scalar_features: int = 64
    num_tensor_features: int = 32
    radial_embedding: str = "bessel"
    num_bessels: int = 8
    bessel_trainable: bool = False
    envelope_p: float = 6.0
    num_splines: int = 16
    spline_span: int = 12
    embedding_dim: int = 0
    two_body_depth: int = 1
    two_body_width: int = 64
    two_body_nonlinearity: str = "silu"
    latent_depth: int = 1
    latent_width: int = 64
    latent_nonlinearity: str = "silu"
    readout_depth: int = 1
    readout_width: int = 32
    readout_nonlinearity: str = "silu"
    path_channel_coupling: bool = True
    zbl: bool = False
    zbl_envelope_p: float = 6.0
    zbl_coulomb: float = COULOMB_EV_ANGSTROM

    def __post_init__(self) -> None:
        check_types(self, "model config")
        _check_config(self)

    def cutoff_table(self) -> Tensor:
        """Cutoffs (Å) [T, T] in float64, centre first."""
        table = torch.full((len(self.elements),) * 2, self.cutoff, dtype=torch.float64)
        for pair, cutoff in self.pair_cutoffs.items():
            center, neighbor = (self.elements.index(e) for e in pair.split("-"))
            table[center, neighbor] = cutoff
        return table

    def environment_irreps(self) -> list[Irrep]:
        """Irreps of a pair's harmonics: 0e, 1o, 2e, … if not given."""
        if self.edge_irreps:
            return [Irrep(name) for name in self.edge_irreps]
        return [Irrep(degree, (-1) ** degree) for degree in range(self.l_max + 1)]

    def allowed_irreps(self) -> list[Irrep]:
        """Irreps that the tensor features of a pair may have between layers."""
        if self.tensor_irreps:
            return [Irrep(name) for name in self.tensor_irreps]
        if not self.parity:
            return self.environment_irreps()
        return [Irrep(d, p) for d in range(self.l_max + 1) for p in (1, -1)]


def _check_config(config: AllegroConfig) -> None:
    def require(condition: bool, expected: str, found: object) -> None:
        if not condition:
            raise ValueError(f"model config: expected {expected}, found {found!r}")

    from ase.data import atomic_numbers

    elements = config.elements
    require(len(elements) > 0, "at least one element", elements)
    require(len(set(elements)) == len(elements), "each element once", elements)
    for element in elements:
        known = atomic_numbers.get(element, 0) > 0
        require(known, "chemical symbols in elements", element)
    require(config.cutoff > 0, "a cutoff above 0 Å", config.cutoff)
    for pair, cutoff in config.pair_cutoffs.items():
        names = pair.split("-")
        known = len(names) == 2 and set(names) <= set(elements)
        require(known, f"pair_cutoffs named like 'H-O' of {elements}", pair)
        require(
            0 < cutoff <= config.cutoff,
            f"pair_cutoffs {pair} above 0 and at most cutoff = {config.cutoff} Å",
            cutoff,
        )
    require(0 <= config.l_max <= 4, "l_max from 0 to 4", config.l_max)
    for name in ("num_layers", "num_scalar_features", "num_tensor_features"):
        require(
            getattr(config, name) >= 1, f"{name} of at least 1", getattr(config, name)
        )
    require(config.num_bessels >= 1, "num_bessels of at least 1", config.num_bessels)
    for name in ("envelope_p", "zbl_envelope_p"):
        require(
            getattr(config, name) >= 2, f"{name} of at least 2", getattr(config, name)
        )
    require(
        config.radial_embedding in EMBEDDINGS,
        f"radial_embedding of {EMBEDDINGS}",
        config.radial_embedding,
    )
    require(config.num_splines >= 1, "num_splines of at least 1", config.num_splines)
    require(
        0 <= config.spline_span <= config.num_splines,
        f"spline_span from 0 to num_splines = {config.num_splines}",
        config.spline_span,
    )
    require(config.zbl_coulomb > 0, "zbl_coulomb above 0 eV Å", config.zbl_coulomb)
    _check_irreps(config, require)
    embedding_dim = config.embedding_dim or config.num_scalar_features
    require(
        embedding_dim > 0
        and (embedding_dim % 2 == 0 or config.radial_embedding == "spline"),
        "an even embedding_dim (num_scalar_features if 0)",
        embedding_dim,
    )
    for kind in ("two_body", "latent", "readout"):
        depth, width = (getattr(config, f"{kind}_{x}") for x in ("depth", "width"))
        require(depth >= 0, f"{kind}_depth of at least 0", depth)
        require(depth == 0 or width >= 1, f"{kind}_width of at least 1", width)
        name = getattr(config, f"{kind}_nonlinearity")
        require(
            name in (*NONLINEARITIES, "none"),
            f"{kind}_nonlinearity of {(*NONLINEARITIES, 'none')}",
            name,
        )


def _check_irreps(config: AllegroConfig, require: Callable[..., None]) -> None:
    for name in ("edge_irreps", "tensor_irreps"):
        found = getattr(config, name)
        try:
            irreps = [Irrep(i) for i in found]
        except ValueError:
            irreps = []
        require(
            not found or (irreps and irreps[0] == Irrep("0e")),
            f"{name} such as ('0e', '1o', '2e'), 0e first",
            found,
        )
        require(len(set(irreps)) == len(irreps), f"each of {name} once", found)
        degrees = [irrep.l for irrep in irreps]
        require(max(degrees, default=0) <= 4, f"{name} up to degree 4", found)
    if config.edge_irreps:
        irreps = config.environment_irreps()
        degrees = [irrep.l for irrep in irreps]
        require(
            max(degrees) == config.l_max and degrees == sorted(set(degrees)),
            f"edge_irreps in rising degree up to l_max = {config.l_max}",
            config.edge_irreps,
        )
        # a harmonic of even degree is even; odd ones share the parity of the vector
        require(
            all(irrep.p == 1 for irrep in irreps if irrep.l % 2 == 0)
            and len({irrep.p for irrep in irreps if irrep.l % 2}) <= 1,
            "edge_irreps that spherical harmonics can have",
            config.edge_irreps,
        )
