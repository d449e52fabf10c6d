# SPDX-License-Identifier: MIT
"""The native force on each Platform of OpenMM that there is, alone and mixed."""

import numpy as np
import openmm
import pytest
from mixed_helpers import organic_model, solvated
from openmm_helpers import context_of, evaluate, lattice_waters, make_topology

from openmm_allegro import AllegroPotential
from openmm_allegro.plugin import card

ACETYL = [5, 0, 2, 4, 3, 1]
# And whether the force is computed on the Platform's card: OPENMM_ALLEGRO_CARD.
PLATFORMS = [
    ("CPU", "never"),
    *((name, use) for name in card.PLATFORMS for use in ("never", "always")),
]


@pytest.fixture(params=PLATFORMS, ids="-".join)
def platform(request, monkeypatch):
    name, _ = request.param
    number = range(openmm.Platform.getNumPlatforms())
    names = [openmm.Platform.getPlatform(index).getName() for index in number]
    if name not in names:
        pytest.skip(f"OpenMM has no Platform {name} here")
    # PoCL's compiler takes minutes, or fails, where it may optimise.
    monkeypatch.setenv("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable")
    return request.param


@pytest.fixture
def context_on(monkeypatch):
    """Make a Context on a Platform, with or without its card."""

    def make(system, positions, platform):
        name, use_of_card = platform
        with monkeypatch.context() as patch:
            patch.setenv("OPENMM_ALLEGRO_CARD", use_of_card)
            return context_of(system, positions, name)

    return make


def pure(model):
    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box)
    system = AllegroPotential(model).create_system(topology, backend="native")
    return system, positions


def mixed(model, **options):
    whole = solvated()
    system = AllegroPotential(organic_model()).create_mixed_system(
        whole.topology, whole.system, ACETYL, link="cap", backend="native", **options
    )
    return system, whole.positions


SYSTEMS = {
    "pure": pure,
    "mixed": mixed,
    "interpolated": lambda model: mixed(model, interpolate=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SYSTEMS)
def test_equals_the_reference_platform(platform, context_on, kind, model):
    """To single precision, in which the others add forces."""
    system, positions = SYSTEMS[kind](model)
    contexts = [
        context_on(system, positions, one) for one in (("Reference", "never"), platform)
    ]
    values = [0.3, 1.0] if kind == "interpolated" else [None]
    for value in values:
        for context in contexts:
            if value is not None:
                context.setParameter("lambda_interpolate", value)
        (expected, forces), (energy, others) = map(evaluate, contexts)
        assert energy == pytest.approx(expected, rel=1e-4)
        np.testing.assert_allclose(others, forces, atol=2e-4 * abs(forces).max())
    contexts[1].getIntegrator().step(5)
    assert np.isfinite(evaluate(contexts[1])[0])


@pytest.mark.slow
def test_an_error_in_a_step_is_raised_and_the_context_goes_on(
    platform, context_on, model
):
    """Some Platforms compute the force in a thread of their own."""
    system, positions = pure(model)
    context = context_on(system, positions, platform)
    expected, _ = evaluate(context)
    wrong = positions.copy()
    wrong[4, 1] = np.nan
    context.setPositions(wrong)
    with pytest.raises(openmm.OpenMMException):
        context.getState(energy=True, forces=True)
    context.setPositions(positions)
    assert evaluate(context)[0] == pytest.approx(expected, rel=1e-6)
