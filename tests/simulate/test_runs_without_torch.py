# SPDX-License-Identifier: MIT
"""Runs of a native force load nothing of the extras, and say which one they miss."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from openmm import app, unit
from openmm_helpers import make_topology

from openmm_allegro import save_model

ROOT = Path(__file__).parents[2]
# Of extras, or of nothing that a run needs.
ABSENT = ["torch", "e3nn", "openmmtorch", "vesin_torch", "lightning", "nequip"]
ABSENT += ["ase", "mdtraj", "scipy", "matplotlib", "tables", "freud", "openmmtools"]
PROGRAM = f"""
import sys
from openmm_allegro.cli import main
statuses = [main(line.split()) for line in sys.stdin]
print(statuses, [name for name in {ABSENT} if name in sys.modules], sep="\\n")
"""
HIDING = f"""
import sys
from importlib.machinery import PathFinder
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in {ABSENT}:
            return PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
"""
PROTOCOL = """
[system]
model = "model.safetensors"
topology = "water.pdb"

[watchdogs]
temperature_k = [1.0, 1e6]
closest = {"H-O" = 0.2}
bond_stretch = 100.0
actions = {closest = "frame"}

[run]
report_interval = 5

[[stages]]
name = "heat"
steps = 10
temperature_k = [100, 300]
minimize = true

[[stages]]
name = "npt"
steps = 10
ensemble = "npt"
barostat_interval = 5
"""


@pytest.fixture
def folder(model, water_box, tmp_path):
    """A folder with a model, a PDB file and a protocol."""
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    for index, atom in enumerate(topology.atoms()):
        atom.name = ("O", "H1", "H2")[index % 3]
    save_model(model, tmp_path / "model.safetensors")
    with open(tmp_path / "water.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    (tmp_path / "protocol.toml").write_text(PROTOCOL)
    return tmp_path


def command(folder, *lines, before=""):
    """Run commands in one process that loads none of them: statuses and messages."""
    done = subprocess.run(
        [sys.executable, "-c", before + PROGRAM],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    statuses, loaded = (json.loads(line) for line in done.stdout.splitlines()[-2:])
    assert not loaded
    return statuses, done.stderr


def test_commands(folder):
    """A run and its resumption, a protocol with watchdogs and a barostat."""
    run = "simulate model.safetensors water.pdb --output x --platform CPU "
    run += "--report-interval 5 --threads 1 --backend "
    statuses, messages = command(
        folder,
        run + "native --steps 10",
        run + "auto --steps 20 --resume",
        "simulate protocol.toml --output protocol --threads 2 --platform CPU",
    )
    assert statuses == [0, 0, 0], messages
    assert "g/cm³; backend native, as asked for" in messages
    assert "backend native, with which the run began" in messages
    assert "resuming after step 10" in messages
    steps = np.genfromtxt(folder / "x.csv", delimiter=",", skip_header=1)[:, 0]
    np.testing.assert_array_equal(steps, [5, 10, 15, 20])
    record = json.loads((folder / "x.json").read_text())
    assert record["finished"] and record["backend"] == "native"
    assert record["backend_reason"] == "native, with which the run began"
    assert "torch_threads" not in record["hardware"]
    assert json.loads((folder / "protocol" / "2-npt.json").read_text())["finished"]


def test_what_is_missing_is_named(folder):
    """Before anything is computed or written."""
    run = "simulate model.safetensors water.pdb --output x --steps 10 "
    run += "--report-interval 5 "
    missing = {
        "--velocity-interval 5": "no mdtraj and no tables; pip install",
        "--integrator baoab": "'openmmtools'); pip install",
        "--backend torchforce": "'torch'; pip install",
    }
    commands = [run + options for options in missing]
    # the last stage of a protocol
    (folder / "protocol.toml").write_text(f"{PROTOCOL}velocity_interval = 5\n")
    commands.append("simulate protocol.toml --output x")
    missing[commands[-1]] = "stage npt: velocities in HDF5 (velocity_interval) expect"
    statuses, messages = command(folder, *commands, before=HIDING)
    assert statuses == [2] * len(commands)
    errors = [line for line in messages.splitlines() if "error: " in line]
    for error, words in zip(errors, missing.values(), strict=True):
        assert words in error
    assert not list(folder.glob("x*"))


def test_verbs_name_their_extras(folder):
    verbs = {
        "train x.toml --output o": "train",
        "evaluate model.safetensors water.pdb": "train",
        "import a.ckpt -o b.safetensors": "nequip",
        "export model.safetensors -o b.ckpt": "nequip",
        "analyze rdf water.pdb water.pdb": "analysis",
        "report run": "analysis",
    }
    (folder / "x.toml").write_text((ROOT / "systems/nacl_aq/config.toml").read_text())
    (folder / "a.ckpt").touch()
    run = "simulate model.safetensors water.pdb --output run --steps 2 "
    run += "--report-interval 1 --no-minimize"
    statuses, messages = command(folder, run, *verbs, before=HIDING)
    assert statuses == [0] + [2] * len(verbs)
    errors = [line for line in messages.splitlines() if "error: " in line]
    for error, extra in zip(errors, verbs.values(), strict=True):
        assert error.endswith(f"; pip install 'openmm-allegro[{extra}]'"), error
