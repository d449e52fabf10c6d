# SPDX-License-Identifier: MIT
"""Ensembles in the words of LAMMPS: temperatures, pressures and energies of argon."""

import re

import numpy as np
import pytest
from lammps_folders import run_argon
from lammps_session import needs_lammps

from openmm_allegro.lammps.ensembles import check_integrator, fixes, segments
from openmm_allegro.runs.names import paths_of
from openmm_allegro.runs.table import read_table
from openmm_allegro.simulate.settings import Stage
from openmm_allegro.units import KJ_PER_MOL_NM3_TO_BAR

KELVIN, BAR, ATOMS = 100.0, 300.0, 256
GAS = 8.31446261815324e-3  # kJ/mol/K
COMMON = {"timestep_fs": 4.0, "report_interval": 20, "friction_per_ps": 5.0}
# Of 765 degrees of freedom; of the mean of several, half of that and less.
SPREAD = KELVIN * np.sqrt(2 / (3 * ATOMS - 3))


def stage(name, steps, kelvin=KELVIN, **settings):
    """A stage of argon."""
    settings = COMMON | {"steps": steps, "pressure_bar": BAR} | settings
    return Stage(name=name, temperature_k=kelvin, **settings)


@needs_lammps
def test_temperatures(tmp_path):
    """Thermostats keep a temperature, ramps follow theirs, and NVE keeps the energy."""
    stages = [
        stage("langevin", 400),
        stage("chains", 400, integrator="nose-hoover"),
        stage("ramp", 500, (100.0, 160.0, 60.0), friction_per_ps=40.0),
        stage("still", 100, (60.0,), friction_per_ps=40.0),
        stage("nve", 200, ensemble="nve", timestep_fs=2.0),
    ]
    run_argon(stages, tmp_path)
    tables = {
        s.name: read_table(paths_of(tmp_path / s.name)["energies"]) for s in stages
    }
    for one in stages:
        expected = np.arange(20, one.steps + 1, 20)
        np.testing.assert_array_equal(tables[one.name]["step"], expected)
        times = 1e-3 * one.timestep_fs * expected
        np.testing.assert_allclose(tables[one.name]["time"], times)
    for name in ("langevin", "chains"):
        mean = tables[name]["temperature"][5:].mean()
        assert mean == pytest.approx(KELVIN, abs=2 * SPREAD)
    table = tables["ramp"]
    target = np.interp(table["step"], [0, 250, 500], [100.0, 160.0, 60.0])
    difference = table["temperature"] - target  # 40/ps follow 100 K/ps within 5 K
    assert np.abs(difference).max() < 4 * 1.6 * SPREAD + 5
    assert difference.mean() == pytest.approx(0, abs=SPREAD + 2)
    assert difference[-3:].mean() == pytest.approx(0, abs=2 * 0.7 * SPREAD + 5)
    table = tables["nve"]
    np.testing.assert_allclose(table["potential"] + table["kinetic"], table["total"])
    assert np.ptp(table["total"]) < 2e-4 * table["kinetic"].mean()
    freedom = 3 * ATOMS - 3
    kinetic = 0.5 * freedom * GAS * table["temperature"]
    np.testing.assert_allclose(table["kinetic"], kinetic, rtol=1e-5)


@needs_lammps
@pytest.mark.slow
def test_pressures(tmp_path):
    """All barostats keep the pressure, and give one density."""
    ensembles = {
        "langevin": {"ensemble": "npt"},
        "chains": {"ensemble": "npt", "integrator": "nose-hoover"},
        "lengths": {"ensemble": "npt-anisotropic"},
        "angles": {"ensemble": "npt-flexible"},
    }
    slow = {"friction_per_ps": 1.0}
    stages = [stage("melt", 4000, 150.0), stage("start", 8000, ensemble="npt", **slow)]
    stages += [stage(name, 12000, **kind, **slow) for name, kind in ensembles.items()]
    logs = run_argon(stages, tmp_path)
    densities = []
    for one, log in zip(stages[2:], logs[2:], strict=True):
        table = read_table(paths_of(tmp_path / one.name)["energies"])
        half = len(table["step"]) // 3
        assert table["temperature"][half:].mean() == pytest.approx(KELVIN, abs=2)
        assert log[half:, 6].mean() == pytest.approx(BAR, abs=50)
        mass = ATOMS * 39.948 * KJ_PER_MOL_NM3_TO_BAR * 1e-4  # Da in nm³ g/mL
        np.testing.assert_allclose(table["density"] * table["volume"], mass, rtol=2e-6)
        densities.append(table["density"][half:].mean())
    assert np.ptp(densities) < 0.02 * np.mean(densities)


def test_ramps_are_cut_where_their_slope_changes():
    parts = segments(stage("ramp", 101, (100.0, 200.0, 50.0)))
    assert [(p.start, p.stop, p.temperatures) for p in parts] == [
        (0, 50, (100.0, 200.0)),
        (50, 101, (200.0, 50.0)),
    ]
    assert [p.stop for p in segments(stage("one", 30))] == [30]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["all nve", "all langevin 100 100 0.2 9 zero yes"]),
        ({"integrator": "nose-hoover"}, ["all nvt temp 100 100 0.2 tchain 3"]),
        ({"ensemble": "nve", "integrator": "velocity-verlet"}, ["all nve"]),
        (
            {"ensemble": "npt-flexible", "integrator": "nose-hoover-chain"},
            [
                "all npt temp 100 100 0.2 tchain 5 tri 300 300 1 fixedpoint 0 0 0",
            ],
        ),
        (
            {"ensemble": "npt"},
            [
                "all nph iso 300 300 1 fixedpoint 0 0 0 ptemp 100",
                "all langevin 100 100 0.2 9 zero yes",
            ],
        ),
    ],
)
def test_fixes(settings, expected):
    one = stage("x", 100, **settings)
    assert [rest for _, rest in fixes(one, segments(one)[0], 9)] == expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"integrator": "andersen"}, r"'nose-hoover-chain'\], found 'andersen'"),
        ({"integrator": "ghmc"}, "'langevin-middle'"),
        ({"friction_per_ps": 126.0}, "at most 125/ps with steps of 4 fs, .* 126/ps"),
    ],
)
def test_integrators_without_counterpart(settings, words):
    with pytest.raises(ValueError, match="expected") as error:
        check_integrator(stage("x", 100, **settings))
    assert re.search(words, str(error.value))
    check_integrator(stage("x", 100, ensemble="nve", friction_per_ps=126.0))
