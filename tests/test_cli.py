# SPDX-License-Identifier: MIT
"""The command line does what the functions do, and says what is wrong in one line."""

import json

import numpy as np
import pytest
from conftest import make_topology
from openmm import app, unit

from openmm_allegro import save_model
from openmm_allegro.cli import main


@pytest.fixture
def files(model, water_box, tmp_path):
    """A model file and a PDB."""
    symbols, positions, box = water_box
    save_model(model, tmp_path / "model.safetensors")
    with open(tmp_path / "water.pdb", "w") as file:
        topology = make_topology(symbols, box, waters=True)
        for index, atom in enumerate(topology.atoms()):
            atom.name = ("O", "H1", "H2")[index % 3]
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    return str(tmp_path / "model.safetensors"), str(tmp_path / "water.pdb"), tmp_path


def error_of(capsys, *arguments):
    assert main([str(a) for a in arguments]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("openmm-allegro: error: ")
    return message


def test_info(files, capsys):
    assert main(["info", files[0]]) == 0
    header = json.loads(capsys.readouterr().out)
    assert header["config"]["elements"] == ["H", "O"]
    assert header["units"] == {"length": "angstrom", "energy": "eV"}


def test_simulate_then_analyze(files, capsys):
    model, pdb, folder = files
    output = str(folder / "run" / "water")
    simulate = ["simulate", model, pdb, "--output", output, "--steps", "40"]
    simulate += ["--report-interval", "2", "--platform", "CPU", "--threads", "1"]
    simulate += ["--backend", "pythonforce", "--seed", "1"]
    assert main(simulate) == 0
    assert f"trajectory: {output}.xtc" in capsys.readouterr().out
    table = np.genfromtxt(output + ".csv", delimiter=",", names=True)
    assert len(table) == 20
    assert "--force" in error_of(capsys, *simulate)
    assert main([*simulate, "--force"]) == 0

    figure = folder / "rdf.png"
    analyze = ["analyze", "rdf", output + ".xtc", output + ".pdb", "O-H"]
    assert main([*analyze, "--plot", str(figure)]) == 0
    assert "coordination number 2.00" in capsys.readouterr().out
    assert figure.stat().st_size > 1000
    assert "--force" in error_of(capsys, *analyze, "--plot", figure)
    assert "Na-O" in error_of(capsys, "analyze", "rdf", output + ".xtc", pdb, "OH")


def test_errors_name_expected_and_found(files, capsys):
    model, pdb, folder = files
    missing = folder / "missing"
    for arguments in (
        ["info", missing],
        ["evaluate", model, missing],
        ["simulate", model, missing, "--output", folder / "x"],
        ["simulate", missing, pdb, "--output", folder / "x"],
        ["analyze", "rdf", missing, pdb, "O-O"],
        ["train", missing],
    ):
        message = error_of(capsys, *arguments)
        assert "expected" in message
        assert str(missing) in message
    assert "safetensors" in error_of(capsys, "info", pdb)
    assert not (folder / "x.pdb").exists()
