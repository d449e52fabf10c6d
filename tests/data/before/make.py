# SPDX-License-Identifier: MIT
"""Write files as version 0.1.0 wrote them before its modules moved into subpackages.

They were made by commit 36520e3 and are read by ``tests/test_former_files.py``. Run it
only to see how they came about, with that commit's package: it has names that later
ones do not. Everything is of two water molecules and a model with random weights.
"""

import io
import json
import lzma
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import openmm
import torch
from openmm import app, unit
from openmm_allegro.dispersion import d3_force
from openmm_allegro.protocol_file import read_protocol
from openmm_allegro.train import TrainConfig, train

from openmm_allegro import AllegroPotential, run, run_protocol, save_model
from openmm_allegro.model import AllegroConfig, AllegroEnergy, Statistics
from openmm_allegro.modelfile import Model
from openmm_allegro.structure import read_structures

HERE = Path(__file__).resolve().parent
ETHANOL = HERE.parent / "ethanol.extxyz"
SMALL = {
    "l_max": 1,
    "num_layers": 1,
    "num_scalar_features": 4,
    "num_tensor_features": 2,
    "num_bessels": 4,
    "two_body_width": 4,
    "latent_width": 4,
    "readout_width": 4,
}
POSITIONS = np.array(
    [
        [0.10, 0.10, 0.10],
        [0.19, 0.12, 0.11],
        [0.07, 0.19, 0.11],
        [0.10, 0.37, 0.13],
        [0.18, 0.41, 0.17],
        [0.03, 0.43, 0.15],
    ]
)
RUN = {
    "steps": 60,
    "timestep": 0.2 * unit.femtosecond,
    "report_interval": 5,
    "velocity_interval": 20,
    "checkpoint_interval": 20,
    "minimize": False,
    "seed": 3,
    "platform": "Reference",
    "progress": False,
}
PROTOCOL = """\
[system]
topology = "water.pdb"
model = "model.safetensors"
backend = "pythonforce"

[run]
timestep_fs = 0.2
report_interval = 10

[[stages]]
name = "heat"
steps = 40
temperature_k = [100.0, 300.0]

[[stages]]
name = "produce"
steps = 60
checkpoint_interval = 20
"""


class Killed(BaseException):
    """Stands for a kill: nobody catches it, nothing is tidied up."""


def main():
    """Write all files beside this script."""
    torch.set_num_threads(1)
    os.chdir(HERE)
    models = [make_model(seed) for seed in (0, 1)]
    save_model(models[0], "model.safetensors")
    topology = make_topology()
    with open("water.pdb", "w") as file:
        app.PDBFile.writeFile(topology, POSITIONS * unit.nanometer, file)
    Path("files").mkdir()
    write_systems(topology, models)
    write_run(topology, models[0])
    write_protocol()
    write_training()
    write_archive()


def make_model(seed):
    """A model of H and O."""
    config = AllegroConfig(("H", "O"), 3.0, **SMALL)
    statistics = Statistics((3.0, 4.0), (0.8, 1.1), (-13.0, -400.0))
    energy = AllegroEnergy(config, statistics, seed)
    return Model(config, statistics, energy, "total", "float64", {"seed": seed})


def make_topology():
    """Two water molecules in a box of 1 nm."""
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(2):
        residue = topology.addResidue("HOH", chain)
        o, *hydrogens = [
            topology.addAtom(name, app.Element.getBySymbol(name[0]), residue)
            for name in ("O", "H1", "H2")
        ]
        for hydrogen in hydrogens:
            topology.addBond(o, hydrogen)
    topology.setPeriodicBoxVectors(np.eye(3) * unit.nanometer)
    return topology


def write_systems(topology, models):
    """Systems with each backend, mixed, of a committee and with dispersion."""
    potential, committee = AllegroPotential(models[0]), AllegroPotential(models)
    forcefield = app.ForceField("tip3p.xml")
    classical = forcefield.createSystem(
        topology,
        nonbondedMethod=app.CutoffPeriodic,
        nonbondedCutoff=0.45 * unit.nanometer,
        rigidWater=False,
    )
    torchforce = {"backend": "torchforce", "kernel": "fused"}
    pythonforce = {"backend": "pythonforce", "kernel": "fused"}
    region = topology, classical, range(3)
    systems = {
        "torchforce": potential.create_system(topology, **torchforce),
        "pythonforce": potential.create_system(topology, **pythonforce),
        "committee": committee.create_system(topology, **torchforce),
        "mixed": potential.create_mixed_system(*region, interpolate=True, **torchforce),
        "mixed_with_dispersion": potential.create_mixed_system(
            *region, interpolate=True, **pythonforce
        ),
    }
    symbols = [atom.element.symbol for atom in topology.atoms()]
    systems["mixed_with_dispersion"].addForce(d3_force(symbols, "pbe", cutoff=1.0))

    results = {}
    for name, system in systems.items():
        parameters = {"lambda_interpolate": 0.3} if "mixed" in name else {}
        Path(f"files/{name}.xml").write_text(openmm.XmlSerializer.serialize(system))
        energy, forces = energy_and_forces(system, parameters)
        results[name] = {
            "parameters": parameters,
            "energy": energy,
            "forces": forces.tolist(),
        }
    content = {"positions": POSITIONS.tolist(), "systems": results}
    Path("systems.json").write_text(json.dumps(content, indent=1) + "\n")


def energy_and_forces(system, parameters):
    """Energy (kJ/mol) and forces (kJ/mol/nm)."""
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )
    context.setPositions(POSITIONS)
    for name, value in parameters.items():
        context.setParameter(name, value)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    return energy, state.getForces(asNumpy=True)._value


def write_run(topology, model):
    """A run that was killed after 33 of 60 steps, and where it would have ended."""
    system = AllegroPotential(model).create_system(topology, backend="pythonforce")
    arguments = topology, POSITIONS, system
    notes = {"notes": {"about": "from before"}}
    whole = run(*arguments, "whole/x", **notes, **RUN)
    with killed(after=33):
        run(*arguments, "files/run/x", **notes, **RUN)
    keep_ends("run", {"x": whole})


def write_protocol():
    """A protocol that was killed in its second stage."""
    Path("protocol.toml").write_text(PROTOCOL)
    protocol = read_protocol("protocol.toml")
    prepared = protocol.prepared
    arguments = prepared.topology, prepared.positions, prepared.system, protocol.stages
    options = {"notes": prepared.notes, "seed": 5, "platform": "Reference"}
    options["progress"] = False
    whole = run_protocol(*arguments, "whole", **options)
    with killed(after=40 + 33):
        run_protocol(*arguments, "files/protocol", **options)
    keep_ends("protocol", whole)


def write_training():
    """Two epochs of a training."""
    structures = read_structures(ETHANOL)
    config = AllegroConfig(("H", "C", "O"), 3.0, **SMALL)
    settings = TrainConfig(
        max_epochs=2, batch_size=4, warmup_steps=0, schedule="constant"
    )
    data = structures[:16], structures[16:]
    train(config, settings, *data, "files/training", progress=False)


class killed:
    """Let the process be as good as killed when so many steps have been made."""

    def __init__(self, after):
        self.after, self.steps = after, 0

    def __enter__(self):
        self.step = app.Simulation.step

        def step(simulation, count):
            self.step(simulation, count)
            self.steps += count
            if self.steps >= self.after:
                raise Killed

        app.Simulation.step = step

    def __exit__(self, kind, error, traceback):
        app.Simulation.step = self.step
        return kind is Killed


def keep_ends(name, whole):
    """Keep the final States of runs that nobody interrupted."""
    for stage, paths in whole.items():
        shutil.copy(paths["state"], f"files/{name}/{stage}.expected.xml")
    shutil.rmtree("whole")


def write_archive():
    """Pack all that is large and compresses well together."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(Path("files").iterdir()):
            archive.add(path, path.name, filter=anonymous)
    preset = 9 | lzma.PRESET_EXTREME
    Path("files.tar.xz").write_bytes(lzma.compress(buffer.getvalue(), preset=preset))
    shutil.rmtree("files")


def anonymous(member):
    """The member of an archive without owner and time."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
