# SPDX-License-Identifier: MIT
"""Smallest distances in training data, and their watchdog."""

import itertools

import numpy as np
import pytest
from training_helpers import ethanol, fit, liquid, short
from watchdog_helpers import events, particles, simulate, state_of

from openmm_allegro import Model, load_model
from openmm_allegro.model import AllegroConfig
from openmm_allegro.simulate.watchdogs.settings import closest_pairs as of_models
from openmm_allegro.simulate.watchdogs.watchdog import Watchdog, Watchdogs
from openmm_allegro.training.samples import make_samples
from openmm_allegro.training.statistics import closest_pairs


def brute(structures, cutoff):
    """Smallest distance of each pair of elements below a cutoff, image by image."""
    found = {}
    for s in structures:
        reach = range(-1, 2) if s.periodic.any() else (0,)
        for image in itertools.product(reach, repeat=3):
            vectors = s.positions[:, None] - s.positions + np.array(image) @ s.cell
            distances = np.linalg.norm(vectors, axis=-1)
            for i, j in np.argwhere((distances > 0) & (distances < cutoff)):
                pair = "-".join(sorted((s.symbols[i], s.symbols[j])))
                found[pair] = min(found.get(pair, np.inf), distances[i, j])
    return found


@pytest.mark.parametrize("data", [ethanol, liquid])
def test_closest_pairs_of_the_data(data):
    structures = data()[:3]
    config = AllegroConfig(("H", "C", "O"), 3.0)
    found = closest_pairs(make_samples(structures, config), config)
    expected = brute(structures, 3.0)
    assert list(found) == sorted(expected)
    for pair, distance in expected.items():
        assert 0 <= distance - found[pair] < 1.1e-4


def test_distances_of_the_training(tmp_path):
    """A model file knows them; in its own training data nothing fires."""
    fit(tmp_path / "run", short(max_epochs=1))
    model = load_model(tmp_path / "run" / "model.safetensors")
    trained = model.provenance["closest_pairs"]
    config = model.config
    expected = closest_pairs(make_samples(ethanol()[:16], config), config)
    assert trained == expected and trained["H-O"] < 1.0
    limits = of_models([model])
    # a molecule has one O: no pair of them was within the cutoff
    assert limits == trained | {"O-O": config.cutoff}
    settings = Watchdogs(closest_of_training=0.9, closest={"H-C": 0.5})
    found = settings.for_models([model])
    assert found.closest == {k: 0.9 * v for k, v in limits.items()} | {"C-H": 0.5}

    frame = ethanol()[0]
    simulation = simulate(*particles(frame.symbols), frame.positions / 10)
    settings = Watchdogs(closest_of_training=1.0).for_models([model])
    watchdog = Watchdog(settings, simulation, tmp_path / "w")
    watchdog.check(state_of(simulation), 0)
    assert not events(watchdog)
    simulation.context.setPositions(frame.positions / 10 * 0.8)
    watchdog.check(state_of(simulation), 1)
    assert len(events(watchdog)) == 1

    further = trained | {"H-O": 1.2}
    other = Model(**vars(model) | {"provenance": {"closest_pairs": further}})
    assert of_models([model, other])["H-O"] == 1.2
    old = Model(**vars(model) | {"provenance": {}})
    with pytest.raises(ValueError, match=r"provenance of model 1 .*give distances"):
        Watchdogs(closest_of_training=1.0).for_models([model, old])
