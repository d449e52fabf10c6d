# SPDX-License-Identifier: MIT
"""Make the models and reference numbers beside this file with nequip-allegro itself.

Needs nequip 0.19.1 and nequip-allegro 0.8.3. Each model gets random weights there; they
are copied into a model file of this package, and nequip's energy, forces and stress of
two structures are written to reference.json.

python tests/data/nequip_allegro/make.py
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import ase
import numpy as np
import torch
from allegro.model import AllegroModel
from nequip.data import compute_neighborlist_
from nequip.data.ase import from_ase
from nequip.utils.global_state import set_global_state

from openmm_allegro import Model, save_model
from openmm_allegro.model import AllegroConfig, AllegroEnergy, Statistics

FOLDER = Path(__file__).parent
ELEMENTS = ("H", "O", "Na")
STATISTICS = Statistics((9.0,) * 3, (1.3,) * 3, (-1.0, -2.0, -3.0))
BASE = AllegroConfig(
    ELEMENTS,
    3.5,
    num_scalar_features=6,
    num_tensor_features=3,
    two_body_width=5,
    latent_width=7,
    readout_width=4,
)
CASES = {
    "l2": {},
    "l3_parity": {"l_max": 3, "num_layers": 3},
    "l2_no_parity": {"num_layers": 3, "parity": False},
    "l1_uncoupled": {"l_max": 1, "num_layers": 4, "path_channel_coupling": False},
    "l0": {"l_max": 0, "num_layers": 1, "readout_depth": 0},
    "l4_mish": {"l_max": 4, "latent_depth": 2, "latent_nonlinearity": "mish"},
    "zbl_cutoffs": {
        "zbl": True,
        "two_body_nonlinearity": "gelu",
        "pair_cutoffs": {"H-O": 2.0, "O-H": 3.0},
    },
}


def nequip_model(config: AllegroConfig) -> torch.nn.Module:
    cutoffs: dict[str, dict[str, float]] = {}
    for pair, cutoff in config.pair_cutoffs.items():
        center, neighbor = pair.split("-")
        cutoffs.setdefault(center, {})[neighbor] = cutoff
    shapes = {}
    for ours, theirs in (
        ("two_body", "scalar_embed_mlp"),
        ("latent", "allegro_mlp"),
        ("readout", "readout_mlp"),
    ):
        for name, suffix in (
            ("depth", "hidden_layers_depth"),
            ("width", "hidden_layers_width"),
            ("nonlinearity", "nonlinearity"),
        ):
            shapes[f"{theirs}_{suffix}"] = getattr(config, f"{ours}_{name}")
    return AllegroModel(
        seed=1,
        model_dtype="float64",
        r_max=config.cutoff,
        type_names=list(ELEMENTS),
        per_edge_type_cutoff=cutoffs or None,
        l_max=config.l_max,
        parity=config.parity,
        radial_chemical_embed={
            "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
            "num_bessels": config.num_bessels,
            "polynomial_cutoff_p": config.envelope_p,
        },
        num_layers=config.num_layers,
        num_scalar_features=config.num_scalar_features,
        num_tensor_features=config.num_tensor_features,
        tp_path_channel_coupling=config.path_channel_coupling,
        avg_num_neighbors=STATISTICS.mean_neighbors[0],
        per_type_energy_scales=STATISTICS.scales[0],
        per_type_energy_shifts=dict(zip(ELEMENTS, STATISTICS.shifts, strict=True)),
        pair_potential={
            "_target_": "nequip.nn.pair_potential.ZBL",
            "chemical_species": list(ELEMENTS),
            "units": "metal",
        }
        if config.zbl
        else None,
        **shapes,
    )


def copy_weights(source: dict[str, torch.Tensor], energy: AllegroEnergy) -> None:
    """nequip orders environment weights [channel, degree], we [degree, channel]."""
    channels, scalars = energy.network.channels, energy.network.scalars
    ours = dict(energy.network.named_parameters())
    modules = {
        "embedding.linear": ("basis_linear", None),
        "two_body": ("scalar_embed_mlp", None),
        "tensor_weights": ("env_embed_linear", 0),
        "first_projection": ("first_layer_env_embed_projection", scalars),
        "readout": ("edge_readout", None),
    }
    layers = len(energy.network.latents)
    for layer in range(layers):
        offset = scalars if layer < layers - 1 else None
        modules[f"latents.{layer}"] = (f"allegro.latents.{layer}.", offset)
    pairs = {
        "embedding.center": "center_embed.weight",
        "embedding.neighbor": "neighbor_embed.weight",
    }
    pairs |= {f"operators.{i}.weight": f"tps.{i}.weights" for i in range(layers)}
    chosen = {name: find(source, part)[0] for name, part in pairs.items()}
    offsets = {}
    for name, (part, offset) in modules.items():
        keys = find(source, part)
        for index, key in enumerate(keys):
            chosen[f"{name}.layers.{index}.weight"] = key
        if offset is not None:
            offsets[f"{name}.layers.{len(keys) - 1}.weight"] = offset
    for name, key in chosen.items():
        weight = source[key]
        if name in offsets:
            head, tail = weight.split(
                [offsets[name], weight.shape[1] - offsets[name]], 1
            )
            tail = tail.unflatten(1, (channels, -1)).transpose(1, 2).flatten(1)
            weight = torch.cat((head, tail), 1)
        with torch.no_grad():
            ours[name].copy_(weight.reshape(ours[name].shape))
    assert set(chosen) == set(ours)


def find(source: dict[str, torch.Tensor], part: str) -> list[str]:
    keys = [k for k in source if part in k and "w3j" not in k]
    return sorted(keys, key=lambda k: [int(n) for n in re.findall(r"\d+", k)])


def structures() -> dict[str, ase.Atoms]:
    random = np.random.default_rng(0)
    sites = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)[:20] * 1.6
    positions = sites + random.normal(0, 0.15, sites.shape)
    symbols = random.choice(ELEMENTS, len(sites), p=(0.6, 0.3, 0.1)).tolist()
    cell = [[5.0, 0, 0], [1.1, 4.9, 0], [-0.7, 0.8, 5.1]]
    return {
        "isolated": ase.Atoms(symbols, positions),
        "triclinic": ase.Atoms(symbols, positions, cell=cell, pbc=True),
    }


set_global_state()
reference = {}
for name, changes in CASES.items():
    config = replace(BASE, **changes)
    theirs = nequip_model(config)
    energy = AllegroEnergy(config, STATISTICS)
    copy_weights(theirs.state_dict(), energy)
    made_by = {"made_by": "nequip 0.19.1, nequip-allegro 0.8.3, random weights"}
    model = Model(config, STATISTICS, energy, "total", "float64", made_by)
    save_model(model, FOLDER / f"{name}.safetensors")
    reference[name] = {}
    for kind, atoms in structures().items():
        data = compute_neighborlist_(from_ase(atoms), r_max=config.cutoff)
        data["atom_types"] = torch.tensor([ELEMENTS.index(s) for s in atoms.symbols])
        result = theirs(dict(data))
        reference[name][kind] = {
            "symbols": list(atoms.symbols),
            "positions": atoms.positions.tolist(),
            "cell": atoms.cell.array.tolist(),
            "periodic": atoms.pbc.tolist(),
            "energy": result["total_energy"].item(),
            "forces": result["forces"].tolist(),
        }
        if atoms.pbc.all():
            reference[name][kind]["stress"] = result["stress"][0].tolist()
(FOLDER / "reference.json").write_text(json.dumps(reference) + "\n")
