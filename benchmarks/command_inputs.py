# SPDX-License-Identifier: MIT
"""Small inputs of each verb, for `command_table.py`."""

import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"


class Case(NamedTuple):
    """A verb with its arguments; outputs are in folders named out."""

    verb: str
    arguments: list[str]
    misspelt: str  # an option
    files: str = ""  # for programs, beside that of --json
    # SIGINT is sent after a line with this text; None of verbs that are done at once.
    stop_after: str | None = None

    @property
    def ending(self) -> str:
        """Ending of the file that is written, if it has one."""
        given = [a for a in self.arguments if a.startswith(f"{self.verb}/out")]
        return Path(given[0]).suffix if given else ""


TRAINING = """
[data]
training = ["ethanol.extxyz"]
validation_size = 4
[model]
elements = ["H", "C", "O"]
cutoff = 4.0
l_max = 1
num_scalar_features = 8
num_tensor_features = 4
[train]
max_epochs = 3
batch_size = 4
"""
FREE_ENERGY = """
[system]
topology = "oscillators.pdb"
system = "oscillators.xml"
[exchange]
lambdas = [0, 0.4, 1]
iterations = 40
steps_per_iteration = 25
timestep_fs = 10
minimize = false
"""
LOOP = """
learn.members = 2
learn.training = ["start.extxyz"]
learn.test = ["start_test.extxyz"]
learn.rounds = 1
learn.frames = 2
labels.kind = "ase"
labels.calculator = "ase.calculators.emt:EMT"
explore = [{ name = "hot", protocol = "hot.toml", dynamics = "member" }]
model.elements = ["Cu", "Au"]
model.cutoff = 4.0
model.l_max = 1
model.num_scalar_features = 4
train.max_epochs = 1
"""
HOT = """
system = { topology = "start.extxyz", frame = 0, model = "the-committee" }
[[stages]]
name = "heat"
steps = 50
temperature_k = 900.0
timestep_fs = 2.0
report_interval = 10
"""
_MODEL = "model.safetensors"
_RUN = ["--platform", "CPU", "--threads", "1", "--seed", "1"]
_TRAINED = "organic.safetensors"
_SIMULATE = [_MODEL, "water.pdb", *_RUN, "--steps", "400", "--output", "runs/out/x"]
_FREE = ["oscillators.toml", *_RUN[-2:], "--platform", "Reference"]
# In this order: some begin with what those before have written.
CASES = [
    Case("init", ["ethanol.extxyz", "--output", "init/out/a.toml"], "--hourz"),
    Case(
        "train",
        ["training.toml", "--output", "train/out"],
        "--rezume",
        "`test.json`, `log.csv`",
        "frames",
    ),
    Case(
        "evaluate",
        [_TRAINED, "ethanol.extxyz", "--force"],
        "--jsno",
        "`--frames`",
        "frames of",
    ),
    Case(
        "refit",
        [_TRAINED, "ethanol.extxyz", "-o", "refit/out.safetensors"],
        "--fixde",
        "",
        "fitting",
    ),
    Case("models", [], "nacl_aqq"),
    Case("info", [_TRAINED], "--hepl", "prints it, too"),
    Case("export", [_TRAINED, "-o", "export/out.ckpt"], "--farce", "", "making"),
    Case(
        "import",
        ["export/out.ckpt", "-o", "import/out.safetensors"],
        "--length-unitz",
        "",
        "reading",
    ),
    Case(
        "box",
        ["water=64", "--density", "0.9", "--output", "box/out.pdb"],
        "--densty",
        "",
        "packing",
    ),
    Case("simulate", _SIMULATE, "--temprature", "`.json`, `.csv`", "frame every"),
    Case(
        "free-energy",
        [*_FREE, "--output", "free/out"],
        "--sede",
        "`free_energy.json`",
        "atoms",
    ),
    Case(
        "learn",
        ["loop.toml", "--output", "learn/out"],
        "--rezume",
        "`loop.json`, `errors.csv`",
        "round",
    ),
    Case(
        "lammps",
        [_MODEL, "water.pdb", "--steps", "100", "--output", "lammps/out"],
        "--replicatez",
        "the folder",
        "atoms",
    ),
    Case(
        "analyze",
        ["rdf", "runs/out/x", "O-H", "--r-max", "0.4", "--force"],
        "--rmax",
        "`--csv`",
        "rdf of",
    ),
    Case("report", ["runs/out/x", "--force"], "--chargez", "", "a page"),
]


def write_inputs(folder: Path) -> None:
    """Write the inputs of all verbs to a folder."""
    import ase.io
    import openmm

    sys.path.insert(0, str(ROOT / "tests"))
    from lambda_helpers import two_oscillators
    from openmm_helpers import lattice_waters, make_topology

    shutil.copy(DATA / "ethanol.extxyz", folder)
    shutil.copy(DATA / "models" / _TRAINED, folder)
    shutil.copy(DATA / "models" / "water5.safetensors", folder / _MODEL)
    texts = {"training": TRAINING, "oscillators": FREE_ENERGY}
    for name, text in (texts | {"loop": LOOP, "hot": HOT}).items():
        (folder / f"{name}.toml").write_text(text)
    symbols, positions, box = lattice_waters()
    _write_pdb(folder / "water.pdb", make_topology(symbols, box), positions)
    topology, positions, system, _ = two_oscillators()
    _write_pdb(folder / "oscillators.pdb", topology, positions)
    xml = openmm.XmlSerializer.serialize(system)
    (folder / "oscillators.xml").write_text(xml)
    for name, first in (("start", 0), ("start_test", 100)):
        ase.io.write(folder / f"{name}.extxyz", _alloys(first))
    for name in ("refit", "export", "import", "box", "stopped"):
        (folder / name).mkdir()


def _write_pdb(path: Path, topology: Any, positions: Any) -> None:
    from openmm import app, unit

    with open(path, "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)


def _alloys(first: int) -> list:
    from ase.build import bulk
    from ase.calculators.emt import EMT

    frames = [bulk("Cu", a=3.85, cubic=True) * (1, 1, 2) for _ in range(6)]
    for seed, atoms in enumerate(frames, first):
        atoms.set_chemical_symbols(["Cu", "Au"] * 4)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        atoms.get_forces()
    return frames
