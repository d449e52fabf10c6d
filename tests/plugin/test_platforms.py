# SPDX-License-Identifier: MIT
"""The native force on each Platform of OpenMM that there is, alone and mixed."""

import numpy as np
import openmm
import pytest
from mixed_helpers import organic_model, solvated
from openmm_helpers import context_of, evaluate, lattice_waters, make_topology

from openmm_allegro import AllegroPotential

ACETYL = [5, 0, 2, 4, 3, 1]
PLATFORMS = ("CPU", "OpenCL", "CUDA", "HIP")


@pytest.fixture(params=PLATFORMS)
def platform(request):
    number = range(openmm.Platform.getNumPlatforms())
    names = [openmm.Platform.getPlatform(index).getName() for index in number]
    if request.param not in names:
        pytest.skip(f"OpenMM has no Platform {request.param} here")
    return request.param


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
def test_equals_the_reference_platform(platform, kind, model):
    """To single precision, in which the others add forces."""
    system, positions = SYSTEMS[kind](model)
    contexts = [context_of(system, positions, name) for name in ("Reference", platform)]
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
def test_an_error_in_a_step_is_raised_and_the_context_goes_on(platform, model):
    """Some Platforms compute the force in a thread of their own."""
    system, positions = pure(model)
    context = context_of(system, positions, platform)
    expected, _ = evaluate(context)
    wrong = positions.copy()
    wrong[4, 1] = np.nan
    context.setPositions(wrong)
    with pytest.raises(openmm.OpenMMException):
        context.getState(energy=True, forces=True)
    context.setPositions(positions)
    assert evaluate(context)[0] == pytest.approx(expected, rel=1e-6)
