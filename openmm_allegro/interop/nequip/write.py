# SPDX-License-Identifier: MIT
"""Writing of nequip checkpoints from models of this package."""

import inspect
import io
import math
from pathlib import Path
from typing import Any

import torch

from ...model import AllegroConfig
from ...model.model import Model
from ...units import COULOMB_EV_ANGSTROM
from .parts import Parts, find_parts, slots, to_theirs

_SHAPES = {
    "two_body": "scalar_embed_mlp",
    "latent": "allegro_mlp",
    "readout": "readout_mlp",
}
# Terms of the energy beside the network's that can be written.
_TERMS = {"zbl"}
_BUILDERS = "allegro.model.allegro_models"


def builder_arguments(model: Model, seed: int = 0) -> dict[str, Any]:
    """Write a model as the ``training_module.model`` table of nequip's config.

    Raises
    ------
    ValueError
        If nequip-allegro has no such model.
    """
    config, statistics = model.config, model.statistics
    if model.kind != "total":
        raise ValueError(
            f"export: expected a model of kind total, found kind {model.kind}: nequip "
            "cannot record which baseline it corrects"
        )
    if config.is_charged:
        raise ValueError(
            "export: expected a model of charges = 'none', since nequip-allegro has no "
            f"energy of charges, found {config.charges!r}"
        )
    if config.inner_cutoffs:
        raise ValueError(
            "export: expected a model without inner_cutoffs, which nequip-allegro has "
            f"not, found {config.inner_cutoffs}"
        )
    unknown = sorted(set(model.energy.terms) - _TERMS)
    if unknown:
        raise ValueError(
            f"export: expected terms of the energy among {sorted(_TERMS)}, which "
            f"nequip-allegro has too, found {', '.join(unknown)}"
        )
    arguments: dict[str, Any] = {
        "_target_": f"{_BUILDERS}.AllegroModel",
        "seed": seed,
        "model_dtype": model.dtype,
        "type_names": list(config.elements),
        "r_max": config.cutoff,
        "per_edge_type_cutoff": _cutoffs(config),
        "l_max": config.l_max,
        "parity": config.parity,
        "radial_chemical_embed": _embedding(config),
        "radial_chemical_embed_dim": config.embedding_dim or None,
        "num_layers": config.num_layers,
        "num_scalar_features": config.num_scalar_features,
        "num_tensor_features": config.num_tensor_features,
        "tp_path_channel_coupling": config.path_channel_coupling,
        "avg_num_neighbors": _one_or_each(config, statistics.mean_neighbors),
        "per_type_energy_scales": _one_or_each(config, statistics.scales),
        "per_type_energy_shifts": _one_or_each(config, statistics.shifts),
        "pair_potential": _zbl(config),
    }
    for ours, theirs in _SHAPES.items():
        depth = getattr(config, f"{ours}_depth")
        name = getattr(config, f"{ours}_nonlinearity")
        arguments[f"{theirs}_hidden_layers_depth"] = depth
        arguments[f"{theirs}_hidden_layers_width"] = getattr(config, f"{ours}_width")
        arguments[f"{theirs}_nonlinearity"] = None if name == "none" else name
    if config.edge_irreps or config.tensor_irreps:
        arguments["_target_"] = f"{_BUILDERS}.FullAllegroModel"
        del arguments["l_max"], arguments["parity"]
        for name, irreps in (
            ("irreps_edge_sh", config.environment_irreps()),
            ("tensor_track_allowed_irreps", config.allowed_irreps()),
        ):
            arguments[name] = "+".join(f"1x{irrep}" for irrep in irreps)
    return arguments


def _cutoffs(config: AllegroConfig) -> dict[str, dict[str, float]] | None:
    if not config.pair_cutoffs:
        return None
    rows = config.cutoff_table().tolist()
    return {
        center: dict(zip(config.elements, row, strict=True))
        for center, row in zip(config.elements, rows, strict=True)
    }


def _embedding(config: AllegroConfig) -> dict[str, Any]:
    if config.radial_embedding == "spline":
        return {
            "_target_": "allegro.nn.TwoBodySplineScalarEmbed",
            "num_splines": config.num_splines,
            "spline_span": config.spline_span,
        }
    p = config.envelope_p
    return {
        "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
        "num_bessels": config.num_bessels,
        "bessel_trainable": config.bessel_trainable,
        "polynomial_cutoff_p": int(p) if p == int(p) else p,
    }


def _zbl(config: AllegroConfig) -> dict[str, Any] | None:
    if not config.zbl:
        return None
    if not math.isclose(config.zbl_coulomb, COULOMB_EV_ANGSTROM, rel_tol=1e-5):
        raise ValueError(
            f"export: expected zbl_coulomb = {COULOMB_EV_ANGSTROM} eV Å, nequip's "
            f"constant in eV and Å, found {config.zbl_coulomb}"
        )
    arguments: dict[str, Any] = {
        "_target_": "nequip.nn.pair_potential.ZBL",
        "chemical_species": list(config.elements),
        "units": "metal",
    }
    from nequip.nn.pair_potential import ZBL

    if "polynomial_cutoff_p" in inspect.signature(ZBL).parameters:
        arguments["polynomial_cutoff_p"] = config.zbl_envelope_p
        return arguments
    spline = config.radial_embedding == "spline"
    fixed = 6.0 if spline else config.envelope_p  # before nequip 0.17
    if config.zbl_envelope_p != fixed:
        raise ValueError(
            f"export: expected zbl_envelope_p = {fixed}, the only one that this "
            "version of nequip has with the model's embedding, found "
            f"{config.zbl_envelope_p}"
        )
    return arguments


def _one_or_each(config: AllegroConfig, values: tuple[float, ...]) -> Any:
    if len(set(values)) == 1:
        return values[0]
    return dict(zip(config.elements, values, strict=True))


def checkpoint(model: Model, example: Path) -> tuple[bytes, torch.nn.Module]:
    """Make a nequip checkpoint as bytes, and the nequip model in it.

    Call it within ``nequip_state``. ``example`` is the structure with which
    nequip-package and nequip-compile try the model.
    """
    import lightning
    from nequip.train import NequIPLightningModule
    from nequip.utils import get_current_code_versions

    target = "nequip.train.NequIPLightningModule"
    module = NequIPLightningModule(
        model=builder_arguments(model),
        num_datasets={"train": 1, "val": 0, "test": 0, "predict": 0},
        # versions before 0.15 need both; neither tells how the model was trained
        loss={"_target_": "nequip.train.EnergyForceLoss"},
        val_metrics={"_target_": "nequip.train.EnergyForceMetrics"},
        info_dict={
            "versions": get_current_code_versions(verbose=False),
            "training_module": {"_target_": target},
            "data": _data(model.config, example),
        },
    )
    (theirs,) = module.model.values()
    _write_weights(model, find_parts(theirs))
    content = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": module.state_dict(),
        "hyper_parameters": dict(module.hparams),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue(), theirs.eval()


def _data(config: AllegroConfig, example: Path) -> dict[str, Any]:
    from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper as Mapper

    # The argument's name before nequip 0.15, and after.
    names = inspect.signature(Mapper).parameters
    types = "model_type_names" if "model_type_names" in names else "chemical_symbols"
    transforms = "nequip.data.transforms"
    return {
        "_target_": "nequip.data.datamodule.ASEDataModule",
        "seed": 0,
        "train_file_path": str(example),
        "val_file_path": str(example),
        "transforms": [
            {
                "_target_": f"{transforms}.ChemicalSpeciesToAtomTypeMapper",
                types: list(config.elements),
            },
            {
                "_target_": f"{transforms}.NeighborListTransform",
                "r_max": config.cutoff,
            },
        ],
        "train_dataloader": {
            "_target_": "torch.utils.data.DataLoader",
            "batch_size": 1,
        },
    }


def _write_weights(model: Model, parts: Parts) -> None:
    network = model.energy.network
    ours = dict(network.named_parameters())
    irreps = network.degree_mask.shape[1]
    for slot in slots(parts):
        value = ours.pop(slot.name)
        shape = slot.parameter.shape
        if slot.offset is not None:
            value = value.reshape(shape)
        value = to_theirs(value, slot, network.channels, irreps)
        with torch.no_grad():
            slot.parameter.copy_(value.reshape(shape))
    if ours:
        raise ValueError(f"export: expected a place for every weight, found {ours}")
    if model.config.zbl:
        # half for each ordered pair; LAMMPS' units real round the constant otherwise
        parts.pair_potential._qqr2exesquare.fill_(0.5 * model.config.zbl_coulomb)
