# SPDX-License-Identifier: MIT
"""Mistakes of a user are reported before any long work, and lose nothing."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import openmm
import pytest
import torch
from cli_helpers import TOML, error_of
from openmm import app, unit
from openmm_helpers import make_topology

from openmm_allegro import AllegroPotential, read_structures, run, save_model
from openmm_allegro.cli.main import main
from openmm_allegro.model import AllegroConfig, AllegroEnergy, Statistics
from openmm_allegro.modelfile import Model
from openmm_allegro.potential.module import force_module
from openmm_allegro.runs.names import ENSEMBLES
from openmm_allegro.training.evaluate import error_metrics, evaluate

ETHANOL = Path(__file__).parents[1] / "data" / "ethanol.extxyz"


def carbon_model(**changes):
    config = AllegroConfig(
        ("H", "C", "O"),
        7.0,
        l_max=1,
        num_layers=1,
        num_scalar_features=4,
        num_tensor_features=2,
        **changes,
    )
    statistics = Statistics((8.0,) * 3, (1.0,) * 3, (0.0,) * 3)
    return Model(config, statistics, AllegroEnergy(config, statistics))


def test_padding_is_finite_with_a_steep_envelope_and_short_cutoffs():
    """x**48 of a padding entry overflows float32, but must not count."""
    short = {"H-H": 1.25, "H-C": 1.25}
    model = carbon_model(pair_cutoffs=short, envelope_p=48.0)
    positions = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3.0]]) / 10
    results = [
        force_module(model, "HHCC", periodic=False, precision=precision)(positions)
        for precision in ("single", "double")
    ]
    assert torch.isfinite(results[0][1]).all()
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-3)


def test_predictions_that_are_nan_do_not_vanish_from_the_errors():
    arrays = {
        "types": np.zeros(2, int),
        "sizes": np.ones(2, int),
        "energy_reference": np.array([1.0, 2.0]),
        "energy_prediction": np.array([1.0, np.nan]),
    }
    for name, shape in (("forces", (2, 3)), ("stress", (2, 3, 3))):
        arrays |= {f"{name}_{k}": np.zeros(shape) for k in ("reference", "prediction")}
    with pytest.raises(ValueError, match="finite predictions of energy, found 1 of 2"):
        error_metrics(arrays, ("H",))


def test_two_atoms_at_one_position():
    structure = read_structures(ETHANOL)[3]
    positions = structure.positions.copy()
    positions[4] = positions[2]
    with pytest.raises(ValueError, match=r"frame 3: .*atoms 2 and 4 at the same one"):
        evaluate(carbon_model(), [replace(structure, positions=positions)])


@pytest.fixture
def water(model, water_box, tmp_path):
    """Model file, PDB and folder."""
    symbols, positions, box = water_box
    save_model(model, tmp_path / "model.safetensors")
    write_pdb(tmp_path / "water.pdb", symbols, positions, box)
    return str(tmp_path / "model.safetensors"), str(tmp_path / "water.pdb"), tmp_path


def write_pdb(path, symbols, positions, box):
    topology = make_topology(symbols, box, waters=len(symbols) % 3 == 0)
    for index, atom in enumerate(topology.atoms()):
        atom.name = f"{atom.name}{index % 3}"
    with open(path, "w") as file:
        app.PDBFile.writeFile(topology, np.asarray(positions) * unit.nanometer, file)


SHORT = ["--steps", "4", "--report-interval", "2", "--backend", "pythonforce"]


def test_a_run_that_cannot_start_replaces_nothing(water, water_box, capsys):
    model, pdb, folder = water
    output = ["--output", str(folder / "run"), *SHORT]
    assert main(["simulate", model, pdb, *output]) == 0
    before = (folder / "run.xtc").read_bytes()
    symbols, positions, box = water_box
    same = positions.copy()
    same[3] = same[0]
    write_pdb(folder / "same.pdb", symbols, same, box)
    message = error_of(
        capsys, "simulate", model, folder / "same.pdb", *output, "--force"
    )
    assert "found atoms 0 (O) and 3 (O) 0 Å apart" in message
    assert (folder / "run.xtc").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "PDB file"), ("\x00\x01garbage", "PDB file"), ("END\n", "PDB file")],
)
def test_not_a_pdb(water, capsys, content, words):
    model, _, folder = water
    (folder / "bad.pdb").write_text(content)
    output = ["--output", folder / "run", *SHORT]
    assert words in error_of(capsys, "simulate", model, folder / "bad.pdb", *output)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--output", "{folder}/"], "found the folder"),
        (["--output", "{folder}"], "found the folder"),
        (["--output", "{folder}/water", "--force"], "other than the input"),
        (["--output", "{folder}/x", "--seed", "99999999999"], "below 2^31"),
        (["--output", "{folder}/x", "--seed", "-1"], "--seed of at least 0, found -1"),
        (["--output", "{folder}/x", "--report-interval", "100"], "at most steps = 4"),
        (
            ["--output", "{folder}/x", "--skin", "-1"],
            "skin of at least 0 and at most",
        ),
    ],
)
def test_simulate_options(water, capsys, options, words):
    model, pdb, folder = water
    options = [o.format(folder=folder) for o in options]
    assert words in error_of(capsys, "simulate", model, pdb, *SHORT, *options)
    assert not list(folder.glob("*.xtc"))


def test_simulate_choices(water, capsys):
    model, pdb, folder = water
    options = ["--output", str(folder / "x"), "--backend", "none"]
    with pytest.raises(SystemExit) as error:
        main(["simulate", model, pdb, *options])
    assert error.value.code == 2
    message = capsys.readouterr().err
    assert "torchforce" in message and "'none'" in message
    assert not list(folder.glob("*.xtc"))


def test_threads_on_a_platform_without_them(water):
    model, pdb, folder = water
    options = ["--platform", "Reference", "--threads", "1", *SHORT]
    assert main(["simulate", model, pdb, "--output", str(folder / "x"), *options]) == 0
    record = json.loads((folder / "x.json").read_text())
    assert record["platform_properties"] == {}
    assert record["precision"] == "mixed"
    assert len(record["model_sha256"]) == 64
    assert record["seed"] > 0


def test_one_atom_has_no_temperature(model, tmp_path):
    topology = make_topology(["O"], np.eye(3))
    system = AllegroPotential(model).create_system(topology, backend="pythonforce")
    with pytest.raises(ValueError, match="degree of freedom, found 0 for 1 particles"):
        run(topology, np.zeros((1, 3)), system, tmp_path / "x", progress=False)


def test_an_interrupted_run_can_be_restarted(model, water_box, tmp_path, monkeypatch):
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = AllegroPotential(model).create_system(topology, backend="pythonforce")
    step = app.Simulation.step

    def interrupted(simulation, count):
        step(simulation, count)
        if simulation.currentStep == 6:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(app.Simulation, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(
            topology,
            positions,
            system,
            tmp_path / "x",
            steps=20,
            report_interval=2,
            platform="Reference",
            progress=False,
        )
    assert json.loads((tmp_path / "x.json").read_text())["completed_steps"] == 6
    state = openmm.XmlSerializer.deserialize((tmp_path / "x.state.xml").read_text())
    assert state.getStepCount() == 6


# The last two import torch, which takes seconds.
@pytest.mark.parametrize(
    "backend",
    [
        "native",
        pytest.param("torchforce", marks=pytest.mark.slow),
        pytest.param("pythonforce", marks=pytest.mark.slow),
    ],
)
def test_sigint_leaves_a_restart_file(water, backend):
    """Also where the signal arrives inside the Python code that OpenMM calls."""
    if backend == "torchforce":
        pytest.importorskip("openmmtorch")
    model, pdb, folder = water
    arguments = ["simulate", model, pdb, "--output", str(folder / "x"), "--backend"]
    arguments += [backend, "--steps", "1000000", "--threads", "1"]
    arguments += ["--report-interval", "20"]
    process = subprocess.Popen(
        [sys.executable, "-m", "openmm_allegro.cli", *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )
    resource.prlimit(process.pid, resource.RLIMIT_CPU, (100, 100))
    energies = folder / "x.csv"
    while not energies.exists() or len(energies.read_text().splitlines()) < 3:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate()
    assert process.returncode == 130, printed
    state = openmm.XmlSerializer.deserialize((folder / "x.state.xml").read_text())
    record = json.loads((folder / "x.json").read_text())
    assert state.getStepCount() == record["completed_steps"] > 0


def test_notes_are_checked_before_output_is_replaced(model, water_box, tmp_path):
    symbols, positions, box = water_box
    topology = make_topology(symbols, box)
    system = AllegroPotential(model).create_system(topology, backend="pythonforce")
    (tmp_path / "x.xtc").write_text("precious")
    with pytest.raises(ValueError, match="notes of JSON values"):
        run(
            topology,
            positions,
            system,
            tmp_path / "x",
            overwrite=True,
            notes={"model": tmp_path},
        )
    assert (tmp_path / "x.xtc").read_text() == "precious"


def test_ensembles_are_those_of_the_command_line(capsys):
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    assert "{" + ",".join(ENSEMBLES) + "}" in capsys.readouterr().out


@pytest.fixture
def training(tmp_path, undrawn):
    pytest.importorskip("lightning")
    shutil.copy(ETHANOL, tmp_path)
    (tmp_path / "a.toml").write_text(TOML)
    return ["train", tmp_path / "a.toml", "--output", tmp_path / "run"], tmp_path


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """A folder in which the training of ``training`` is done."""
    pytest.importorskip("lightning")
    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(ETHANOL, folder)
    (folder / "a.toml").write_text(TOML)
    assert main(["train", f"{folder}/a.toml", "--output", f"{folder}/run"]) == 0
    return folder


@pytest.fixture
def trained(training, trained_once):
    """That training when it is done."""
    shutil.copytree(trained_once, training[1], dirs_exist_ok=True)
    return training


def test_test_files_are_checked_before_training(training, capsys):
    arguments, folder = training
    text = (folder / "ethanol.extxyz").read_text()
    (folder / "sulfur.extxyz").write_text(text.replace("O ", "S "))
    toml = TOML.replace('test = ["ethanol', 'test = ["sulfur')
    (folder / "a.toml").write_text(toml)
    assert "found S" in error_of(capsys, *arguments)
    assert not (folder / "run").exists()


def test_train_keeps_files_of_others(training, capsys):
    arguments, folder = training
    (folder / "run").mkdir()
    (folder / "run" / "test.json").write_text("precious")
    assert "test.json" in error_of(capsys, *arguments)
    assert (folder / "run" / "test.json").read_text() == "precious"


def test_a_training_that_cannot_start_replaces_nothing(trained, capsys):
    arguments, folder = trained
    before = (folder / "run" / "model.safetensors").read_bytes()
    if torch.cuda.is_available():
        return
    (folder / "a.toml").write_text(TOML + 'device = "cuda"\n')
    assert "CUDA" in error_of(capsys, *arguments, "--force")
    assert (folder / "run" / "model.safetensors").read_bytes() == before


def test_resume_refuses_other_settings(trained, capsys):
    arguments, folder = trained
    for change in (
        "learning_rate = 0.5",
        "energy_weight = 9.0",
        "seed = 4",
        "batch_size = 2",
        "early_stop_patience = 3",
    ):
        (folder / "a.toml").write_text(TOML + change + "\n")
        assert change in error_of(capsys, *arguments, "--resume")
    (folder / "a.toml").write_text(TOML.replace("max_epochs = 1", "max_epochs = 3"))
    assert main([str(a) for a in arguments] + ["--resume"]) == 0
    (folder / "a.toml").write_text(TOML)  # one epoch, where three are done
    assert "max_epochs" in error_of(capsys, *arguments, "--resume")


def test_resume_refuses_other_data(trained, capsys):
    arguments, folder = trained
    path = folder / "ethanol.extxyz"
    path.write_text(path.read_text() * 2)
    message = error_of(capsys, *arguments, "--resume")
    assert "expected the model, data and settings of" in message


def test_evaluate_outputs_are_checked_first(water, capsys):
    model, _, folder = water
    for options, words in (
        (["--plot", folder / "a.foo"], ".png"),
        (["--json", folder], "found a folder"),
        (["--json", folder / "a", "--frames", folder / "a"], "a file of its own"),
        ([ETHANOL], "each file once"),
    ):
        assert words in error_of(capsys, "evaluate", model, ETHANOL, *options)


def test_a_committee_of_copies_is_refused(water, capsys):
    """Their deviation would be zero, whatever their error."""
    model, _, folder = water
    copy = folder / "copy.safetensors"
    shutil.copyfile(model, copy)
    found = error_of(capsys, "evaluate", model, copy, ETHANOL)
    assert "expected different models" in found and "copy.safetensors" in found
    assert "each file once" in error_of(capsys, "evaluate", model, model, ETHANOL)


def test_rdf_of_a_pair_without_a_shell_is_drawn(water, capsys, monkeypatch):
    def unclear(*_, **__):
        raise ValueError("no clear minimum")

    target = "openmm_allegro.analysis.structure.coordination.coordination_of"
    monkeypatch.setattr(target, unclear)
    model, pdb, folder = water
    output = str(folder / "run")
    assert main(["simulate", model, pdb, "--output", output, *SHORT]) == 0
    analyze = ["analyze", "rdf", output + ".xtc", pdb, "O-H", "O-O", "--r-max", "0.2"]
    assert main([*analyze, "--plot", str(folder / "new" / "g.png")]) == 0
    printed = capsys.readouterr().out
    assert "O-O: no coordination number, no clear minimum" in printed
    assert (folder / "new" / "g.png").stat().st_size > 1000
    (folder / "empty.xtc").write_bytes(b"")
    message = error_of(capsys, "analyze", "rdf", folder / "empty.xtc", pdb, "O-H")
    assert "expected a trajectory" in message
