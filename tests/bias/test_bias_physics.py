# SPDX-License-Identifier: MIT
"""Free energies of a double well in closed form, by metadynamics and by OPES."""

import numpy as np
import openmm
import pytest
from bias_helpers import KT
from openmm import unit
from openmm_helpers import make_topology

from openmm_allegro import run
from openmm_allegro.bias import Metadynamics, Opes, Variable

HEIGHT, MIDDLE = 12.0, 4.0  # kJ/mol, Å
ENDS = {"lower": (1.5,), "upper": (6.5,)}
BIASES = {
    "metadynamics": Metadynamics(
        variables=("d",), widths=(0.2,), bias_factor=6.0, pace=50, **ENDS
    ),
    "opes": Opes(
        variables=("d",), widths=(0.15,), barrier_kj_mol=20.0, pace=50, **ENDS
    ),
}


def dimer():
    """Two atoms whose distance has wells at 3 and 5 Å."""
    system = openmm.System()
    well = f"{HEIGHT}*((10*r - {MIDDLE})^2 - 1)^2"
    force = openmm.CustomBondForce(well)
    for _ in range(2):
        system.addParticle(20.0)
    force.addBond(0, 1)
    system.addForce(force)
    return make_topology(["Ar", "Ar"]), np.array([[0, 0, 0], [0.3, 0, 0]]), system


@pytest.mark.slow
@pytest.mark.parametrize("kind", BIASES)
def test_double_well(kind, tmp_path):
    """F = U - 2 kT ln d, within 1.6 kJ/mol on average over wells and barrier."""
    pytest.importorskip("openmm_opes")
    paths = run(
        *dimer(),
        tmp_path / "x",
        steps=40_000,
        timestep=4 * unit.femtosecond,
        friction=5 / unit.picosecond,
        report_interval=2000,
        variable_interval=10,
        variables=[Variable("d", "distance", atoms=(0, 1))],
        bias=BIASES[kind],
        platform="Reference",
        seed=1,
        minimize=False,
        progress=False,
    )
    table = np.genfromtxt(paths["variables"], delimiter=",", names=True)
    right = table["d_angstrom"] > MIDDLE
    assert np.count_nonzero(right[1:] != right[:-1]) > 50
    edges = np.linspace(2.5, 5.5, 31)
    d = 0.5 * (edges[1:] + edges[:-1])
    exact = HEIGHT * ((d - MIDDLE) ** 2 - 1) ** 2 - 2 * KT * np.log(d)
    if kind == "metadynamics":
        hills = np.genfromtxt(paths["hills"], delimiter=",", names=True)
        away = (d[:, None] - hills["d_angstrom"]) / hills["width_d_angstrom"]
        bias = (hills["height_kj_mol"] * np.exp(-0.5 * away**2)).sum(axis=1)
        found = -bias * 6.0 / 5.0
    else:
        rest = table[len(table) // 4 :]
        weights = np.exp(rest["bias_kj_mol"] / KT)
        found = -KT * np.log(
            np.histogram(rest["d_angstrom"], edges, weights=weights)[0]
        )
    assert np.std(found - exact) < 1.6
