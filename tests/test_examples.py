# SPDX-License-Identifier: MIT
"""README blocks, examples and systems run as they stand, only shorter."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from openmm import app, unit

from openmm_allegro import load_model
from openmm_allegro.config import read_toml
from openmm_allegro.model import AllegroConfig
from openmm_allegro.train import DataConfig, TrainConfig

ROOT = Path(__file__).parents[1]
SYSTEM = ROOT / "systems" / "nacl_aq"


def execute(arguments, folder):
    """Run Python in a folder from which systems/ and tests/ can be reached."""
    for name in ("systems", "tests"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    result = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"OPENMM_CPU_THREADS": "2", "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def python_blocks():
    text = (ROOT / "README.md").read_text()
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_readme_has_python():
    assert python_blocks()


@pytest.mark.parametrize("number", range(len(python_blocks())))
def test_readme_block(number, tmp_path):
    pytest.importorskip("openmmtorch")
    code = re.sub(r"steps=\d+", "steps=40", python_blocks()[number])
    if "rdf(" in code:
        code += "\nassert g.max() > 1 and (r > 0).all()\n"
    (tmp_path / "block.py").write_text(code)
    execute(["block.py"], tmp_path)


def test_nacl_example(tmp_path):
    pytest.importorskip("openmmtorch")
    script = ROOT / "examples" / "01_nacl_nvt.py"
    output = execute([script, "--quick", "--output", "demo"], tmp_path)
    for name in ("Na-O", "Cl-O", "O-O", "temperature"):
        assert name in output
    for name in ("nvt.xtc", "nvt.csv", "nvt.xml", "rdf.png", "temperature.png"):
        assert (tmp_path / "demo" / name).stat().st_size > 500
    assert len(script.read_text().splitlines()) <= 80


def test_multiple_time_steps_example(tmp_path):
    """Bonds integrated in finer steps: the total energy fluctuates less."""
    pytest.importorskip("openmmtorch")
    script = ROOT / "examples" / "02_multiple_time_steps.py"
    output = execute([script, "--quick"], tmp_path)
    single, multiple = re.findall(r"fs\s+([\d.]+) meV/atom", output)
    assert float(multiple) < 0.5 * float(single)
    assert len(script.read_text().splitlines()) <= 80


def test_nacl_system_is_coherent():
    """The model knows the box's elements, and was trained as the config says."""
    model = load_model(SYSTEM / "nacl_aq.safetensors")
    tables = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
    config = read_toml(SYSTEM / "config.toml", tables)
    assert model.config == config["model"]
    assert model.provenance["train"]["seed"] == config["train"].seed
    assert model.provenance["periodic"] == "all"
    assert (SYSTEM / "nacl_aq.safetensors").stat().st_size < 5e6
    metrics = json.loads((SYSTEM / "metrics.json").read_text())
    assert metrics["forces_rmse"] <= 60
    assert metrics["energy_rmse"] <= 2
    for name in ("packed.pdb", "nacl_aq.pdb"):
        with open(SYSTEM / name) as file:
            pdb = app.PDBFile(file)
        symbols = [atom.element.symbol for atom in pdb.topology.atoms()]
        assert set(symbols) == set(model.config.elements)
        assert symbols.count("Na") == symbols.count("Cl")
        box = pdb.topology.getPeriodicBoxVectors()[0][0].value_in_unit(unit.angstrom)
        assert box == pytest.approx(12.42)
        trajectory = mdtraj.load(SYSTEM / name)
        bonds = [[a.index, b.index] for a, b in trajectory.topology.bonds]
        lengths = mdtraj.compute_distances(trajectory, np.array(bonds))
        assert len(bonds) == 2 * symbols.count("O")
        assert lengths.max() < 0.125  # nm; no broken water
