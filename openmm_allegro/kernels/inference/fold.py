# SPDX-License-Identifier: MIT
"""Fold a network to a short program over rows of numbers, one row for each pair.

Every chain of linear maps becomes one matrix, so nothing between two nonlinearities is
stored. The program, its constants and its weights are three flat arrays, which
the compiled kernel (``cpu/allegro_cpu.cpp``) and its twin in torch (``twin.py``) read.
"""

import torch
from torch import Tensor

from ...model import AllegroEnergy
from ...model.allegro import Allegro
from ...model.mlp import ScalarMLP
from ...model.screening import screened_terms
from .. import header
from .builder import Builder, Expression, Place, Region
from .polynomials import harmonic_terms
from .program import (
    FORMAT,
    TERMS,
    Code,
    Header,
    Layer,
    Parts,
    Program,
    Scalars,
    pack,
)

# Tables start at this fraction of the cutoff; functions of closer pairs are computed.
TABLE_FROM = 0.12
_Nonlinearity = header.enumeration("allegro_nonlinearity")


def other_terms(energy: AllegroEnergy) -> list[str]:
    """Names of the terms of the energy that programs do not have."""
    return sorted(set(energy.terms) - set(TERMS))


def fold(energy: AllegroEnergy, dtype: torch.dtype) -> Program:
    """Fold a model to a program.

    Parameters
    ----------
    energy : AllegroEnergy
    dtype : torch.dtype
        Of the network: float32 or float64.

    Raises
    ------
    ValueError
        If the energy has a term that programs do not have.
    """
    if other_terms(energy):
        raise ValueError(
            f"the fused kernel expects terms of the energy among {TERMS}, found "
            f"{tuple(energy.terms)}; kernel='plain' takes any"
        )
    network, builder = energy.network, Builder(dtype)
    components, degrees, _ = network.degree_mask.shape
    channels = builder.padded_channels(network.channels)
    roots = _roots(network)
    basis, slope = builder.segment(len(roots)), builder.segment(len(roots))
    if network.embedding.inner.is_active:
        weights = builder.store(network.embedding.inner.flat)
        builder.emit(Code.INNER, weights=weights)
    harmonic = builder.segment(components)
    two_body = _mlp(builder, network.two_body, _embedding(builder, network, basis))
    builder.end_stage(*two_body)
    scalars = _tensor_track(builder, network, two_body, (degrees, channels))
    outputs = _mlp(builder, network.readout, _concatenate(scalars))
    builder.add_energy(_columns(outputs, 0, 1))
    if energy.learned:
        factors = energy.charges.factors.double().cpu()
        builder.add_charge(_columns(outputs, 1, 2), factors)
    builder.finish()
    layers = _layers(builder, network, channels)
    terms, term_values = harmonic_terms(network)
    strengths, rates = _core(energy)
    arrays = _constants(energy) | {
        "core_strengths": strengths,
        "core_rates": rates,
        "degree": network.degree_mask.squeeze(-1).argmax(1),
        "operation": builder.rows(),
        "term": torch.tensor(terms),
        "roots": roots,
        "term_value": torch.tensor(term_values, dtype=torch.float64),
    }
    widest = max(components, *(layer.dim_in for layer, _ in layers))
    is_spline = _is_spline(network.embedding)
    whole = torch.arange(1, len(roots) + 1, dtype=torch.float64)
    head = Header(
        format=FORMAT,
        stride=sum(map(builder.width, Region)),
        components=components,
        channels=channels,
        types=network.embedding.cutoffs.number_of_elements,
        layers=len(layers),
        radial=len(roots),
        spline=int(is_spline),
        integer_roots=int(not is_spline and torch.equal(roots, whole)),
        core=strengths.shape[-1],
        basis=builder.column(basis),
        slope=builder.column(slope),
        harmonic=builder.column(harmonic),
        operations=len(builder.operations),
        terms=len(term_values),
        widest=widest,
        stage=builder.stage,
        first=builder.width(Region.STAGE),
        first_width=builder.width(Region.SHARED),
        points=0,
        table=0,
    )
    return pack(Parts(head, _scalars(energy), arrays, layers, builder.weights()))


def _roots(network: Allegro) -> Tensor:
    """Roots of the Bessel functions, or where splines start."""
    embedding = network.embedding
    roots = embedding.lower if _is_spline(embedding) else embedding.roots
    return roots.detach().double().cpu()


def _core(energy: AllegroEnergy) -> tuple[Tensor, Tensor]:
    """Strengths and rates [T, T, terms] of all screened Coulomb terms, float64."""
    types = energy.network.embedding.cutoffs.number_of_elements
    parts = [(torch.zeros((types, types, 0), dtype=torch.float64),) * 2]
    if "zbl" in energy.terms:
        zbl = energy.terms["zbl"]
        terms = screened_terms(zbl.z.cpu().numpy(), zbl.coulomb)
        parts.append(tuple(map(torch.from_numpy, terms)))
    if "core" in energy.terms:
        core = energy.terms["core"]
        strengths = core.strengths.cpu()
        # of which each ordered pair has half
        parts.append((0.5 * strengths, core.rates.cpu().expand_as(strengths)))
    strengths, rates = (torch.cat(arrays, -1) for arrays in zip(*parts, strict=True))
    return strengths, rates


def _is_spline(embedding: torch.nn.Module) -> bool:
    return hasattr(embedding, "lower")  # also where it is scripted


def _scalars(energy: AllegroEnergy) -> Scalars:
    embedding = energy.network.embedding
    # Those of all terms are the config's.
    exponents = [term.envelope_p for term in energy.terms.values()]
    return Scalars(
        envelope_p=embedding.width if _is_spline(embedding) else embedding.envelope_p,
        core_p=exponents[0] if exponents else 0.0,
        table_from=TABLE_FROM,
    )


def _constants(energy: AllegroEnergy) -> dict[str, Tensor]:
    """Numbers of each element and of each pair of elements, float64."""
    cutoffs = energy.network.embedding.cutoffs
    return {
        "norm": energy.network.environment_norm.double().cpu(),
        "factors": energy.factors.cpu(),
        "shifts": energy.shifts.cpu(),
        "cutoffs": cutoffs.flat.double().cpu(),
    }


def _embedding(builder: Builder, network: Allegro, basis: Place) -> Expression:
    """Emit the two-body embedding."""
    embedding = network.embedding
    types = embedding.cutoffs.number_of_elements
    if _is_spline(embedding):
        width = embedding.dim
        table = embedding.weight.detach().unflatten(1, (width, -1))
        weights = builder.store(table.transpose(1, 2))  # [T², splines, E]
        code, target = Code.SPLINE, builder.segment(width)
    else:
        matrix = _matrix(embedding.linear, 0)
        width = matrix.shape[1]
        code, target = Code.TYPES, builder.materialize({basis: matrix})
        center = embedding.center.detach().double().cpu()
        neighbor = embedding.neighbor.detach().double().cpu()
        center = center.unsqueeze(1).expand(-1, types, -1)
        neighbor = neighbor.unsqueeze(0).expand(types, -1, -1)
        weights = builder.store(torch.cat((center, neighbor), -1))  # [T, T, E]
    builder.emit(code, target=target, width=width, weights=weights)
    return {target: torch.eye(width, dtype=torch.float64)}


def _tensor_track(
    builder: Builder, net: Allegro, two_body: Expression, shape: tuple[int, int]
) -> list[Expression]:
    """Emit tensor products and latent networks; return the scalars of all layers.

    Parameters
    ----------
    shape : (degrees, channels)
        Of the tensor weights, channels with their padding.
    """
    s, width = net.scalars, shape[0] * shape[1]
    tensor = _apply(two_body, _spread(_matrix(net.tensor_weights, 0), 0, shape))
    projection = _spread(_matrix(net.first_projection, 0), s, shape)
    projection = _apply(two_body, projection)
    scalars = [_columns(projection, 0, s)]
    environment = _columns(projection, s, s + width)
    start = builder.materialize(_concatenate([tensor, environment]))
    place = start.after(width)
    for layer, latent in enumerate(net.latents):
        target = builder.segment(shape[1])
        places = {"tensor": start, "environment": place, "target": target}
        builder.emit(Code.TENSOR, layer=layer, **places)
        inner = {target: torch.eye(net.channels, dtype=torch.float64)}
        is_last = layer == len(net.latents) - 1
        x = _concatenate([*scalars, inner])
        x = _mlp(builder, latent, x, None if is_last else (s, shape))
        scalars.append(_columns(x, 0, s))
        if not is_last:
            place = builder.materialize(_columns(x, s, s + width))
    return scalars


def _mlp(
    builder: Builder,
    mlp: ScalarMLP,
    x: Expression,
    spread: tuple[int, tuple[int, int]] | None = None,
) -> Expression:
    """Emit the hidden layers; the last linear map stays an expression."""
    # A scripted module has its class in `original_name`.
    activation = getattr(mlp.activation, "original_name", type(mlp.activation).__name__)
    kind = _Nonlinearity.__members__.get(activation.upper())
    *hidden, last = (_matrix(mlp, index) for index in range(len(mlp.layers)))
    for matrix in hidden:
        x = _apply(x, matrix)
        if kind is None:
            continue
        width = next(iter(x.values())).shape[1]
        target, padded = builder.materialize(x), builder.padded(width)
        slope = builder.segment(width)
        places = {"target": target, "width": padded, "slope": slope}
        builder.emit(Code.ACTIVATION, kind=kind, **places)
        x = {target: torch.eye(width, dtype=torch.float64)}
    return _apply(x, last if spread is None else _spread(last, *spread))


def _layers(
    builder: Builder, network: Allegro, channels: int
) -> list[tuple[Layer, Tensor]]:
    """Non-zero elements of each layer's coupling, and their weights [n, channels]."""
    layers = []
    for operator in network.operators:
        a, b, d = operator.dim_in, operator.dim_env, operator.dim_out
        coupling = operator.coupling.double().cpu().view(-1, b, a, d)
        coupling = coupling.permute(2, 3, 1, 0)  # [A, D, B, P]
        entries = (coupling != 0).any(-1).nonzero()
        weight = operator.weight.detach().double().cpu()
        weight = weight.expand(network.channels, -1)
        values = coupling[tuple(entries.T)] @ weight.T
        padding = (0, channels - network.channels)
        start = builder.store(torch.nn.functional.pad(values, padding))
        layers.append((Layer(a, d, len(entries), start), entries))
    return layers


def _spread(matrix: Tensor, offset: int, shape: tuple[int, int]) -> Tensor:
    """Pad the channels of tensor weights, which the columns from ``offset`` on are."""
    degrees, channels = shape
    head, tail = matrix[:, :offset], matrix[:, offset:]
    tail = tail.unflatten(1, (degrees, -1))
    padding = (0, channels - tail.shape[2])
    return torch.cat((head, torch.nn.functional.pad(tail, padding).flatten(1)), 1)


def _matrix(mlp: ScalarMLP, index: int) -> Tensor:
    layer = mlp.layers[index]
    return layer.weight.detach().double().cpu() * layer.alpha


def _apply(x: Expression, matrix: Tensor) -> Expression:
    return {source: value @ matrix for source, value in x.items()}


def _columns(x: Expression, begin: int, end: int) -> Expression:
    return {source: value[:, begin:end] for source, value in x.items()}


def _concatenate(parts: list[Expression]) -> Expression:
    widths = [next(iter(part.values())).shape[1] for part in parts]
    result: Expression = {}
    start = 0
    for part, width in zip(parts, widths, strict=True):
        for source, value in part.items():
            if source not in result:
                shape = (len(value), sum(widths))
                result[source] = torch.zeros(shape, dtype=torch.float64)
            result[source][:, start : start + width] += value
        start += width
    return result
