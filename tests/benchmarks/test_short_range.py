# SPDX-License-Identifier: MIT
"""Walls below the closest distances of the data: of a model with a pair core, and how
the benchmark says so."""

import numpy as np
import pytest
from training_helpers import TINY, ethanol

from openmm_allegro.model import AllegroConfig
from openmm_allegro.training.config import TrainConfig
from openmm_allegro.training.train import train

CORE = {"zbl": True, "core_rates": (0.5, 1.0, 2.0, 3.0, 4.0, 6.0)}


@pytest.fixture(scope="module")
def short_range(script):
    return script("short_range")


def trained(folder):
    """A small network after some steps on 16 frames of ethanol."""
    config = AllegroConfig(("H", "C", "O"), **TINY | {"cutoff": 4.0}, **CORE)
    settings = TrainConfig(max_epochs=12, batch_size=4, device="cpu")
    frames = list(ethanol())
    return train(config, settings, frames[:16], frames[16:], folder, progress=False)


def test_a_training_with_a_core_has_a_wall(tmp_path, short_range):
    """Of all kinds of pairs, alone and beside the others."""
    frame = ethanol()[18]
    rows = short_range.survey(trained(tmp_path), frame)
    assert len(rows) == 6
    assert [r["pair"] for r in rows if not r["known"]] == ["O-O"]  # one oxygen
    for row in rows:
        assert ("frame" in row) == (row["pair"] != "O-O")
        for where in {"dimer", "frame"} & set(row):
            found = row[where]
            assert found["repulsive"], (row["pair"], where)
            assert found["well_angstrom"] is None
            assert found["highest_ev"] > (10.0 if row["pair"] == "H-H" else 50.0)


def test_walls_and_the_wells_in_front_of_them(short_range):
    r = np.array([0.5, 1.0, 1.5, 2.0])
    forces = np.array([[-1.0, 1.0, -1.0, 1.0]])
    found = short_range.describe(r, np.array([[-90.0, 31.0, -2.0, 1.0]]), forces)
    assert found == {
        "wall": True,
        "wall_angstrom": 1.0,
        "highest_ev": 30.0,
        "half_ev": 30.0,
        "repulsive": False,
        "well_ev": -3.0,
        "well_angstrom": 1.5,
    }
    found = short_range.describe(r, np.array([[-90.0, 31.0, 2.0, 1.0]]), abs(forces))
    assert found["repulsive"] and found["well_angstrom"] is None
    found = short_range.describe(r, np.array([[-90.0, 3.0, 2.0, 1.0]]), forces)
    assert not found["wall"] and found["well_angstrom"] == 0.5
