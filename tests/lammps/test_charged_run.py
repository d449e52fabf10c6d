# SPDX-License-Identifier: MIT
"""Folders of models with charges that LAMMPS runs, minimises and continues."""

import json
import re

import numpy as np
import pytest
from helpers import tiny_statistics
from lammps_folders import run_folder
from lammps_session import needs_lammps
from openmm import unit
from openmm_helpers import lattice_waters, make_topology

from openmm_allegro import Model, save_model
from openmm_allegro.lammps.plan import read_plan
from openmm_allegro.lammps.resume import resume
from openmm_allegro.lammps.run import prepare_run
from openmm_allegro.model import AllegroConfig, AllegroEnergy
from openmm_allegro.runs.run import read_run
from openmm_allegro.simulate.settings import Stage
from openmm_allegro.simulate.system_config import SystemConfig
from openmm_allegro.simulate.topology_file import write_topology

TOTAL = 0.5  # e, of one box
STAGES = [Stage("nve", steps=20, report_interval=5, ensemble="nve", minimize=True)]


def charged_water(alpha=0.0):
    config = AllegroConfig(
        ("H", "O"),
        3.5,
        num_layers=1,
        num_scalar_features=8,
        num_tensor_features=4,
        charges="learned",
        charge_start={"H": 0.3, "O": -0.6},
        charge_alpha=alpha,
    )
    statistics = tiny_statistics(config)
    energy = AllegroEnergy(config, statistics, seed=2)
    return Model(config, statistics, energy, "total", "float64")


@pytest.fixture
def config(tmp_path):
    """Files of models and a box of water."""
    for name, alpha in (("model", 0.0), ("wider", 0.4)):
        save_model(charged_water(alpha), tmp_path / f"{name}.safetensors")
    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box, waters=True)
    write_topology(tmp_path / "water.pdb", topology, positions * unit.nanometer)
    return {"topology": "water.pdb", "model": ("model.safetensors",)}


def prepare(config, folder, stages=STAGES, **options):
    names = [stage.name for stage in stages]
    system = SystemConfig(**config)
    return prepare_run(system, stages, names, folder, folder=folder.parent, **options)


def energies(folder):
    table = read_run(folder / "nve").table
    return table["step"], table["total"]


@needs_lammps
def test_run_conserves_energy_and_goes_on(config, tmp_path):
    folder = tmp_path / "run"
    config |= {"total_charge": TOTAL}
    plan = prepare(config, folder, replicate=(1, 2, 1), seed=3)
    assert plan.charges.total == 2 * TOTAL
    status, log = run_folder(folder, ranks=2)
    assert status == 0, log
    (warning,) = re.findall(r"WARNING: System is not charge neutral, .* = (\S+)", log)
    assert float(warning) == pytest.approx(2 * TOTAL, abs=1e-3)
    plan = resume(folder, 30).plan
    assert plan == read_plan(folder) and plan.charges.total == 2 * TOTAL
    status, log = run_folder(folder)
    assert status == 0, log
    steps, total = energies(folder)
    np.testing.assert_array_equal(steps, [5, 10, 15, 20, 25, 30])
    assert np.ptp(total) < 0.02 * plan.atoms  # kJ/mol
    record = json.loads((folder / "nve.json").read_text())
    assert (record["charges"], record["total_charge"]) == ("learned", 2 * TOTAL)
    assert record["charge_alpha"] == charged_water().config.alpha


def test_input_and_data(config, tmp_path):
    prepare(config, tmp_path / "run")
    text = (tmp_path / "run/in.lammps").read_text()
    for line in (
        "atom_style      charge",
        "pair_style      allegro",
        "kspace_style    pppm 1e-06",
        "kspace_modify   gewald 0.5714285714285714 compute no",
    ):
        assert f"\n{line}\n" in text
    data = (tmp_path / "run/system.data").read_text()
    rows = data.partition("Atoms  # charge")[2].split("\n\n")[1].split("\n")
    charges = np.array([row.split()[2] for row in rows if row], float)
    np.testing.assert_allclose(charges[:3], [-0.6, 0.3, 0.3])


def test_input_without_a_box(config, tmp_path):
    stages = [Stage("nve", steps=20, ensemble="nve")]
    config |= {"no_periodic": True, "total_charge": -1.0}
    prepare(config, tmp_path / "run", stages)
    text = (tmp_path / "run/in.lammps").read_text()
    assert "\npair_style      allegro total_charge -1\n" in text
    assert "kspace" not in text


def test_members_of_different_widths_are_refused(config, tmp_path):
    config |= {"model": ("model.safetensors", "wider.safetensors")}
    with pytest.raises(ValueError, match=r"charge_alpha of \[0.4, 0.57"):
        prepare(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
