# SPDX-License-Identifier: MIT
"""Files of an earlier version are read, and mean what they meant.

``data/before/make.py`` tells how they were made.
"""

import importlib.util
import json
import lzma
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit
from openmm_helpers import energy_and_forces
from run_helpers import check_complete, final_state
from training_helpers import ETHANOL, PLAIN, read_log

from openmm_allegro import AllegroPotential, load_model, read_structures, run
from openmm_allegro.cli.main import main
from openmm_allegro.simulate.platform import torch_threads

BEFORE = Path(__file__).parent / "data" / "before"
OPENMM = "8.5.2.dev-36a30cb"  # that of the checkpoints
FORMER = json.loads((BEFORE / "systems.json").read_text())
READ = """
import json, sys
{imports}
from openmm import Context, Platform, VerletIntegrator, XmlSerializer, unit
former = json.load(open("systems.json"))
results = dict()
for name in sys.argv[1:]:
    system = XmlSerializer.deserialize(open(name + ".xml").read())
    platform = Platform.getPlatformByName("Reference")
    context = Context(system, VerletIntegrator(0.001), platform)
    context.setPositions(former["positions"])
    for parameter, value in former["systems"][name]["parameters"].items():
        context.setParameter(parameter, value)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    results[name] = energy, state.getForces(asNumpy=True)._value.tolist()
print(json.dumps(results))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """All files in a folder, which is the current one: records have relative paths."""
    with (
        lzma.open(BEFORE / "files.tar.xz") as file,
        tarfile.open(fileobj=file) as archive,
    ):
        archive.extractall(tmp_path, filter="data")
    for name in ("model.safetensors", "protocol.toml", "systems.json", "water.pdb"):
        shutil.copy(BEFORE / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("imports", "names"),
    [
        ("import openmm, openmm_allegro", ["torchforce", "committee", "mixed"]),
        pytest.param(
            "import openmm_allegro, openmm",
            ["mixed", "torchforce", "pythonforce"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "import openmm",
            ["pythonforce", "mixed_with_dispersion"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["TorchForce first", "TorchForce in another first", "PythonForce"],
)
def test_systems(folder, imports, names):
    """In a new process, which imports the package or nothing of it."""
    if "torchforce" in names:
        pytest.importorskip("openmmtorch")
    if not importlib.util.find_spec("dftd3"):
        names = [name for name in names if "dispersion" not in name]
    command = [sys.executable, "-c", READ.format(imports=imports), *names]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert list(results) == names
    for name, (energy, forces) in results.items():
        check(name, energy, forces)


def check(name, energy, forces):
    expected = FORMER["systems"][name]
    assert energy == pytest.approx(expected["energy"], abs=1e-3)
    np.testing.assert_allclose(forces, expected["forces"], rtol=1e-5, atol=2e-3)


def test_a_model_file(folder):
    model = load_model("model.safetensors")
    assert model.provenance == {"seed": 0}
    topology = app.PDBFile("water.pdb").topology
    potential = AllegroPotential(model)
    system = potential.create_system(topology, backend="pythonforce")
    check("pythonforce", *energy_and_forces(system, FORMER["positions"]))


def test_a_run_is_resumed(folder):
    """It resumes from its checkpoint, with the files cut to it, and ends the same."""
    pdb = app.PDBFile("water.pdb")
    potential = AllegroPotential("model.safetensors")
    system = potential.create_system(pdb.topology, backend="pythonforce")
    with torch_threads(1):
        paths = run(
            pdb.topology,
            pdb.positions,
            system,
            "run/x",
            steps=60,
            timestep=0.2 * unit.femtosecond,
            report_interval=5,
            velocity_interval=20,
            checkpoint_interval=20,
            minimize=False,
            seed=3,
            platform="Reference",
            notes={"about": "from before"},
            progress=False,
            resume=True,
        )
    check_complete(paths, 60, 5, 20, timestep_ps=0.0002)
    assert json.loads(paths["record"].read_text())["resumed_at"] == [20]
    check_end("run/x")


def test_a_protocol_goes_on(folder, capsys):
    arguments = ["--output", "protocol", "--seed", "5", "--platform", "Reference"]
    with torch_threads(1):
        assert main(["simulate", "protocol.toml", *arguments, "--resume"]) == 0
    assert "2-produce: protocol/2-produce.*" in capsys.readouterr().out
    assert json.loads(Path("protocol/protocol.json").read_text())["finished"]
    record = json.loads(Path("protocol/2-produce.json").read_text())
    assert (record["resumed_at"], record["completed_steps"]) == ([20], 60)
    check_end("protocol/2-produce")


def check_end(prefix):
    """The run ends as the one that nobody interrupted, if random numbers resume."""
    record = json.loads(Path(f"{prefix}.json").read_text())
    assert record["finished"]
    assert not Path(f"{prefix}.xml").exists()  # as it was named
    # Another OpenMM cannot load the checkpoint's random numbers.
    if openmm.version.version == OPENMM:
        names = prefix + ".state.xml", prefix + ".expected.xml"
        ends = [final_state({"state": name}) for name in names]
        np.testing.assert_allclose(*ends, rtol=0, atol=1e-4)


def test_a_training_goes_on(folder):
    pytest.importorskip("lightning")
    from openmm_allegro.training.config import TrainConfig
    from openmm_allegro.training.train import train

    before = Path("training/log.csv").read_text()
    model = load_model("training/model.safetensors")
    structures = read_structures(ETHANOL)
    data = structures[:16], structures[16:]
    settings = TrainConfig(
        max_epochs=3,
        batch_size=4,
        warmup_steps=0,
        schedule="constant",
        final_rate=0.01,
        ema_decay=0.99,
        **PLAIN,
    )
    for output, resume in (("whole", False), ("training", True)):
        train(model.config, settings, *data, output, resume=resume, progress=False)
    rows, whole = read_log(folder / "training"), read_log(folder / "whole")
    assert Path("training/log.csv").read_text().startswith(before)
    assert len(rows) == len(whole) == 3
    for key in ("learning_rate", "loss", "validation_score", "forces_rmse"):
        assert rows[2][key] == pytest.approx(whole[2][key], rel=1e-3)
    assert load_model("training/model.safetensors").config == model.config
