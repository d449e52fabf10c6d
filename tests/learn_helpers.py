# SPDX-License-Identifier: MIT
"""A loop of active learning on eight metal atoms, which takes seconds."""

import ase
import ase.io
import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT

LOOP = """
[learn]
members = 2
training = ["start.extxyz"]
test = ["test.extxyz"]
rounds = 2
frames = 3
seed = 5

[labels]
kind = "ase"
calculator = "ase.calculators.emt:EMT"

[[explore]]
name = "pool"
pool = ["pool.extxyz"]

[model]
elements = ["Cu", "Au"]
cutoff = 3.2
l_max = 1
num_layers = 1
num_scalar_features = 4
num_tensor_features = 2
num_bessels = 3
two_body_width = 4
latent_width = 4
readout_width = 4

[train]
max_epochs = 2
device = "cpu"
stress_weight = 0.0
"""
PROTOCOL = """
[system]
topology = "start.extxyz"
frame = 0
model = "unused.safetensors"
backend = "pythonforce"

[[stages]]
name = "warm"
steps = 20
temperature_k = 300.0
timestep_fs = 2.0
friction_per_ps = 5.0
report_interval = 5
"""
EXPLORE = """
[[explore]]
name = "md"
protocol = "md.toml"
dynamics = "member"

[model]"""


def metal(seed, amplitude=0.1):
    """Eight atoms of copper and gold, moved at random."""
    atoms = bulk("Cu", "fcc", a=3.8, cubic=True) * (1, 1, 2)
    atoms.set_chemical_symbols(["Cu", "Au"] * 4)
    atoms.rattle(amplitude, seed=seed)
    return atoms


def labelled_metal(seed, amplitude=0.1):
    """The same with its energy and forces."""
    atoms = metal(seed, amplitude)
    atoms.calc = EMT()
    atoms.get_forces()
    return atoms


def write_loop(folder, *, protocol=False, changes=()):
    """Write a loop and its files; changes are pairs of texts."""
    ase.io.write(folder / "start.extxyz", [labelled_metal(k) for k in range(4)])
    ase.io.write(folder / "test.extxyz", [labelled_metal(k) for k in range(10, 14)])
    ase.io.write(folder / "pool.extxyz", [metal(k, 0.2) for k in range(20, 32)])
    text = LOOP.replace("[model]", EXPLORE.lstrip(), 1) if protocol else LOOP
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (folder / "loop.toml").write_text(text)
    (folder / "md.toml").write_text(PROTOCOL)
    return folder / "loop.toml"


def forces_of(atoms):
    """Forces of an EMT calculation, eV/Å."""
    return np.array(atoms.get_forces())
