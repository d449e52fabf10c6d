# SPDX-License-Identifier: MIT
"""Models with charges in LAMMPS are those of the package, on any number of ranks."""

import functools
import json

import numpy as np
import pytest
from lammps_cases import SIDES, STEP
from lammps_charged import (
    MOVED,
    PPPM,
    STRAINED,
    Charged,
    charged_cases,
    charged_differences,
    charged_model,
    expected_charged,
    read_charged,
    run_charged,
)
from lammps_session import needs_lammps

from openmm_allegro.lammps import export_model
from openmm_allegro.units import COULOMB_EV_ANGSTROM_CODATA

pytestmark = needs_lammps

EXACT = 1e-10  # of a quantity's largest component, with exact waves
ROUNDED = 1e-5  # with those of a mesh
DIFFERENCES = 1e-7
# What four ranks share otherwise than two, and what one rank does alone.
FEWER = {
    1: ("large", "isolated", "pppm"),
    4: ("triclinic", "thin", "vacuum", "isolated_shared", "pppm", "committee"),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results by name of all cases on so many ranks, which one process computes."""

    @functools.cache
    def run(ranks):
        cases = charged_cases()
        if ranks in FEWER:
            cases = {name: cases[name] for name in FEWER[ranks]}
        else:
            cases = cases | charged_differences()
        folder = tmp_path_factory.mktemp(f"charged_{ranks}")
        run_charged(cases, folder, ranks)
        return {name: read_charged(name, case, folder) for name, case in cases.items()}

    return run


def mean(names, atoms, total):
    """Means of models, and the deviation of their forces."""
    found = [expected_charged(charged_model(name), atoms, total) for name in names]
    forces = np.array([one.forces for one in found])
    spread = ((forces - forces.mean(0)) ** 2).sum((0, 2))
    return Charged(
        np.mean([one.energy for one in found]),
        np.mean([one.strain for one in found], 0),
        atoms,
        forces.mean(0),
        np.mean([one.energies for one in found], 0),
        np.mean([one.charges for one in found], 0),
        np.sqrt(spread / max(len(found) - 1, 1))[:, None],
    )


def near(given, wanted, error):
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(given, wanted, rtol=0, atol=error * max(scale, 1e-3))


@pytest.mark.parametrize(
    ("ranks", "name"),
    [(2, name) for name in charged_cases()]
    + [(ranks, name) for ranks, names in FEWER.items() for name in names],
)
def test_energies_forces_and_stress(results, ranks, name):
    case, result = charged_cases()[name], results(ranks)[name]
    wanted = mean(case.models, result.atoms, case.total)
    error = ROUNDED if case.waves == PPPM else EXACT
    assert result.energy == pytest.approx(wanted.energy, rel=error)
    assert result.energies.sum() == pytest.approx(result.energy, rel=EXACT)
    near(result.energies, wanted.energies, error)
    near(result.forces, wanted.forces, error)
    near(result.strain, wanted.strain, error)
    near(result.charges, wanted.charges, EXACT)
    assert result.charges.sum() == pytest.approx(case.total, abs=1e-12)
    if result.columns.size:
        near(result.columns, wanted.columns, error)


def test_cases_have_charges_that_differ(results):
    """The pass of seeds counts, charges of zero occur, and the box has changed."""
    charges = results(2)["large"].charges
    symbols = np.array(charged_cases()["large"].atoms.symbols)
    assert min(charges[symbols == symbol].std() for symbol in "HO") > 0.03
    assert (results(2)["zero"].charges == 0.0).sum() == 5
    for name in ("npt", "npt_tilted"):
        before = charged_cases()[name].atoms.cell.array
        assert abs(results(2)[name].atoms.cell.array - before).max() > 1e-6


def test_forces_and_stress_are_derivatives(results):
    found = results(2)
    forces, strain = found["unmoved"].forces, found["unmoved"].strain

    def slope(name):
        above, below = (found[f"{name}_{side}"].energy for side in SIDES)
        return (above - below) / (2 * STEP)

    for atom, axis in MOVED:
        error = DIFFERENCES * abs(forces).max()
        assert -slope(f"atom{atom}_{axis}") == pytest.approx(
            forces[atom, axis], abs=error
        )
    for a, b in STRAINED:
        error = DIFFERENCES * abs(strain).max()
        assert slope(f"strain{a}{b}") == pytest.approx(strain[a, b], abs=error)


def test_file_has_what_is_beside_the_program(tmp_path):
    model = charged_model("learned")
    path = export_model(model, tmp_path / "x.allegro")
    content = path.read_bytes()
    header = json.loads(content[16 : 16 + int.from_bytes(content[8:16], "little")])
    assert header["format_version"] == 2
    assert header["charges"] == "learned"
    assert header["charge_start"] == model.energy.charges.start.tolist()
    assert header["charge_alpha"] == model.config.alpha
    assert header["coulomb"] == COULOMB_EV_ANGSTROM_CODATA
