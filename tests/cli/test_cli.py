# SPDX-License-Identifier: MIT
"""The command line does what the functions do, and reports an error in one line."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import TOML, error_of
from openmm import app, unit
from openmm_helpers import make_topology
from outcome_helpers import outcome_of

from openmm_allegro import save_model
from openmm_allegro.cli.main import main


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


def test_info(files, model, capsys):
    outcome = outcome_of(files[2] / "info.json", "info", files[0])
    header = json.loads(capsys.readouterr().out)
    assert outcome["results"] == header
    assert header["config"]["elements"] == ["H", "O"]
    assert header["units"] == {"length": "angstrom", "energy": "eV"}
    parameters = model.energy.parameters()
    assert header["num_weights"] == sum(p.numel() for p in parameters) > 100


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
    outcome = outcome_of(folder / "x.json", *simulate, "--force")
    record = json.loads(Path(output + ".json").read_text())
    assert outcome["results"]["runs"] == {"water": record}
    assert {Path(file).name for file in outcome["files"]} >= {"water.xtc", "water.csv"}
    assert outcome["next"][0] == f"openmm-allegro report {output}"

    figure = folder / "rdf.png"
    analyze = ["analyze", "rdf", output + ".xtc", output + ".pdb", "O-H"]
    assert main([*analyze, "--plot", str(figure)]) == 0
    # The first peak is not that of the bond, which has a line of its own.
    printed = capsys.readouterr().out
    assert re.search(r"O-H  highest within molecules, at +0\.(09|1)\d* +nm", printed)
    assert re.search(r"O-H  first peak between molecules +0\.[12]\d* +nm", printed)
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


def test_train_then_evaluate(tmp_path, capsys):
    pytest.importorskip("lightning")
    data = Path(__file__).parents[1] / "data" / "ethanol.extxyz"
    shutil.copy(data, tmp_path)
    (tmp_path / "tiny.toml").write_text(TOML)
    output = tmp_path / "run"
    train = ["train", str(tmp_path / "tiny.toml"), "--output", str(output)]
    assert main(train) == 0
    printed = capsys.readouterr().out
    assert "meV/Å" in printed
    assert f"model: {output / 'model.safetensors'}" in printed
    assert (output / "parity.png").stat().st_size > 1000
    assert "outside of training" in printed
    rows = (output / "test_frames.csv").read_text().splitlines()
    assert len(rows) == 1 + json.loads((output / "test.json").read_text())["frames"]
    assert "--resume" in error_of(capsys, *train)
    outcome = outcome_of(tmp_path / "x.json", *train, "--force")
    errors = json.loads((output / "test.json").read_text())
    assert outcome["results"] == {"errors_of": "test", "errors": errors}
    assert outcome["units"]["forces_rmse"] == "meV/Å"

    target = tmp_path / "errors.json"
    evaluate = ["evaluate", str(output / "model.safetensors"), str(data)]
    assert main([*evaluate, "--json", str(target)]) == 0
    errors = json.loads(target.read_text())
    expected = json.loads((output / "test.json").read_text())
    assert errors["forces_rmse"] == pytest.approx(expected["forces_rmse"], rel=1e-4)
    assert set(errors["forces_rmse_by_element"]) == {"H", "C", "O"}
    assert "--force" in error_of(capsys, *evaluate, "--json", target)

    (tmp_path / "tiny.toml").write_text(TOML.replace("l_max", "lmax"))
    assert "found lmax" in error_of(capsys, *train)


def test_missing_package_names_the_extra(monkeypatch, tmp_path, capsys):
    (tmp_path / "x.toml").write_text(TOML)
    for name in ("openmm_allegro.training.train", "openmm_allegro.training.module"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    assert "[train]" in error_of(capsys, "train", tmp_path / "x.toml")
