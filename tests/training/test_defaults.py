# SPDX-License-Identifier: MIT
"""Settings that a user gets unasked: they train, and follow what the data has."""

import dataclasses
import logging
import tomllib
from pathlib import Path

import numpy as np
import pytest
from training_helpers import PLAIN, ethanol, fit, liquid, rates, read_log, tiny_config

pytest.importorskip("lightning")

from openmm_allegro.structure import Structure
from openmm_allegro.training.config import STRESS_WEIGHT, TrainConfig
from openmm_allegro.training.start import with_stress_weight

SYSTEMS = Path(__file__).parents[2] / "systems"


def morse_frames(count):
    """Small argon clusters off a lattice, with a Morse potential's labels."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[[0.0, 3.4]] * 3), -1).reshape(-1, 3)
    frames = []
    for _ in range(count):
        positions = grid + rng.normal(scale=0.2, size=grid.shape)
        vectors = positions[None] - positions[:, None]  # [i, j] from i to j
        r = np.linalg.norm(vectors, axis=-1) + np.eye(len(grid))
        rise = np.exp(-1.7 * (r - 3.4))
        pairs = 0.3 * ((1 - rise) ** 2 - 1) * (1 - np.eye(len(grid)))
        slope = 0.6 * 1.7 * (1 - rise) * rise * (1 - np.eye(len(grid)))
        forces = (slope[..., None] * vectors / r[..., None]).sum(1)
        frames.append(
            Structure(
                ("Ar",) * len(grid),
                positions,
                np.zeros((3, 3)),
                np.full(3, False),
                energy=float(pairs.sum() / 2),
                forces=forces,
            )
        )
    return frames


@pytest.mark.slow
def test_defaults_learn_a_morse_potential_and_former_ones_did_not(tmp_path):
    frames = morse_frames(48)
    size = float(np.sqrt(np.mean([f.forces**2 for f in frames]))) * 1000
    model = tiny_config(("Ar",), cutoff=6.0)
    sets = {"training": frames[:40], "validation": frames[40:]}
    former = PLAIN | {"warmup_steps": 200, "final_rate": 0.01, "ema_decay": 0.99}
    errors = {}
    for name, settings in (("now", {}), ("former", former)):
        config = TrainConfig(max_epochs=20, **settings)
        fit(tmp_path / name, config, model=model, **sets)
        errors[name] = min(r["forces_rmse"] for r in read_log(tmp_path / name))
    assert errors["now"] < 0.15 * size
    assert errors["now"] < 0.6 * errors["former"]


def test_warm_up_takes_a_twentieth_of_a_short_training(tmp_path):
    assert TrainConfig().warmup(100) == 5
    assert TrainConfig().warmup(100_000) == 200
    assert TrainConfig(warmup_steps=60).warmup(100) == 60
    fit(tmp_path / "run", TrainConfig(max_epochs=10, schedule="constant"))
    assert rates(tmp_path / "run") == [0.005] * 10  # 2 of 40 steps


def test_stresses_have_a_weight_where_there_are_any(caplog):
    frames = liquid()
    assert with_stress_weight(TrainConfig(), frames).stress_weight == STRESS_WEIGHT
    assert with_stress_weight(TrainConfig(), ethanol()).stress_weight == 0.0
    given = TrainConfig(stress_weight=3.0)
    assert with_stress_weight(given, frames) == given
    zero = [dataclasses.replace(f, stress=np.zeros((3, 3))) for f in frames]
    with caplog.at_level(logging.WARNING, "openmm_allegro.training.start"):
        assert with_stress_weight(TrainConfig(), zero).stress_weight == 0.0
    assert "all stresses are zero" in caplog.text


def test_the_weight_of_stresses_is_recorded(tmp_path):
    sets = {"training": liquid()[:2], "validation": liquid()[2:3]}
    model = fit(tmp_path / "run", TrainConfig(max_epochs=1), **sets)
    assert model.provenance["train"]["stress_weight"] == STRESS_WEIGHT
    assert read_log(tmp_path / "run")[0]["stress_rmse"] > 0
    fit(tmp_path / "run", TrainConfig(max_epochs=2), resume=True, **sets)


@pytest.mark.parametrize("path", sorted(SYSTEMS.glob("*/*.toml")), ids=str)
def test_committed_trainings_do_not_change_with_the_defaults(path):
    """They state what a later version may have other defaults for."""
    table = tomllib.loads(path.read_text(encoding="utf-8")).get("train")
    if table is not None:
        stated = {*PLAIN, "learning_rate", "warmup_steps", "schedule", "final_rate"}
        assert {*stated, "forces_weight", "ema_decay"} <= {*table}
        assert table["optimizer"] == "adam" or "momentum" in table
