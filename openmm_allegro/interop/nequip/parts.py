# SPDX-License-Identifier: MIT
"""Modules of a nequip-allegro network, and the correspondence of its weights to ours.

Modules are found by the names of their classes, not by ``isinstance``, because a
package brings classes of its own. A part without a counterpart here is refused by name.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Children of the network, and the classes that each may be of.
_STEPS = {
    "edge_norm": ("EdgeLengthNormalizer",),
    "radial_chemical_embed": ("SequentialGraphNetwork", "TwoBodySplineScalarEmbed"),
    "scalar_embed_mlp": ("ScalarMLP",),
    "tensor_embed": ("TwoBodySphericalHarmonicTensorEmbed",),
    "allegro": ("Allegro_Module",),
    "edge_readout": ("ScalarMLP",),
    "edge_eng_sum": ("EdgewiseReduce",),
    "per_type_energy_scale_shift": ("PerTypeScaleShift",),
    "cutoff": ("AddRadialCutoffToData",),
    "pair_potential": ("ZBL",),
    "total_energy_sum": ("AtomwiseReduce",),
}
_OPTIONAL = ("cutoff", "pair_potential")
_CONTRACTERS = ("Contracter", "TritonContracter", "CuEquivarianceContracter")
_AROUND = ("GraphModel", "CompileGraphModel", "ForceStressOutput")
# Modules inside those, and their constants that are read or follow from the rest.
_WITHIN = set(
    "SequentialGraphNetwork BesselEdgeLengthEncoding PolynomialCutoff PerClassSpline "
    "ProductTypeEmbedding Embedding ScalarMLPFunction ScalarLinearLayer DeepLinearMLP "
    "ParameterList Sequential ModuleList SphericalHarmonics MakeWeightedChannels "
    "AvgNumNeighborsNorm _ZBL".split()
)
_BUFFERS = set(
    "_empty _rmax_recip bessel_weights lower upper alpha _rtoi norm_const w3j scales "
    "shifts atomic_numbers _qqr2exesquare".split()
)
_ACTIVATIONS = {"SiLU": "silu", "Mish": "mish", "GELU": "gelu", "Identity": "none"}


class Unmapped(ValueError):
    """A part of a nequip model that has no counterpart here."""

    def __init__(self, expected: str, found: object) -> None:
        super().__init__(f"expected {expected}, found {found}")


class Layers(NamedTuple):
    """Weights [in, out] of an MLP, the fixed factor of each, and the nonlinearity."""

    weights: list[torch.nn.Parameter]
    alphas: list[float]
    nonlinearity: str


@dataclass(frozen=True)
class Parts:
    """Modules of a nequip-allegro model by nequip's names of them."""

    model: torch.nn.Module
    steps: dict[str, torch.nn.Module]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.steps[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def spline(self) -> torch.nn.Module | None:
        """``PerClassSpline``, if the two-body embedding is one."""
        return getattr(self.radial_chemical_embed, "spline", None)


class Slot(NamedTuple):
    """One of our weights, and nequip's parameter that holds it.

    Ours is ``parameter * factor``. From column ``offset`` on (if not None) the columns
    are environment weights, ordered [channel, irrep] there and [irrep, channel] here.
    If ``shared``, nequip has one weight for all irreps of a channel.
    """

    name: str
    parameter: torch.nn.Parameter
    factor: float
    offset: int | None = None
    shared: bool = False


def find_parts(model: torch.nn.Module) -> Parts:
    """Find the parts of a model that nequip loaded.

    Raises
    ------
    Unmapped
        If it is no Allegro model, or has an unknown part.
    """
    classes = {_kind(module) for module in model.modules()}
    if "Allegro_Module" not in classes:
        is_nequip = "ConvNetLayer" in classes
        parts = f"parts {sorted(classes)}"
        raise Unmapped(
            "an Allegro model (Allegro_Module)",
            "a NequIP model (ConvNetLayer)" if is_nequip else parts,
        )
    networks = [
        m for m in model.modules() if "allegro" in dict(m.named_children()).keys()
    ]
    if len(networks) != 1:
        raise Unmapped("one network with an Allegro module", len(networks))
    steps = dict(networks[0].named_children())
    for name, module in steps.items():
        if _kind(module) not in _STEPS.get(name, ()):
            raise Unmapped(
                f"parts among {', '.join(_STEPS)} of nequip-allegro's own kinds",
                f"{name} ({_kind(module)})",
            )
    missing = [n for n in _STEPS if n not in steps and n not in _OPTIONAL]
    if missing:
        raise Unmapped(f"parts {', '.join(missing)}", f"only {', '.join(steps)}")
    parts = Parts(model, steps)
    _check_all_modules(model, networks[0])
    _check_embedding(parts)
    _check_layers(parts)
    return parts


def _check_all_modules(model: torch.nn.Module, network: torch.nn.Module) -> None:
    """Refuse unknown modules around or in the network, and unknown constants."""
    inside = {id(module) for module in network.modules()}
    known = _WITHIN | {kind for kinds in _STEPS.values() for kind in kinds}
    known |= {*_ACTIVATIONS, *_CONTRACTERS}
    for name, module in model.named_modules():
        if ".sh" in name and "tensor_embed" in name:
            continue  # e3nn's own; its normalization is checked in _check_embedding
        if id(module) not in inside and _kind(module) not in _AROUND:
            raise Unmapped(
                f"an Allegro network within {', '.join(_AROUND)} alone",
                f"{name} ({_kind(module)})",
            )
        if id(module) in inside and _kind(module) not in known:
            if "mlp" in name:
                expected = f"nonlinearities among {', '.join(_ACTIVATIONS.values())}"
            else:
                expected = f"parts among {', '.join(sorted(known))}"
            raise Unmapped(expected, f"{name} ({_kind(module)})")
        for buffer, _ in module.named_buffers(recurse=False):
            if buffer not in _BUFFERS:
                raise Unmapped(
                    f"constants among {', '.join(sorted(_BUFFERS))}",
                    f"{name}.{buffer}",
                )


def _check_embedding(parts: Parts) -> None:
    children = dict(parts.radial_chemical_embed.named_children())
    kinds = [_kind(module) for module in children.values()]
    if kinds not in (
        ["PerClassSpline"],
        ["BesselEdgeLengthEncoding", "ProductTypeEmbedding"],
    ):
        raise Unmapped("a Bessel or a spline two-body embedding", kinds)
    harmonics = parts.tensor_embed.sh
    if harmonics.normalization != "component" or not harmonics.normalize:
        raise Unmapped(
            "spherical harmonics of unit vectors in component normalization",
            f"{harmonics.normalization}, normalize={harmonics.normalize}",
        )
    if parts.edge_eng_sum.reduce != "sum":
        raise Unmapped("energies of pairs to be summed", parts.edge_eng_sum.reduce)
    if not parts.tensor_embed._edge_weighter.weight_individual_irreps:
        raise Unmapped("tensor embeddings with a weight for each irrep", "one for all")


def _check_layers(parts: Parts) -> None:
    allegro = parts.allegro
    if getattr(allegro, "scatter_features", False):
        raise Unmapped(
            "sums over the environment's weights", "sums of tensors (scatter_features)"
        )
    for index, layer in enumerate(allegro.tps):
        if _kind(layer) not in _CONTRACTERS:
            raise Unmapped(f"tps.{index} of {_CONTRACTERS}", _kind(layer))
        if getattr(layer, "irrep_normalization", "component") != "component":
            raise Unmapped("component normalization", layer.irrep_normalization)
    weighters = (allegro._env_weighter, parts.tensor_embed._edge_weighter)
    for weighter in weighters:
        if weighter.alpha != 1.0:
            raise Unmapped("channels weighted with alpha = 1", weighter.alpha)


def slots(parts: Parts) -> Iterator[Slot]:
    """List each weight of the network, once."""
    num_layers = parts.allegro.num_layers
    scalars = parts.allegro.num_scalar_features
    shared = not parts.allegro._env_weighter.weight_individual_irreps
    if parts.spline is not None:
        yield Slot("embedding.weight", parts.spline.class_embed.weight, 1.0)
    else:
        embed = parts.radial_chemical_embed.type_embed
        yield Slot("embedding.center", embed.center_embed.weight, 1.0)
        yield Slot("embedding.neighbor", embed.neighbor_embed.weight, 1.0)
        yield from _mlp_slots("embedding.linear", embed.basis_linear)
        bessel = parts.radial_chemical_embed.bessel_encode
        if isinstance(bessel.bessel_weights, torch.nn.Parameter):
            yield Slot("embedding.roots", bessel.bessel_weights, 1.0)
    yield from _mlp_slots("two_body", parts.scalar_embed_mlp.mlp_module)
    yield from _mlp_slots("tensor_weights", parts.tensor_embed.env_embed_linear, 0)
    projection = parts.allegro.first_layer_env_embed_projection
    yield from _mlp_slots("first_projection", projection, scalars, shared)
    for layer in range(num_layers):
        yield Slot(f"operators.{layer}.weight", parts.allegro.tps[layer].weights, 1.0)
        offset = None if layer == num_layers - 1 else scalars
        latent = parts.allegro.latents[layer]
        yield from _mlp_slots(f"latents.{layer}", latent, offset, shared)
    yield from _mlp_slots("readout", parts.edge_readout.mlp_module)


def _mlp_slots(
    name: str, mlp: torch.nn.Module, offset: int | None = None, shared: bool = False
) -> Iterator[Slot]:
    layers = read_mlp(mlp)
    last = len(layers.weights) - 1
    for index, (weight, alpha) in enumerate(
        zip(layers.weights, layers.alphas, strict=True)
    ):
        gain = 2.0**0.5 if index and layers.nonlinearity != "none" else 1.0
        ours = gain / weight.shape[0] ** 0.5
        # theirs is rounded to the precision of the model
        rounding = 1e-6 if weight.dtype == torch.float32 else 1e-14
        factor = 1.0 if abs(alpha / ours - 1.0) < rounding else alpha / ours
        start = offset if index == last else None
        yield Slot(f"{name}.layers.{index}.weight", weight, factor, start, shared)


def read_mlp(mlp: torch.nn.Module) -> Layers:
    """Read the weights and the nonlinearity of a ``ScalarMLPFunction``.

    Raises
    ------
    Unmapped
        If it has biases, an unknown nonlinearity or a parametrization.
    """
    if _kind(mlp.mlp) == "DeepLinearMLP":  # no nonlinearity: one factor for all
        weights = list(mlp.mlp.weights)
        share = float(mlp.mlp.alpha) ** (1.0 / len(weights))
        widths = [weight.shape[0] ** -0.5 for weight in weights]
        mean = math.prod(widths) ** (1.0 / len(weights))
        return Layers(weights, [share * width / mean for width in widths], "none")
    weights, alphas, kinds = [], [], set()
    for module in mlp.mlp:
        if _kind(module) == "ScalarLinearLayer":
            if getattr(module, "bias", None) is not None:
                raise Unmapped("MLPs without biases", "biases")
            weights.append(module.weight)
            alphas.append(float(module.alpha))
        else:
            kinds.add(_kind(module))
            exact = getattr(module, "approximate", "none") == "none"
            if _kind(module) not in _ACTIVATIONS or not exact:
                known = ", ".join(_ACTIVATIONS.values())
                raise Unmapped(f"nonlinearities among {known}", module)
    if len(kinds) > 1:
        raise Unmapped("one nonlinearity", sorted(kinds))
    name = _ACTIVATIONS[kinds.pop()] if kinds else "none"
    if name != "none" and len(weights) == 1:
        raise Unmapped("a nonlinearity between layers", "one layer")
    return Layers(weights, alphas, name)


def to_ours(value: Tensor, slot: Slot, channels: int, irreps: int) -> Tensor:
    """Convert nequip's weight to ours, in float64."""
    value = value.detach().to("cpu", torch.float64) * slot.factor
    if slot.offset is None:
        return value
    head, tail = value[:, : slot.offset], value[:, slot.offset :]
    if slot.shared:
        tail = tail.repeat(1, irreps)  # the same weight for each irrep
    else:
        tail = tail.unflatten(1, (channels, irreps)).transpose(1, 2).flatten(1)
    return torch.cat((head, tail), 1)


def to_theirs(value: Tensor, slot: Slot, channels: int, irreps: int) -> Tensor:
    """Convert our weight to nequip's: the inverse of ``to_ours`` if not shared."""
    value = value.detach().to(torch.float64) / slot.factor
    if slot.offset is None:
        return value
    head, tail = value[:, : slot.offset], value[:, slot.offset :]
    tail = tail.unflatten(1, (irreps, channels)).transpose(1, 2).flatten(1)
    return torch.cat((head, tail), 1)


def _kind(module: torch.nn.Module) -> str:
    return getattr(module, "original_name", type(module).__name__)  # scripted or not
