# SPDX-License-Identifier: MIT
"""E_mixed = E_MM(all) + λ (E_ML(region) - E_MM(region)) for what users start from."""

import itertools
from pathlib import Path

import numpy as np
import openmm
import pytest
from mixed_helpers import organic_model
from mixed_identities import (
    CONSTRAINTS,
    LAMBDAS,
    by_openmmml,
    by_us,
    identities,
    inputs,
    methods,
    region_mm,
)
from openmm_helpers import energy_and_forces

from openmm_allegro import AllegroPotential, save_model
from openmm_allegro.mixing.region import inside_region, outside_region

NAMES = tuple(inputs(None))
# Another method and kind of constraints each time.
SOME = {
    "Amber14, OpenMM XML": ("LJPME", "removed"),
    "Amber19 with CMAP, OpenMM XML": ("Ewald", "kept"),
    "CHARMM36 with CMAP, OpenMM XML": ("PME", "removed"),
    "Amber prmtop, GBn2": ("NoCutoff", "none"),
    "CHARMM psf with NBFIX": ("CutoffPeriodic", "none"),
    "GROMACS top with RB torsions": ("CutoffNonPeriodic", "removed"),
}


@pytest.fixture(scope="module")
def potential():
    return AllegroPotential(organic_model())


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    made = inputs(tmp_path_factory.mktemp("psf"))
    return lambda name: made[name]()


def assert_identity(rows):
    assert [row.value for row in rows] == list(LAMBDAS)
    assert np.ptp([row.energy for row in rows]) > 50  # so that lambda matters
    assert max(row.energy_error for row in rows) < 1e-5
    assert max(row.force_error for row in rows) < 1e-4


@pytest.mark.parametrize(
    ("name", "method", "constraints"), [(n, *v) for n, v in SOME.items()]
)
def test_identity(potential, given, name, method, constraints):
    rows = list(identities(potential, given(name), method, constraints))
    assert_identity(rows)
    # On the Reference platform nothing is lost to rounding.
    assert max(row.energy_error for row in rows) < 1e-10
    assert max(row.force_error for row in rows) < 1e-10


def test_identity_on_the_cpu_platform_with_torchforce(potential, given):
    pytest.importorskip("openmmtorch")
    case = given("Amber14, OpenMM XML")
    ours = by_us(potential, "torchforce")
    rows = identities(potential, case, "PME", "removed", "CPU", ours)
    assert_identity(list(rows))


@pytest.mark.parametrize(
    ("method", "interpolate"), [("NoCutoff", False), ("PME", True)]
)
def test_same_as_openmmml(potential, given, tmp_path, method, interpolate):
    """In what OpenMM-ML does; its 1/(4πε₀) has nine digits."""
    pytest.importorskip("openmmml")
    case = given("Amber14, OpenMM XML")
    system = case.system(False, method, True)
    theirs = by_openmmml(save_model(potential.model, tmp_path / "model.safetensors"))
    parameters = {"lambda_interpolate": 0.3} if interpolate else {}
    expected, found = (
        energy_and_forces(
            make(case, system, interpolate, True), case.positions, **parameters
        )
        for make in (theirs, by_us(potential))
    )
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    assert abs(found[1] - expected[1]).max() < 1e-6 * abs(expected[1]).max()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_identity_of_every_combination(potential, given, name):
    for method in methods(name):
        for constraints in CONSTRAINTS:
            rows = identities(potential, given(name), method, constraints)
            assert_identity(list(rows))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_taken_out_is_the_region_in_vacuum(given, name):
    """Without a model, so for every method: E(all) = E(outside) + E(inside)."""
    case = given(name)
    for constrained, method in zip(itertools.cycle((False, True)), methods(name)):
        system = case.system(False, method, constrained)
        nearest = name in ("Amber14, OpenMM XML", "CHARMM psf with NBFIX")
        outside = outside_region(
            system, case.atoms, nearest_images=nearest, remove_constraints=True
        )
        inside = openmm.System()
        inside.setDefaultPeriodicBoxVectors(*system.getDefaultPeriodicBoxVectors())
        for _ in case.positions:
            inside.addParticle(1.0)
        for force in inside_region(system, case.atoms, nearest_images=nearest):
            inside.addForce(force)
        everything, left, taken = (
            energy_and_forces(s, case.positions) for s in (system, outside, inside)
        )
        vacuum = region_mm(case, method, constrained)
        assert abs(taken[1]).max() > 50
        for found, expected in (
            (left[0] + taken[0], everything[0]),
            (left[1] + taken[1], everything[1]),
            (taken[0], vacuum[0]),
            (taken[1], vacuum[1]),
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-7)


def test_the_folder_holds_what_it_says():
    readme = (Path(__file__).parents[1] / "data" / "README.md").read_text()
    for path in (Path(__file__).parents[1] / "data" / "mixed").iterdir():
        assert path.name in readme
