# SPDX-License-Identifier: MIT
"""Hyperparameters of the network; read, checked and listed without torch."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..topology.names import SYMBOLS
from ..units import COULOMB_EV_ANGSTROM
from ..utils.config import brief
from ..utils.settings import check_settings, setting
from .irreps import Irrep, parse_irrep

EMBEDDINGS = ("bessel", "spline")
CHARGES = ("none", "constant", "learned")
# Classes of torch.nn by name; each function maps 0 to 0.
NONLINEARITIES = {"silu": "SiLU", "mish": "Mish", "gelu": "GELU"}
LARGEST_DEGREE = 4
LARGEST_CORE = 16  # rates
LEAST_ALPHA = 0.05  # 1/Å
LARGEST_CHARGE = 10.0  # of an element, e
CHARGE_SCALE = 0.3  # e; of charged models from before there was a setting
_NONLINEARITY = {"choices": (*NONLINEARITIES, "none")}


@dataclass(frozen=True)
class AllegroConfig:
    """Hyperparameters of the network; field for field the ``[model]`` table of a TOML.

    A field's unit, bounds and sentence are with its declaration below.

    Raises
    ------
    ValueError
        If a value is outside what the network can be built with.
    """

    elements: tuple[str, ...] = setting(
        about="Chemical symbols that the model knows, in the order of its weights"
    )
    cutoff: float = setting(
        about="Largest distance of a pair", unit="Å", above=0, maximum=100
    )
    pair_cutoffs: dict[str, float] = setting(
        {},
        about="Shorter cutoffs of ordered pairs, 'H-O' for centre H and neighbour O",
        unit="Å",
    )
    l_max: int = setting(
        2,
        about="Largest degree of the spherical harmonics",
        minimum=0,
        maximum=LARGEST_DEGREE,
    )
    parity: bool = setting(
        True,
        about="Keep tensor features of parities that spherical harmonics lack; it "
        "matters from three layers on",
    )
    edge_irreps: tuple[str, ...] = setting(
        (),
        about="Irreps of the environment, such as ('0e', '1o'), in the place of those "
        "that l_max gives",
    )
    tensor_irreps: tuple[str, ...] = setting(
        (),
        about="Irreps of the tensor features, in the place of those that l_max and "
        "parity give",
    )
    num_layers: int = setting(
        2, about="Number of tensor products", minimum=1, maximum=64
    )
    num_scalar_features: int = setting(
        64, about="Channels of the scalar track", minimum=1, maximum=4096
    )
    num_tensor_features: int = setting(
        32, about="Channels of the tensor track", minimum=1, maximum=4096
    )
    radial_embedding: str = setting(
        "bessel",
        about="Bessel functions times an envelope and an embedding of each element, "
        "or splines for each ordered pair of elements",
        choices=EMBEDDINGS,
    )
    num_bessels: int = setting(8, about="Bessel functions", minimum=1, maximum=1024)
    bessel_trainable: bool = setting(False, about="Train the roots of the functions")
    envelope_p: float = setting(
        6.0, about="Exponent of the polynomial envelope", minimum=2, maximum=200
    )
    num_splines: int = setting(
        16, about="Splines of each pair of elements", minimum=1, maximum=1024
    )
    spline_span: int = setting(
        12,
        about="Number of splines that overlap, at most num_splines",
        minimum=0,
        maximum=1024,
    )
    embedding_dim: int = setting(
        0,
        about="Channels of the two-body embedding, even; 0 for num_scalar_features",
        maximum=8192,
    )
    two_body_depth: int = setting(
        1, about="Hidden layers of the two-body network", minimum=0, maximum=32
    )
    two_body_width: int = setting(64, about="Channels of each of them", maximum=8192)
    two_body_nonlinearity: str = setting(
        "silu", about="Their nonlinearity", **_NONLINEARITY
    )
    latent_depth: int = setting(
        1,
        about="Hidden layers of each layer's latent network",
        minimum=0,
        maximum=32,
    )
    latent_width: int = setting(64, about="Channels of each of them", maximum=8192)
    latent_nonlinearity: str = setting(
        "silu", about="Their nonlinearity", **_NONLINEARITY
    )
    readout_depth: int = setting(
        1,
        about="Hidden layers of the readout of pair energies",
        minimum=0,
        maximum=32,
    )
    readout_width: int = setting(32, about="Channels of each of them", maximum=8192)
    readout_nonlinearity: str = setting(
        "silu", about="Their nonlinearity", **_NONLINEARITY
    )
    path_channel_coupling: bool = setting(
        True, about="Give each tensor channel path weights of its own"
    )
    zbl: bool = setting(
        False, about="Add the core repulsion of Ziegler, Biersack and Littmark"
    )
    zbl_envelope_p: float = setting(
        6.0, about="Exponent of its envelope", minimum=2, maximum=200
    )
    zbl_coulomb: float = setting(
        COULOMB_EV_ANGSTROM,
        about="Its e²/(4πε₀), rounded as in LAMMPS' units metal",
        unit="eV Å",
        above=0,
        maximum=100,
    )
    core_rates: tuple[float, ...] = setting(
        (),
        about="Rates b of a pair core, terms A exp(-b r)/r with the envelope of zbl "
        "whose strengths are fitted to the training forces beforehand; none without",
        unit="1/Å",
        above=0,
        maximum=50,
    )
    inner_cutoffs: dict[str, float] = setting(
        {},
        about="Distances by pair of elements, such as H-O, below which the network "
        "sees no pair come closer, so that zbl or a pair core rule there; that of the "
        "closest pair of the data, or a little less",
        unit="Å",
        above=0,
        maximum=20,
    )
    shifts: dict[str, float] = setting(
        {},
        about="Energies of isolated atoms by element; a training takes others from "
        "frames of one atom, or fits them",
        unit="eV",
        minimum=-1e8,
        maximum=1e8,
    )
    charges: str = setting(
        "none",
        about="Charges of atoms, with the energy of their field at long range: one for "
        "each element, or learned from the environment as energies are",
        choices=CHARGES,
    )
    charge_start: dict[str, float] = setting(
        {},
        about="Charges by element at the start of training; their signs stay",
        unit="e",
        minimum=-LARGEST_CHARGE,
        maximum=LARGEST_CHARGE,
    )
    charge_alpha: float = setting(
        0.0,
        about="Width parameter of the Gaussian charges exp(-2 α² r²); 0 for 2/cutoff",
        unit="1/Å",
        minimum=0,
        maximum=2,
    )
    charge_scale: float = setting(
        CHARGE_SCALE,
        about="Size of the charges that the network adds to those of the start; with "
        "less of it they change more slowly in a training",
        unit="e",
        minimum=1e-3,
        maximum=10,
    )

    def __post_init__(self) -> None:
        check_settings(self, "model config")
        _check_elements(self)
        _check_charges(self)
        _check_sizes(self)
        _check_irreps(self)

    def cutoff_table(self) -> np.ndarray:
        """Cutoffs (Å) [T, T] in float64, centre first."""
        table = np.full((len(self.elements),) * 2, self.cutoff, dtype=np.float64)
        for pair, cutoff in self.pair_cutoffs.items():
            center, neighbor = (self.elements.index(e) for e in pair.split("-"))
            table[center, neighbor] = cutoff
        return table

    def inner_table(self) -> np.ndarray:
        """Inner cutoffs (Å) [T, T] in float64, 0 for none; symmetric."""
        table = np.zeros((len(self.elements),) * 2, dtype=np.float64)
        for pair, cutoff in self.inner_cutoffs.items():
            a, b = (self.elements.index(e) for e in pair.split("-"))
            table[a, b] = table[b, a] = cutoff
        return table

    @property
    def is_charged(self) -> bool:
        """True if atoms have charges."""
        return self.charges != "none"

    @property
    def alpha(self) -> float:
        """Width parameter (1/Å) of the Gaussian charges; 2/cutoff if not given."""
        return self.charge_alpha or 2.0 / self.cutoff

    def environment_irreps(self) -> list[Irrep]:
        """Irreps of a pair's harmonics: 0e, 1o, 2e, … if not given."""
        if self.edge_irreps:
            return _parsed(self.edge_irreps)
        return [Irrep(degree, (-1) ** degree) for degree in range(self.l_max + 1)]

    def allowed_irreps(self) -> list[Irrep]:
        """Irreps that the tensor features of a pair may have between layers."""
        if self.tensor_irreps:
            return _parsed(self.tensor_irreps)
        if not self.parity:
            return self.environment_irreps()
        return [Irrep(d, p) for d in range(self.l_max + 1) for p in (1, -1)]


def recorded(config: AllegroConfig) -> dict[str, Any]:
    """Hyperparameters as model files and hashes have them.

    A setting that came later is left out where it has no effect, so that what earlier
    versions wrote stays the same.
    """
    table = dataclasses.asdict(config)
    if not config.core_rates:
        del table["core_rates"]
    if not config.inner_cutoffs:
        del table["inner_cutoffs"]
    if not config.is_charged:
        for name in ("charges", "charge_start", "charge_alpha"):
            del table[name]
    if config.charge_scale == CHARGE_SCALE:
        del table["charge_scale"]
    return table


def _require(condition: bool, expected: str, found: object) -> None:
    if not condition:
        raise ValueError(f"model config: expected {expected}, found {brief(found)}")


def _check_elements(config: AllegroConfig) -> None:
    elements = config.elements
    _require(len(elements) > 0, "at least one element", elements)
    _require(len(set(elements)) == len(elements), "each element once", elements)
    for element in elements:
        _require(element in SYMBOLS, "chemical symbols in elements", element)
    for pair, cutoff in config.pair_cutoffs.items():
        names = pair.split("-")
        known = len(names) == 2 and set(names) <= set(elements)
        _require(known, f"pair_cutoffs named like 'H-O' of {elements}", pair)
        _require(
            0 < cutoff <= config.cutoff,
            f"pair_cutoffs {pair} above 0 and at most cutoff = {config.cutoff} Å",
            cutoff,
        )

    _check_inner(config)
    rates = config.core_rates
    _require(
        len(set(rates)) == len(rates) <= LARGEST_CORE,
        f"at most {LARGEST_CORE} different core_rates",
        rates,
    )
    unknown = sorted(set(config.shifts) - set(elements))
    _require(not unknown, f"shifts of elements among {elements}", unknown)


def _check_charges(config: AllegroConfig) -> None:
    start, alpha = config.charge_start, config.charge_alpha
    if not config.is_charged:
        found = {"charge_start": start, "charge_alpha": alpha}
        given = {name: value for name, value in found.items() if value}
        if config.charge_scale != CHARGE_SCALE:
            given["charge_scale"] = config.charge_scale
        _require(not given, "charges of 'constant' or 'learned' beside", given)
        return
    _require(
        set(start) == set(config.elements),
        f"charge_start with a charge for each of {config.elements}",
        start,
    )
    _require(
        alpha == 0 or alpha >= LEAST_ALPHA,
        f"charge_alpha of 0 or at least {LEAST_ALPHA} 1/Å",
        alpha,
    )


def _check_inner(config: AllegroConfig) -> None:
    smallest = config.cutoff_table()
    pairs = [frozenset(pair.split("-")) for pair in config.inner_cutoffs]
    _require(
        len(set(pairs)) == len(pairs),
        "inner_cutoffs of each pair of elements once, in one order",
        config.inner_cutoffs,
    )
    for pair, inner in config.inner_cutoffs.items():
        names = pair.split("-")
        known = len(names) == 2 and set(names) <= set(config.elements)
        _require(known, f"inner_cutoffs named like 'H-O' of {config.elements}", pair)
        a, b = (config.elements.index(e) for e in names)
        limit = min(smallest[a, b], smallest[b, a])
        _require(inner < limit, f"inner_cutoffs {pair} below {limit:g} Å", inner)
    _require(
        not config.inner_cutoffs or config.zbl or bool(config.core_rates),
        "zbl or core_rates beside inner_cutoffs, below which nothing else repels",
        config.inner_cutoffs,
    )


def _check_sizes(config: AllegroConfig) -> None:
    """Check what depends on more than one field."""
    _require(
        config.spline_span <= config.num_splines,
        f"spline_span from 0 to num_splines = {config.num_splines}",
        config.spline_span,
    )
    embedding_dim = config.embedding_dim or config.num_scalar_features
    is_even = embedding_dim % 2 == 0 or config.radial_embedding == "spline"
    _require(
        embedding_dim > 0 and is_even,
        "an even embedding_dim (num_scalar_features if 0)",
        embedding_dim,
    )
    for kind in ("two_body", "latent", "readout"):
        depth, width = (getattr(config, f"{kind}_{x}") for x in ("depth", "width"))
        _require(depth == 0 or width >= 1, f"{kind}_width of at least 1", width)


def _check_irreps(config: AllegroConfig) -> None:
    for name in ("edge_irreps", "tensor_irreps"):
        names = getattr(config, name)
        irreps = _parsed(names)
        _require(
            not names or irreps[:1] == [(0, 1)],
            f"{name} such as ('0e', '1o', '2e'), 0e first",
            names,
        )
        _require(len(set(irreps)) == len(irreps), f"each of {name} once", names)
        largest = max((degree for degree, _ in irreps), default=0)
        _require(
            largest <= LARGEST_DEGREE, f"{name} up to degree {LARGEST_DEGREE}", names
        )
    irreps = _parsed(config.edge_irreps)
    if irreps:
        degrees = [degree for degree, _ in irreps]
        _require(
            max(degrees) == config.l_max and degrees == sorted(set(degrees)),
            f"edge_irreps in rising degree up to l_max = {config.l_max}",
            config.edge_irreps,
        )
        # a harmonic of even degree is even; odd ones share the parity of the vector
        _require(
            all(parity == 1 for degree, parity in irreps if degree % 2 == 0)
            and len({parity for degree, parity in irreps if degree % 2}) <= 1,
            "edge_irreps that spherical harmonics can have",
            config.edge_irreps,
        )


def _parsed(names: tuple[str, ...]) -> list[Irrep]:
    """Irreps of names; none if one is no such name."""
    irreps = [parse_irrep(name) for name in names]
    return [] if None in irreps else [irrep for irrep in irreps if irrep is not None]
