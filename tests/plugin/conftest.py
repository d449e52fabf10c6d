# SPDX-License-Identifier: MIT
"""A System of the native force, and Platforms with a card."""

import os

import pytest


@pytest.fixture(scope="module")
def waters():
    """A System whose pairs are found anew every few steps, positions and box (nm)."""
    # not where a module has waters of its own, and torch may be missing
    from helpers import water_model
    from openmm_helpers import lattice_waters, make_topology

    from openmm_allegro import AllegroPotential

    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box)
    potential = AllegroPotential(water_model())
    system = potential.create_system(topology, backend="native", skin=0.05)
    return system, positions, box


@pytest.fixture(params=["CUDA", "HIP", "OpenCL"])
def name(request, monkeypatch):
    """A Platform whose card is to be used; OpenCL on a processor (PoCL) plays one."""
    from openmm_allegro.plugin import card

    obstacle = card.obstacle_on(request.param)
    if obstacle:
        pytest.skip(obstacle)
    monkeypatch.setenv("OPENMM_ALLEGRO_CARD", "always")
    # PoCL's compiler takes minutes, or fails, where it may optimise.
    monkeypatch.setitem(os.environ, "POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable")
    return request.param
