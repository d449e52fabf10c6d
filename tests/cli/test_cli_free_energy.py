# SPDX-License-Identifier: MIT
"""``openmm-allegro free-energy`` from a TOML file to its result."""

import importlib.util
import json

import numpy as np
import openmm
import pytest
from openmm import app, unit

if not all(map(importlib.util.find_spec, ("openmmtools", "pymbar", "mdtraj"))):
    pytest.skip("needs the extra multistate", allow_module_level=True)

from lambda_helpers import two_oscillators
from replica_helpers import oscillators

from openmm_allegro.cli import main

FILE = """
[system]
topology = "x.pdb"
system = "mixed.xml"

[exchange]
lambdas = [0, 0.4, 1]
iterations = 40
steps_per_iteration = 25
timestep_fs = 10
minimize = false

[switching]
switches = 12
switch_steps = 40
change_interval = 4
interval = 40
equilibration = 40
timestep_fs = 10
friction_per_ps = 2
minimize = false
"""


def write_inputs(folder, system=None, text=FILE):
    topology, positions, mixed, exact = two_oscillators(last=2500.0)
    xml = openmm.XmlSerializer.serialize(system or mixed)
    (folder / "mixed.xml").write_text(xml)
    with open(folder / "x.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    (folder / "free_energy.toml").write_text(text)
    return exact


def command(folder, *options):
    return main(
        [
            "free-energy",
            str(folder / "free_energy.toml"),
            *("--output", str(folder / "out")),
            *("--platform", "Reference", "--seed", "3", *options),
        ]
    )


def test_both_methods_from_a_file(tmp_path, capsys):
    exact = write_inputs(tmp_path)
    assert command(tmp_path) == 0
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "free_energy.json").read_text())
    assert record["settings"]["exchange"]["lambdas"] == [0.0, 0.4, 1.0]
    assert record["system_xml"].endswith("mixed.xml")
    for name, result in record["results"].items():
        value, error = result["free_energy_kj_mol"], result["error_kj_mol"]
        assert 0 < error < 3 and abs(value - exact) < 4 * error
        assert f"{name}" in printed and f"{value:.2f} ± {error:.2f} kJ/mol" in printed
        kcal = result["free_energy_kcal_mol"]
        assert kcal == pytest.approx(value / 4.184, abs=1e-4)
    overlap = np.array(record["results"]["exchange"]["overlap"])
    assert overlap.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-4)
    for name in ("overlap.png", "works.png"):
        assert (tmp_path / "out" / name).stat().st_size > 5000
    # nothing is left to do, and the result is the same
    path = tmp_path / "x.json"
    assert command(tmp_path, "--resume", "--json", str(path)) == 0
    outcome = json.loads(path.read_text())
    assert outcome["results"] == record["results"]
    assert outcome["next"] == [f"openmm-allegro report {tmp_path / 'out' / 'exchange'}"]
    again = json.loads((tmp_path / "out" / "free_energy.json").read_text())
    assert again["results"] == record["results"]
    assert command(tmp_path) == 2
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "[exchange]",
            "[exchanges]",
            "tables among system, mixing, exchange, switching",
        ),
        ("iterations = 40", "iteration = 40", "found iteration"),
        ("lambdas = [0, 0.4, 1]", "lambdas = [0, 2]", "[exchange]: expected lambdas"),
        ("switches = 12", "switches = 1", "[switching]: expected switches of at least"),
        (FILE.partition("[exchange]")[2], "", "[exchange], [switching] or both"),
    ],
)
def test_bad_files_of_free_energies(tmp_path, capsys, old, new, message):
    text = FILE.replace(old, new)
    write_inputs(tmp_path, text=text if new else text.replace("[exchange]", ""))
    assert command(tmp_path) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_system_of_the_file_needs_lambda(tmp_path, capsys):
    write_inputs(tmp_path, system=oscillators()[2])
    assert command(tmp_path) == 2
    message = capsys.readouterr().err
    assert "lambda_interpolate" in message and "[system]" in message
