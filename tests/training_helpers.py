# SPDX-License-Identifier: MIT
"""Small data, tiny networks and short runs for the tests of training."""

import csv
import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from openmm_allegro.model import AllegroConfig, AllegroEnergy, Statistics
from openmm_allegro.modelfile import Model, load_model
from openmm_allegro.structure import Structure, read_structures
from openmm_allegro.training.config import TrainConfig

DATA = Path(__file__).parent / "data"
ETHANOL = DATA / "ethanol.extxyz"
LIQUID = DATA / "ec_emc.extxyz"

# A network of a few hundred weights, but for its elements.
TINY = {
    "cutoff": 3.0,
    "l_max": 1,
    "num_layers": 1,
    "num_scalar_features": 8,
    "num_tensor_features": 4,
    "num_bessels": 4,
    "two_body_width": 8,
    "latent_width": 8,
    "readout_width": 8,
}
# columns of log.csv that differ between equal runs, or are empty in those of fit()
UNMEASURED = ("seconds", "stress_rmse")

# Fixtures of conftest for ``compile = True``: inductor and g++ take a minute.
COMPILERS = ("traced", pytest.param("compiled", marks=pytest.mark.slow))


@functools.cache
def ethanol() -> tuple[Structure, ...]:
    """20 frames of an isolated molecule, no stress."""
    return tuple(read_structures(ETHANOL))


@functools.cache
def liquid() -> tuple[Structure, ...]:
    """4 frames of a periodic liquid of 160 atoms, with stress."""
    return tuple(read_structures(LIQUID))


def tiny_config(
    elements: tuple[str, ...] = ("H", "C", "O"), **changes: Any
) -> AllegroConfig:
    """A network of a few hundred weights."""
    return AllegroConfig(elements, **(TINY | changes))


def training_toml(data: dict[str, Any], train: dict[str, Any], **network: Any) -> str:
    """Text of a TOML that trains a tiny network on ethanol."""
    model = {"elements": ["C", "H", "O"]} | TINY | network
    lines = []
    for name, table in (("data", data), ("model", model), ("train", train)):
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def tiny_model(dtype: str = "float32", **changes: Any) -> Model:
    """An untrained model of H, C and O with statistics that are no round numbers."""
    config = tiny_config(**changes)
    numbers = Statistics((7.3, 9.1, 6.7), (1.1, 1.2, 1 / 3), (-13.6, -1029.4, -2041.7))
    energy = AllegroEnergy(config, numbers, seed=3)
    if dtype == "float32":
        energy.set_dtype(torch.float32)
    return Model(config, numbers, energy, "total", dtype, {"seed": 3, "note": "Å"})


def random_structure(
    symbols: tuple[str, ...], seed: int = 0, *, box: float = 0.0, **labels: Any
) -> Structure:
    """Atoms at random, at least 0.7 Å apart, in a triclinic box or without one."""
    rng = np.random.default_rng(seed)
    size = box or 1.6 * len(symbols) ** (1 / 3) + 0.5
    positions: list[np.ndarray] = []
    while len(positions) < len(symbols):
        trial = rng.uniform(0, size, 3)
        if all(np.linalg.norm(trial - p) > 0.7 for p in positions):
            positions.append(trial)
    cell = np.zeros((3, 3))
    if box:
        cell = box * np.array([[1.0, 0.0, 0.0], [0.2, 0.9, 0.0], [-0.3, 0.1, 0.8]])
    return Structure(
        symbols, np.array(positions), cell, np.full(3, bool(box)), **labels
    )


def without(structure: Structure, *labels: str) -> Structure:
    """The structure with some of its labels taken away."""
    return dataclasses.replace(structure, **dict.fromkeys(labels))


def read_log(folder: Path) -> list[dict[str, float]]:
    """Rows of log.csv as numbers; an empty field is NaN."""
    with open(folder / "log.csv", newline="") as file:
        return [
            {key: float(value or "nan") for key, value in row.items()}
            for row in csv.DictReader(file)
        ]


# Settings whose errors have closed forms, and that are not what a user gets unasked.
PLAIN = dict(
    optimizer="adam",
    weight_decay=0.0,
    fix_linear_chains=False,
    energy_weight=1.0,
    stress_weight=0.0,
    forces_loss="mse",
)


def short(**changes: Any) -> TrainConfig:
    """Four epochs of Adam at a constant rate, with averaged weights."""
    values = PLAIN | dict(
        max_epochs=4,
        batch_size=4,
        learning_rate=0.02,
        warmup_steps=0,
        schedule="constant",
        ema_decay=0.9,
    )
    return TrainConfig(**(values | changes))


def fit(
    output: Path,
    config: TrainConfig,
    *,
    model: AllegroConfig | None = None,
    training: Sequence[Structure] | None = None,
    validation: Sequence[Structure] | None = None,
    progress: bool = False,
    **options: Any,
) -> Model:
    """Train on 16 frames of ethanol, validate on 4: four steps an epoch."""
    # Here, not at the top: most tests that use this module need no lightning.
    from openmm_allegro.training.train import train

    return train(
        model or tiny_config(),
        config,
        ethanol()[:16] if training is None else training,
        ethanol()[16:] if validation is None else validation,
        output,
        progress=progress,
        **options,
    )


def as_trained(model: Model) -> Model:
    """Take back what was done to the shifts after the training."""
    before = model.provenance["refitted_shifts"].get("shifts_before")
    if before is not None:
        model.energy.shifts.copy_(torch.tensor(before))
    return model


def weights(model: Model) -> dict[str, Tensor]:
    """Weights of a network by name."""
    return dict(model.energy.network.state_dict())


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """True if both have the same names and, bit by bit, the same values."""
    return set(first) == set(second) and all(
        torch.equal(first[name], second[name]) for name in first
    )


def checkpoint(folder: Path) -> dict[str, Any]:
    """Load the checkpoint in the folder of a training."""
    path = max((folder / "checkpoints").glob("*.ckpt"))
    return torch.load(path, weights_only=True)


def rates(folder: Path) -> list[float]:
    """The learning rate at the end of each epoch."""
    return [row["learning_rate"] for row in read_log(folder)]


def assert_same_training(first: Path, second: Path) -> None:
    """Same rows, same best model, same last weights and same averages of them."""
    rows = [
        [{c: row[c] for c in row if c not in UNMEASURED} for row in read_log(folder)]
        for folder in (first, second)
    ]
    assert rows[0] == rows[1]
    models = [load_model(folder / "model.safetensors") for folder in (first, second)]
    assert models[0].provenance["epoch"] == models[1].provenance["epoch"]
    assert same(*(weights(m) for m in models))
    states = [checkpoint(folder) for folder in (first, second)]
    for key in ("state_dict", "current_model_state"):
        assert (key in states[0]) == (key in states[1])
        if key in states[0]:
            assert same(states[0][key], states[1][key])
