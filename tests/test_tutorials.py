# SPDX-License-Identifier: MIT
"""Tutorials and their notebooks run as they stand, only shorter."""

import importlib.util
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lammps_session import BIN, needs_lammps

from openmm_allegro.cli.main import main

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "tutorials"
NAMES = [
    pytest.param(path.stem, marks=[needs_lammps] if path.stem == "cluster" else [])
    for path in sorted(FOLDER.glob("*.md"))
]
# Long numbers of the pages, and what stands for them here.
SHORTER = (
    (r"(?m)^((?:steps|report_interval) *= *)\d+", r"\g<1>40"),
    (r"(?m)^(report_interval *= *)\d+", r"\g<1>4"),
    (r"(?m)^(pace *= *)\d+", r"\g<1>10"),
    (r"(?m)^(temperatures_k *= *).*", r"\g<1>[1000, 850]"),
    (r"--steps \d+", "--steps 40"),
    (
        r"(?m)^(openmm-allegro simulate (?!.*--steps)\S+ \S+\.pdb .*[^\\\n])$",
        r"\g<1> --steps 40",
    ),
    (r"--hours \d+", "--hours 0.01"),
    (
        r"(?m)^(openmm-allegro train \S+\.extxyz (?!.*--hours).*[^\\\n])$",
        r"\g<1> --hours 0.01",
    ),
    (r"water=60 Na=2 Cl=2 --density 1.04", "water=24 Na=1 Cl=1 --density 0.8"),
)


def shorter(text):
    for long, short in SHORTER:
        text = re.sub(long, short, text)
    return text


@pytest.fixture(scope="module")
def notebooks():
    pytest.importorskip("nbformat")
    path = ROOT / "docs" / "notebooks.py"
    spec = importlib.util.spec_from_file_location("notebooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the shipped systems, their protocols shorter, and frames."""
    unread = shutil.ignore_patterns("tried", "*.png", "*.html")
    shutil.copytree(ROOT / "systems", tmp_path / "systems", ignore=unread)
    for path in (tmp_path / "systems").glob("*/*.toml"):
        path.write_text(shorter(path.read_text()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frames_of(path, count):
    """Frames about the atoms of a file, with the labels of a shipped model."""
    import ase.io
    from ase.calculators.singlepoint import SinglePointCalculator

    from openmm_allegro.interop.ase import AllegroCalculator

    calculator = AllegroCalculator("nacl_aq")
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(count):
        atoms = ase.io.read(path)
        atoms.positions += rng.normal(0.0, 0.05, atoms.positions.shape)
        atoms.calc = calculator
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    return frames


def write_frames():
    """Frames of a small box of aqueous NaCl."""
    import ase.io

    frames = frames_of("systems/nacl_aq/nacl_aq.pdb", 14)
    ase.io.write("frames.extxyz", frames[:10])
    ase.io.write("test.extxyz", frames[10:])
    ase.io.write("more.extxyz", frames[:6])


def write_checkpoint_of_water():
    """A checkpoint of nequip-allegro, water that it can run, and frames of it."""
    import ase.io
    from nequip_helpers import write_checkpoint

    write_checkpoint("best.ckpt")
    assert main(["box", "water=20", "--density", "0.8", "--output", "box.pdb"]) == 0
    ase.io.write("more.extxyz", frames_of("box.pdb", 6))


def run(command):
    """Run a command of a page; too short a run may have nothing to measure."""
    words = shlex.split(command, comments=True)
    if words[0] == "openmm-allegro":
        status = main(words[1:])
        assert status == 0 or (status == 2 and words[1] == "analyze"), command
    else:
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(words, check=True, env=os.environ | {"PATH": path})


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_tutorial(name, folder):
    pytest.importorskip("lightning")
    if name == "own-data":
        write_frames()
    if name == "nequip-checkpoint":
        pytest.importorskip("nequip")
        write_checkpoint_of_water()
    text = shorter((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    for language, code in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL):
        if language == "toml":
            path = Path(re.match(r"# (\S+)\n", code)[1])
            path.parent.mkdir(exist_ok=True)
            path.write_text(code)
        elif language == "sh":
            for line in code.replace("\\\n", "").strip().splitlines():
                run(line)
        else:
            Path("block.py").write_text(code)
            runpy.run_path("block.py")


def test_notebooks_are_those_of_the_tutorials(notebooks):
    """If not: python docs/notebooks.py."""
    import nbformat

    for name in notebooks.NAMES:
        text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
        kept = nbformat.read(notebooks.path_of(name), as_version=4)
        made = notebooks.notebook(text)
        assert [c.source for c in kept.cells] == [c.source for c in made.cells]
        assert not any(c.get("outputs") for c in kept.cells)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own-data", "mm-with-a-bias", "solid"])
def test_notebook(name, folder, notebooks, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    if name == "own-data":
        write_frames()
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    text = shorter((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    book = notebooks.notebook(text)
    nbclient.NotebookClient(book, timeout=600, kernel_name="python3").execute()
    printed = "".join(
        output.get("text", "") for c in book.cells for output in c.get("outputs", ())
    )
    assert "report: " in printed or "next: openmm-allegro report" in printed
    assert "Traceback" not in printed
