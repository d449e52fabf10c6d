# SPDX-License-Identifier: MIT
"""The potential energy, force by force."""

import numpy as np
import openmm
import pytest
from openmm_helpers import BACKEND, energy_and_forces, make_topology
from run_helpers import read_energies

from openmm_allegro import AllegroPotential, run
from openmm_allegro.reporters.terms import EnergyTermsReporter, separate_groups

pytestmark = pytest.mark.small

QUICK = {"platform": "Reference", "seed": 5, "progress": False}


def test_terms_add_up(model, water_box, tmp_path):
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = AllegroPotential(model).create_system(topology, backend=BACKEND)
    spring = openmm.CustomExternalForce("10*(x^2+y^2+z^2)")
    spring.addParticle(0, [])
    system.addForce(spring)
    separate_groups(system)
    reporter = EnergyTermsReporter(tmp_path / "terms.csv", 5)
    paths = run(
        topology,
        positions,
        system,
        tmp_path / "x",
        steps=10,
        report_interval=5,
        minimize=False,
        reporters=[reporter],
        **QUICK,
    )
    header = (tmp_path / "terms.csv").read_text().splitlines()[0]
    assert "Allegro" in header and "CustomExternalForce" in header
    terms = np.loadtxt(tmp_path / "terms.csv", delimiter=",")
    energies = read_energies(paths["energies"])
    np.testing.assert_allclose(terms[:, -1], energies[:, 2], rtol=1e-6)
    np.testing.assert_allclose(terms[:, 2:-1].sum(axis=1), terms[:, -1])
    state = openmm.XmlSerializer.deserialize(paths["state"].read_text())
    first = state.getPositions(asNumpy=True)._value[0]
    assert terms[-1, header.split(",").index('"CustomExternalForce (kJ/mole)"')] == (
        pytest.approx(10 * first @ first)
    )
    whole, _ = energy_and_forces(system, state.getPositions(asNumpy=True)._value)
    assert terms[-1, -1] == pytest.approx(whole, rel=1e-6)
