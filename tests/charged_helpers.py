# SPDX-License-Identifier: MIT
"""Models with charges, of water and of two ions, with random weights."""

import dataclasses

from helpers import water_model

from openmm_allegro import Model
from openmm_allegro.model import AllegroConfig, AllegroEnergy, Statistics

# Far from neutral for a molecule of water, so that the total charge has work to do.
START = {"H": 0.25, "O": -0.3}


def charged_water(kind: str = "learned", seed: int = 5, start=START) -> Model:
    """The network of ``water_model`` with charges."""
    local = water_model(seed)
    config = dataclasses.replace(local.config, charges=kind, charge_start=start)
    energy = AllegroEnergy(config, local.statistics, seed=seed)
    return Model(config, local.statistics, energy, "total", "float64")


def two_ions(charges=(0.9, -0.8), cutoff: float = 5.0) -> Model:
    """Na and Cl of constant charges."""
    config = AllegroConfig(
        ("Na", "Cl"),
        cutoff,
        num_scalar_features=4,
        num_tensor_features=2,
        two_body_width=4,
        latent_width=4,
        readout_width=4,
        charges="constant",
        charge_start=dict(zip(("Na", "Cl"), charges, strict=True)),
        charge_alpha=0.8,  # points, from 8 Å on
    )
    statistics = Statistics((3.0, 3.0), (0.5, 0.5), (-1.0, -2.0))
    energy = AllegroEnergy(config, statistics, seed=1)
    return Model(config, statistics, energy, "total", "float64")
