# SPDX-License-Identifier: MIT
"""Let a committee ask for the frames that it learns from; compare with random ones.

ASE's effective medium theory of a gold-copper alloy stands for a DFT code.

python examples/11_active_learning.py --output runs/alloy [--quick]
"""

import argparse
from pathlib import Path

import ase.io
from ase.build import bulk
from ase.calculators.emt import EMT

from openmm_allegro.analysis.figures.learning import plot_learning
from openmm_allegro.learn import learn
from openmm_allegro.report.learning import learning_curve, learning_page, read_errors

LOOP = """
learn.members = 2
learn.training = ["start.extxyz"]
learn.test = ["test.extxyz"]
learn.pick = "{pick}"
learn.rounds = {rounds}
learn.frames = 4

labels.kind = "ase"
labels.calculator = "ase.calculators.emt:EMT"

explore = [{{ name = "hot", protocol = "hot.toml", dynamics = "member" }}]

model.elements = ["Cu", "Au"]
model.cutoff = 4.0
model.l_max = 1
model.num_scalar_features = {size}

train.max_epochs = {epochs}
"""
HOT = """
system = { topology = "start.extxyz", frame = 0, model = "the-committee" }

[[stages]]
name = "heat"
steps = 250
temperature_k = 900.0
timestep_fs = 2.0
friction_per_ps = 5.0
report_interval = 10
"""
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--output", type=Path, default=Path("runs/alloy"))
parser.add_argument("--quick", action="store_true", help="a short one, for a test")
options = parser.parse_args()
options.output.mkdir(parents=True, exist_ok=True)
for name, first, amplitude in (("start", 0, 0.05), ("test", 100, 0.2)):
    frames = [bulk("Cu", a=3.85, cubic=True) * (1, 1, 2) for _ in range(6)]
    for seed, atoms in enumerate(frames, first):
        atoms.set_chemical_symbols(["Cu", "Au"] * 4)
        atoms.rattle(amplitude, seed=seed)
        atoms.calc = EMT()
        atoms.get_forces()
    ase.io.write(options.output / f"{name}.extxyz", frames)
(options.output / "hot.toml").write_text(HOT)
curves, folders = {}, {}
for pick in ("committee", "random"):
    rounds, epochs, size = (1, 1, 4) if options.quick else (5, 60, 32)
    path, folders[pick] = options.output / f"{pick}.toml", options.output / pick
    path.write_text(LOOP.format(pick=pick, rounds=rounds, epochs=epochs, size=size))
    print(learn(path, folders[pick], progress=False).reason)
    curves[pick] = learning_curve(read_errors(folders[pick]), "forces_rmse_mev_a")
plot_learning(curves, options.output / "errors.png", "RMSE of forces (meV/Å)")
learning_page(folders["committee"], options.output / "page.html", [folders["random"]])
for pick, (frames, errors) in curves.items():
    for number, error in zip(frames, errors, strict=True):
        print(f"{pick}: {number:.0f} frames, RMSE of forces {error:.0f} meV/Å")
