# SPDX-License-Identifier: MIT
"""A model of charges that stands in for a network, and files of dipoles."""

import numpy as np
import openmm


class StandIn:
    """Charges that depend on positions, with the sum that those at the start have."""

    is_charged, number_of_caps, number_of_models = True, 0, 1

    def __init__(self, start, strength=0.1):
        self.start, self.strength = np.asarray(start, dtype=float), strength
        self.particles = np.arange(len(start))

    def charges(self, positions, box=None):
        added = self.strength * np.sin(20 * positions).sum(axis=1)
        return self.start + added - added.mean()


def stand_in(monkeypatch, start, strength=0.1):
    """Let the models with charges of all Systems be a StandIn, which is returned."""
    made = StandIn(start, strength)
    where = "openmm_allegro.reporters.charges"
    monkeypatch.setattr(f"{where}.charged_computation", lambda context: made)
    monkeypatch.setattr(f"{where}.computations", lambda system: [made])
    return made


def with_charges(system, charges):
    """Add a NonbondedForce with charges."""
    force = openmm.NonbondedForce()
    for charge in charges:
        force.addParticle(charge, 0.1, 0.0)
    system.addForce(force)
    return system
