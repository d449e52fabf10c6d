# SPDX-License-Identifier: MIT
"""Reading of config, statistics and weights from nequip-allegro's modules."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...model import AllegroConfig, AllegroEnergy, Statistics
from ...units import COULOMB_EV_ANGSTROM
from .parts import Parts, Unmapped, read_mlp, slots, to_ours


def read_config(
    parts: Parts, elements: tuple[str, ...], length: float, energy: float
) -> AllegroConfig:
    """Read the hyperparameters of a nequip-allegro network.

    Parameters
    ----------
    parts : Parts
    elements : tuple of str
        Chemical symbols of nequip's types, in their order.
    length, energy : float
        The model's units in Å and eV.

    Raises
    ------
    Unmapped
        If a part has no counterpart.
    ValueError
        As by ``AllegroConfig``.
    """
    allegro = parts.allegro
    cutoff = _short(parts.edge_norm.r_max * length)
    mlps = {
        "two_body": parts.scalar_embed_mlp.mlp_module,
        "latent": allegro.latents[0],
        "readout": parts.edge_readout.mlp_module,
    }
    settings: dict[str, Any] = {}
    for name, mlp in mlps.items():
        layers = read_mlp(mlp)
        settings[f"{name}_depth"] = len(layers.weights) - 1
        if len(layers.weights) > 1:
            settings[f"{name}_width"] = layers.weights[0].shape[1]
        settings[f"{name}_nonlinearity"] = layers.nonlinearity
    if parts.spline is not None:
        settings["radial_embedding"] = "spline"
        settings["num_splines"] = parts.spline.num_splines
        settings["spline_span"] = parts.spline.spline_span
        settings["embedding_dim"] = parts.spline.num_channels
    else:
        bessel = parts.radial_chemical_embed.bessel_encode
        basis = parts.radial_chemical_embed.type_embed.basis_linear
        settings["num_bessels"] = bessel.num_bessels
        settings["bessel_trainable"] = bool(bessel.trainable)
        settings["envelope_p"] = float(bessel.cutoff.p)
        settings["embedding_dim"] = read_mlp(basis).weights[-1].shape[1]
    if settings["embedding_dim"] == allegro.num_scalar_features:
        settings["embedding_dim"] = 0
    return AllegroConfig(
        elements,
        cutoff,
        pair_cutoffs=_pair_cutoffs(parts, elements, cutoff, length),
        num_layers=allegro.num_layers,
        num_scalar_features=allegro.num_scalar_features,
        num_tensor_features=allegro.num_tensor_features,
        path_channel_coupling=bool(allegro.tps[0].path_channel_coupling),
        **settings,
        **_irreps(parts),
        **_zbl(parts, elements, length, energy),
    )


def _pair_cutoffs(
    parts: Parts, elements: tuple[str, ...], cutoff: float, length: float
) -> dict[str, float]:
    reciprocal = parts.edge_norm._rmax_recip.detach().double().flatten()
    if reciprocal.numel() == 1:
        return {}
    table = (length / reciprocal).reshape(len(elements), -1).tolist()
    return {
        f"{center}-{neighbor}": _short(value)
        for center, row in zip(elements, table, strict=True)
        for neighbor, value in zip(elements, row, strict=True)
        if _short(value) != cutoff
    }


def _irreps(parts: Parts) -> dict[str, Any]:
    environment = tuple(str(ir) for _, ir in parts.allegro.tps[0].irreps_in2)
    allowed = tuple(str(ir) for _, ir in parts.allegro.tensor_track_allowed_irreps)
    l_max = max(ir.l for _, ir in parts.allegro.tps[0].irreps_in2)
    standard = tuple(f"{degree}{'oe'[degree % 2 == 0]}" for degree in range(l_max + 1))
    both = tuple(f"{degree}{p}" for degree in range(l_max + 1) for p in "eo")
    return {
        "l_max": l_max,
        "parity": allowed != environment,
        "edge_irreps": () if environment == standard else environment,
        "tensor_irreps": () if allowed in (environment, both) else allowed,
    }


def _zbl(
    parts: Parts, elements: tuple[str, ...], length: float, energy: float
) -> dict[str, Any]:
    zbl = parts.steps.get("pair_potential")
    if zbl is None:
        return {}
    from ase.data import chemical_symbols

    symbols = tuple(chemical_symbols[int(z)] for z in zbl.atomic_numbers.tolist())
    if symbols != elements:
        raise Unmapped(f"a ZBL core for the model's elements {elements}", symbols)
    if hasattr(zbl, "cutoff"):
        p = zbl.cutoff.p
    elif "cutoff" in parts.steps:  # nequip before 0.17
        p = parts.cutoff.cutoff.p
    else:
        p = parts.radial_chemical_embed.bessel_encode.cutoff.p
    # nequip stores half of it, for each ordered pair
    coulomb = 2.0 * float(zbl._qqr2exesquare) * energy
    if length != 1.0 or abs(coulomb / COULOMB_EV_ANGSTROM - 1.0) > 1e-5:
        raise Unmapped(
            "a ZBL core in the units of the model (nequip's units: metal is Å and eV, "
            "real is Å and kcal/mol)",
            f"one whose e²/(4πε0) would be {coulomb:.6g} eV Å with a length unit of "
            f"{length:.6g} Å",
        )
    return {"zbl": True, "zbl_envelope_p": float(p), "zbl_coulomb": coulomb}


def read_statistics(parts: Parts, count: int, energy: float) -> Statistics:
    """Read mean neighbour numbers, scales and shifts (eV) of ``count`` elements."""
    norm = _norm(parts, count)
    mean_neighbors = [_neighbors(n) for n in norm.tolist()]
    # Normally 1: nequip stores one norm in two places.
    ratio = _readout_norm(parts, count) / norm
    single = parts.model.model_dtype == torch.float32
    same = (ratio - 1.0).abs() < (1e-6 if single else 1e-14)
    ratio = torch.where(same, 1.0, ratio)
    scale_shift = parts.per_type_energy_scale_shift
    scales = _of_types(scale_shift.scales, 1.0, count) * ratio * energy
    shifts = _of_types(scale_shift.shifts, 0.0, count) * energy
    return Statistics(
        tuple(mean_neighbors), tuple(scales.tolist()), tuple(shifts.tolist())
    )


def _norm(parts: Parts, count: int) -> Tensor:
    """Read 1 / sqrt(mean neighbours) of the environment sums."""
    allegro = parts.allegro
    factors = {getattr(layer, "scatter_factor", None) for layer in allegro.tps}
    if hasattr(allegro, "avg_num_neighbors_norm"):
        if factors != {None}:
            raise Unmapped("one normalization of the environment", "two")
        return _of_types(allegro.avg_num_neighbors_norm.norm_const, 1.0, count)
    if len(factors) != 1 or None in factors:  # nequip-allegro before 0.8
        raise Unmapped("one scatter factor for all layers", factors)
    return torch.full((count,), float(factors.pop()), dtype=torch.float64)


def _readout_norm(parts: Parts, count: int) -> Tensor:
    """Read 1 / sqrt(mean neighbours) of the sum of pair energies."""
    readout = parts.edge_eng_sum
    if hasattr(readout, "norm_module"):
        return _of_types(readout.norm_module.norm_const, 1.0, count)
    factor = 1.0 if readout._factor is None else float(readout._factor)
    return torch.full((count,), factor * 2.0**0.5, dtype=torch.float64)


def read_weights(parts: Parts, energy: AllegroEnergy) -> None:
    """Copy all weights into our network.

    Raises
    ------
    Unmapped
        If a weight of either side has no counterpart, or the layers' irreps differ.
    """
    network = energy.network
    ours = dict(network.named_parameters())
    irreps = network.degree_mask.shape[1]
    used = set()
    for slot in slots(parts):
        value = to_ours(slot.parameter, slot, network.channels, irreps)
        target = ours.pop(slot.name, None)
        if target is None or target.numel() != value.numel():
            shape = None if target is None else tuple(target.shape)
            raise Unmapped(f"weights {slot.name} of shape {shape}", tuple(value.shape))
        with torch.no_grad():
            target.copy_(value.reshape(target.shape))
        used.add(id(slot.parameter))
    scale_shift = parts.per_type_energy_scale_shift
    used |= {id(scale_shift.scales), id(scale_shift.shifts)}
    left = [n for n, p in parts.model.named_parameters() if id(p) not in used]
    if left or ours:
        raise Unmapped("a counterpart of every weight", f"none of {left + list(ours)}")


def read_elements(
    model: torch.nn.Module, named: Mapping[str, str] | None
) -> tuple[str, ...]:
    """Read the chemical symbols of a nequip model's types.

    Parameters
    ----------
    model : nequip GraphModel
    named : mapping, optional
        From nequip's type names to symbols, for names that are not symbols themselves.

    Raises
    ------
    ValueError
        If a type name is no chemical symbol, or ``named`` names an unknown type.
    """
    from ase.data import atomic_numbers

    names = list(model.type_names)
    named = dict(named or {})
    unknown = sorted(set(named) - set(names))
    if unknown:
        raise ValueError(f"expected elements for types among {names}, found {unknown}")
    symbols = tuple(named.get(name, name) for name in names)
    strange = [s for s in symbols if atomic_numbers.get(s, 0) < 1]
    if strange or len(set(symbols)) != len(symbols):
        raise ValueError(
            "expected types that are chemical symbols, each once, found "
            f"{', '.join(symbols)}; name the element of a type: --element TYPE=SYMBOL "
            "(elements={'TYPE': 'SYMBOL'})"
        )
    return symbols


def _of_types(value: Tensor, default: float, count: int) -> Tensor:
    value = value.detach().to("cpu", torch.float64).flatten()
    if value.numel() == 0:
        value = torch.tensor([default], dtype=torch.float64)
    return value.expand(count).clone() if value.numel() == 1 else value


def _neighbors(norm: float) -> float:
    """Compute norm**-2 without the digits that rounding added."""
    exact = norm**-2
    short = float(f"{exact:.6g}")
    single = torch.tensor(short**-0.5, dtype=torch.float32).item()
    return short if norm == single or abs(short / exact - 1.0) < 1e-14 else exact


def _short(value: float) -> float:
    """Drop the digits that a reciprocal of a reciprocal added."""
    return float(f"{value:.12g}")
