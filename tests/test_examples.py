# SPDX-License-Identifier: MIT
"""README blocks, examples and systems run as they stand, only shorter."""

import importlib.util
import os
import re
import runpy
import sys
import tomllib
import warnings
from pathlib import Path

import pytest
from lammps_session import BIN, needs_lammps
from openmm_helpers import skip_without

from openmm_allegro import Stage, Watchdogs
from openmm_allegro.utils.config import from_mapping

ROOT = Path(__file__).parents[1]
SYSTEM = ROOT / "systems" / "nacl_aq"


@pytest.fixture
def execute(tmp_path, monkeypatch, capsys):
    """A function that runs a script in a folder of its own; what it prints."""
    skip_without("torchforce")
    for name in ("systems", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)

    def run(script, *arguments):
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        with warnings.catch_warnings():
            # as for a user, to whom others' warnings are no errors
            warnings.simplefilter("default")
            warnings.simplefilter("error", FutureWarning)
            runpy.run_path(str(script), run_name="__main__")
        return capsys.readouterr().out

    return run


# Pages whose Python runs block by block; that of trainings, LAMMPS and others is tried
# in test_manual.
NAMES = ("interop", "mixed", "simulate", "tempering")
PAGES = ("README.md", *(f"docs/{name}.md" for name in NAMES))


def python_blocks(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


# That of tempering is what the example of it does.
BLOCKS = [
    pytest.param(page, i, marks=pytest.mark.slow if "tempering" in page else ())
    for page in PAGES
    for i in range(len(python_blocks(page)))
]


@pytest.mark.parametrize("page", PAGES)
def test_pages_have_python(page):
    assert python_blocks(page)


@pytest.mark.parametrize("page, number", BLOCKS)
def test_block(page, number, tmp_path, execute):
    code = re.sub(r"steps=\d+", "steps=40", python_blocks(page)[number])
    if "rdf(" in code:
        code += "\nassert g.max() > 1 and (r > 0).all()\n"
    (tmp_path / "block.py").write_text(code)
    execute(tmp_path / "block.py")


def test_protocol_of_the_manual():
    """Its tables and keys are what read_protocol takes."""
    page = (ROOT / "docs" / "simulate.md").read_text()
    text = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0]
    content = tomllib.loads(text)
    assert set(content) <= {"system", "run", "watchdogs", "stages"}
    for table in content["stages"]:
        table = content["run"] | table
        kelvin = table.get("temperature_k", 300.0)
        table["temperature_k"] = kelvin if isinstance(kelvin, list) else [kelvin]
        from_mapping(Stage, table, "page")
    from_mapping(Watchdogs, content["watchdogs"], "page")
    assert {"model", "topology"} == set(content["system"])


def test_nacl_example(tmp_path, execute):
    script = ROOT / "examples" / "01_nacl_nvt.py"
    output = execute(script, "--quick", "--output", "demo")
    for name in ("Na-O", "Cl-O", "O-O", "temperature"):
        assert name in output
    for name in ("nvt.xtc", "nvt.csv", "nvt.state.xml", "rdf.png", "temperature.png"):
        assert (tmp_path / "demo" / name).stat().st_size > 500
    assert len(script.read_text().splitlines()) <= 80


def test_multiple_time_steps_example(execute):
    """Bonds integrated in finer steps: the total energy fluctuates less."""
    script = ROOT / "examples" / "02_multiple_time_steps.py"
    output = execute(script, "--quick")
    single, multiple = re.findall(r"fs\s+([\d.]+) meV/atom", output)
    assert float(multiple) < 0.5 * float(single)
    assert len(script.read_text().splitlines()) <= 80


def test_parallel_tempering_example(tmp_path, execute):
    if not importlib.util.find_spec("openmmtools"):
        pytest.skip("needs the extra multistate")
    script = ROOT / "examples" / "03_parallel_tempering.py"
    output = execute(script, "--quick", "--output", "tempering")
    # temperatures this close exchange often, whatever the seed
    rates = re.findall(r"(\d+)%", re.search("exchanged.*", output)[0])
    assert len(rates) == 3 and all(10 < int(rate) <= 100 for rate in rates)
    for name in ("alanine.nc", "alanine.exchanges.csv", "300K.xtc"):
        assert (tmp_path / "tempering" / name).stat().st_size > 100
    assert len(script.read_text().splitlines()) <= 80


@pytest.mark.parametrize("more", [[], pytest.param(["--opes"], marks=pytest.mark.slow)])
def test_metadynamics_example(more, tmp_path, execute):
    script = ROOT / "examples" / "05_metadynamics.py"
    with pytest.raises(SystemExit) as end:
        execute(script, "--quick", "--output", "phi", *more)
    assert end.value.code == 0
    for name in ("free_energy.png", "alanine.variables.csv"):
        assert (tmp_path / "phi" / name).stat().st_size > 500
    assert len(script.read_text().splitlines()) <= 80


def test_mm_to_ml_example(tmp_path, execute):
    if not importlib.util.find_spec("openmmtools"):
        pytest.skip("needs the extra multistate")
    script = ROOT / "examples" / "08_mm_to_ml.py"
    output = execute(script, "--quick", "--output", "mm_to_ml")
    found = re.findall(r"(\w+): ΔG = (-[\d.]+) ± ([\d.]+) kJ/mol", output)
    assert [name for name, *_ in found] == ["exchange", "switching"]
    # of the first steps from one structure, not of equilibrium
    assert all(-640 < float(value) < -500 for _, value, _ in found)
    for name in ("free_energy.json", "overlap.png", "works.png"):
        assert (tmp_path / "mm_to_ml" / name).stat().st_size > 500
    assert len(script.read_text().splitlines()) <= 80


def test_jumps_example(tmp_path, execute):
    script = ROOT / "examples" / "10_jumps.py"
    output = execute(script, "--quick", "--output", "jumps")
    assert re.search(r"D of Li by jumps: -?[\d.]+ ± [\d.]+ eV", output)
    for name in ("report.html", "lines.png", "1000K/2-nvt.xtc"):
        assert (tmp_path / "jumps" / name).stat().st_size > 500


def test_quantum_nuclei_example(tmp_path, execute):
    script = ROOT / "examples" / "06_quantum_nuclei.py"
    with pytest.raises(SystemExit) as end:
        execute(script, "--quick", "--output", "quantum")
    assert end.value.code == 0
    for name in ("rpmd.beads.xtc", "rpmd.nuclei.csv", "kinetic_energy.png", "rdf.png"):
        assert (tmp_path / "quantum" / name).stat().st_size > 500
    assert len(script.read_text().splitlines()) <= 80


def test_umbrella_example(tmp_path, execute):
    if not importlib.util.find_spec("pymbar"):
        pytest.skip("needs the extra multistate")
    script = ROOT / "examples" / "07_umbrella_windows.py"
    output = execute(script, "--quick", "--output", "pair")
    assert float(re.search(r"neighbours: ([\d.]+)", output)[1]) > 0.03
    for name in ("3-window3.xtc", "1-window1.variables.csv", "pmf.png"):
        assert (tmp_path / "pair" / name).stat().st_size > 100
    assert len(script.read_text().splitlines()) <= 80


@pytest.mark.slow  # the loop itself is tested in tests/learn
def test_active_learning_example(tmp_path, execute):
    """Both loops begin with the same models, and add the same number of frames."""
    script = ROOT / "examples" / "11_active_learning.py"
    output = execute(script, "--quick", "--output", "alloy")
    rows = re.findall(r"(\w+): (\d+) frames, RMSE of forces (\d+)", output)
    numbers = [
        ("committee", "6"),
        ("committee", "10"),
        ("random", "6"),
        ("random", "10"),
    ]
    assert [row[:2] for row in rows] == numbers and rows[0][2] == rows[2][2]
    for name in ("errors.png", "page.html", "committee/model-2.safetensors"):
        assert (tmp_path / "alloy" / name).stat().st_size > 500
    assert len(script.read_text().splitlines()) <= 80


def test_mlmm_example(tmp_path, execute):
    script = ROOT / "examples" / "09_mlmm_protocol.py"
    output = execute(script, "--quick", "--output", "mlmm")
    found = dict(re.findall(r"(\S+), \w+: ([\d.]+) ±", output))
    assert 1.1 < float(found["C=O"]) < 1.4
    # Amber's water is rigid; frames have two digits in Å.
    assert float(found["O-H"]) == pytest.approx(1.0118, abs=4e-3)
    assert (tmp_path / "mlmm" / "bonds.png").stat().st_size > 500
    assert len(script.read_text().splitlines()) <= 80


@needs_lammps
def test_lammps_example(execute, monkeypatch):
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    script = ROOT / "examples" / "04_lammps.py"
    output = execute(script, "--quick", "--ranks", "1", "--output", "lammps")
    assert "1472 atoms, 2 frames: g(r) of Na-O has its first peak at 2." in output
    assert len(script.read_text().splitlines()) <= 80
