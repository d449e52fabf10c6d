# SPDX-License-Identifier: MIT
"""Tasks that kills.py kills, and checks of what they leave.

Each task has a ``name``, the ``signals`` that it must survive, and ``work(folder)``,
which continues what is there if ``is_resumed``; ``moment`` names where it was killed.
"""

import csv
import importlib
import json
import os
import random
import resource
import signal
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import mdtraj
import numpy as np
import openmm
import torch
from mdtraj.formats import HDF5TrajectoryFile
from openmm import app

from openmm_allegro import AllegroPotential
from openmm_allegro.bias import Metadynamics, Opes, Restraint, Variable
from openmm_allegro.modelfile import load_model
from openmm_allegro.runs.names import paths_of
from openmm_allegro.simulate.checkpoint import read_checkpoint
from openmm_allegro.simulate.protocol import Stage, run_protocol

ROOT = Path(__file__).parents[1]
ALANINE = ROOT / "systems" / "alanine_water"
STEPS, INTERVAL, VELOCITIES = 300, 5, 4
COMMON = {"steps": STEPS, "report_interval": INTERVAL, "checkpoint_interval": 20}
STAGES = [
    Stage("minimise", minimize=True),
    Stage("heat", temperature_k=(100.0, 300.0), **COMMON),
    Stage("nvt", **COMMON),
    Stage("nve", ensemble="nve", velocity_interval=VELOCITIES, **COMMON),
    Stage("npt", ensemble="npt", barostat_interval=5, **COMMON),
]
_PARTIAL = (".lock", ".parts")


class ProtocolTask:
    """Stages of a run, which SIGTERM stops with a checkpoint."""

    name = "protocol"
    is_resumed = True
    signals = (signal.SIGKILL, signal.SIGTERM)
    stages = STAGES
    sampling: ClassVar[dict[str, Any]] = {}
    same = ("trajectory", "state")

    def __init__(self, temporary: Path, backend: str = "torchforce") -> None:
        self.pdb = app.PDBFile(str(ALANINE / "solute.pdb"))
        self.pdb.topology.setUnitCellDimensions((3, 3, 3))
        potential = AllegroPotential(ALANINE / "alanine.safetensors")
        self.system = potential.create_system(self.pdb.topology, backend=backend)

    def work(self, folder: Path) -> None:
        """Run the protocol, from where it was killed."""
        torch.set_num_threads(1)
        run_protocol(
            self.pdb.topology,
            self.pdb.positions,
            self.system,
            self.stages,
            folder,
            **self.sampling,
            platform="CPU",
            threads=1,
            seed=3,
            resume=True,
            progress=False,
        )

    def moment(self, folder: Path) -> str:
        """Name the stage that was killed, and tell if it had taken steps."""
        for number, stage in enumerate(self.stages, start=1):
            paths = paths_of(folder / f"{number}-{stage.name}")
            if not paths["record"].exists():
                return f"before {stage.name}"
            if not json.loads(paths["record"].read_text()).get("finished"):
                started = paths["checkpoint"].exists()
                return stage.name if started else f"start of {stage.name}"
        return "after the last stage"

    def check_readable(self, folder: Path) -> None:
        """Check that every file can be read, but for those named as partial."""
        for path in folder.rglob("*"):
            if ".partial" in path.name or path.suffix in _PARTIAL:
                continue
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".chk":
                read_checkpoint(path)
            elif path.suffix == ".xml":
                openmm.XmlSerializer.deserialize(path.read_text())
            elif path.suffix == ".csv" and path.stat().st_size:
                np.genfromtxt(path, delimiter=",", skip_header=1)
            elif path.suffix == ".h5":
                with HDF5TrajectoryFile(str(path)) as file:
                    file.read()
            elif path.suffix == ".xtc" and path.stat().st_size:
                prefix = str(path).removesuffix(".xtc").removesuffix(".beads")
                mdtraj.load(path, top=f"{prefix}.pdb")

    def check_litter(self, folder: Path) -> None:
        """Check that nothing but the stages' files is left of a complete protocol."""
        for path in folder.rglob("*"):
            litter = ".partial" in path.name or path.suffix in _PARTIAL
            assert not litter, f"left over: {path.name}"

    def check_end(self, folder: Path, reference: Path) -> None:
        """Check that all frames are present once, with the bits of the reference."""
        for number, stage in enumerate(self.stages[1:], start=2):
            name = f"{number}-{stage.name}"
            paths, others = paths_of(folder / name), paths_of(reference / name)
            steps = np.arange(INTERVAL, STEPS + 1, INTERVAL)
            table = np.genfromtxt(paths["energies"], delimiter=",", skip_header=1)
            assert (table[:, 0] == steps).all(), f"{name}: lines of energies"
            frames = mdtraj.load(paths["trajectory"], top=str(paths["topology"]))
            assert np.allclose(frames.time, steps * 5e-4), f"{name}: frames"
            if stage.velocity_interval:
                with HDF5TrajectoryFile(str(paths["velocities"])) as file:
                    frames = file.read()
                expected = np.arange(VELOCITIES, STEPS + 1, VELOCITIES) * 5e-4
                assert np.allclose(frames.time, expected), f"{name}: velocities"
            for kind in self.same:
                if not others[kind].exists():
                    assert not paths[kind].exists(), f"{name}: {kind} of no such stage"
                    continue
                same = paths[kind].read_bytes() == others[kind].read_bytes()
                assert same, f"{name}: other bits in {kind}"


class BiasedTask(ProtocolTask):
    """Stages with a bias of both torsions, and a restraint of a bond."""

    stages = (
        Stage("minimise", minimize=True),
        Stage("heat", temperature_k=(100.0, 300.0), **COMMON),
        Stage("biased", bias=True, variable_interval=5, **COMMON),
        Stage("npt", ensemble="npt", bias=True, barostat_interval=5, **COMMON),
    )
    same = ("trajectory", "state", "variables", "hills", "kernels")

    def __init__(self, temporary: Path, kind: str, backend: str = "native") -> None:
        super().__init__(temporary, backend)
        self.name = kind
        torsions = {"variables": ("phi", "psi"), "widths": (20.0, 20.0), "pace": 7}
        if kind == "metadynamics":
            bias = Metadynamics(**torsions)
        else:
            bias = Opes(barrier_kj_mol=30.0, **torsions)
        self.sampling = {
            "variables": [
                Variable("phi", "dihedral", atoms=(4, 6, 8, 14)),
                Variable("psi", "dihedral", atoms=(6, 8, 14, 16)),
                Variable("bond", "distance", atoms=(4, 6)),
            ],
            "restraints": [Restraint("bond", 1.4, 500.0)],
            "bias": bias,
        }


class QuantumTask(ProtocolTask):
    """Stages of ring polymers and of a quantum thermal bath."""

    name = "quantum nuclei"
    stages = (
        Stage("minimise", minimize=True),
        Stage("rings", integrator="rpmd", beads=4, bead_interval=10, **COMMON),
        Stage("free", integrator="rpmd", beads=4, ensemble="nve", **COMMON),
        Stage("bath", integrator="qtb", qtb_segment_ps=0.02, **COMMON),
    )
    same = ("trajectory", "state", "beads", "nuclei")


class TrainingTask:
    """A small training, begun anew where there is no checkpoint yet."""

    name = "training"
    is_resumed = True
    signals = (signal.SIGKILL,)

    def __init__(self, temporary: Path) -> None:
        from openmm_allegro import read_structures
        from openmm_allegro.model import AllegroConfig
        from openmm_allegro.training.config import TrainConfig

        importlib.import_module("openmm_allegro.training.train")  # before the fork
        self.structures = read_structures(ROOT / "tests" / "data" / "ethanol.extxyz")
        self.model = AllegroConfig(
            elements=("H", "C", "O"),
            cutoff=3.0,
            num_layers=1,
            l_max=1,
            num_scalar_features=8,
            num_tensor_features=2,
        )
        self.settings = TrainConfig(
            max_epochs=60, batch_size=4, warmup_steps=0, device="cpu"
        )

    def work(self, folder: Path) -> None:
        """Train, from the last checkpoint if there is one."""
        from openmm_allegro.training.train import train

        torch.set_num_threads(1)
        resume = any((folder / "checkpoints").glob("*.ckpt"))
        train(
            self.model,
            self.settings,
            self.structures[:16],
            self.structures[16:],
            folder,
            resume=resume,
            overwrite=not resume,
            progress=False,
        )

    def moment(self, folder: Path) -> str:
        """Tell if there was an epoch with a checkpoint."""
        has_checkpoint = any((folder / "checkpoints").glob("*.ckpt"))
        return "between epochs" if has_checkpoint else "before the first checkpoint"

    def check_readable(self, folder: Path) -> None:
        """Check model, log and, of the checkpoints, that one is whole."""
        if (folder / "model.safetensors").exists():
            load_model(folder / "model.safetensors")
        if (folder / "log.csv").exists():
            list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
        checkpoints = list((folder / "checkpoints").glob("*.ckpt"))
        assert not checkpoints or any(map(zipfile.is_zipfile, checkpoints))

    def check_litter(self, folder: Path) -> None:
        """Check that one checkpoint is left, and nothing else."""
        names = {path.name for path in folder.iterdir()}
        assert names == {"checkpoints", "log.csv", "model.safetensors"}, names
        assert len(list((folder / "checkpoints").iterdir())) == 1

    def check_end(self, folder: Path, reference: Path) -> None:
        """Check the rows of the log and the bits of the weights."""
        rows, others = (_rows(path) for path in (folder, reference))
        assert rows == others and len(rows) == 60
        models = [
            load_model(path / "model.safetensors") for path in (folder, reference)
        ]
        weights, same = (model.energy.state_dict() for model in models)
        assert weights.keys() == same.keys()
        assert all(torch.equal(weights[name], same[name]) for name in weights)


class ReportTask:
    """The page of a run, which replaces an older one."""

    name = "report"
    is_resumed = False
    signals = (signal.SIGKILL, signal.SIGTERM)

    def __init__(self, temporary: Path) -> None:
        importlib.import_module("openmm_allegro.report")  # before the fork
        self.run = temporary / "of a report"
        if not self.run.exists():
            ProtocolTask(temporary).work(self.run)

    def work(self, folder: Path) -> None:
        """Make the page."""
        from openmm_allegro.report import report

        folder.mkdir(exist_ok=True)
        if not (folder / "page.html").exists():
            (folder / "page.html").write_text("an older page </html>")
        report(self.run, folder / "page.html", overwrite=True, stage="3-nvt")

    def moment(self, folder: Path) -> str:
        """Tell if the new page was there."""
        path = folder / "page.html"
        is_new = path.exists() and len(path.read_text()) > 100
        return "after the page" if is_new else "before the page"

    def check_readable(self, folder: Path) -> None:
        """Check that the page is the older or the new one, whole."""
        path = folder / "page.html"
        assert not path.exists() or path.read_text().rstrip().endswith("</html>")

    def check_litter(self, folder: Path) -> None:
        """Check that the page alone is left."""
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["page.html"], names

    def check_end(self, folder: Path, reference: Path) -> None:
        """Check that the page is that of an undisturbed process."""
        sizes = [(path / "page.html").stat().st_size for path in (folder, reference)]
        assert abs(sizes[0] - sizes[1]) < 1000, sizes


class ImportTask:
    """A checkpoint of nequip-allegro that becomes a model file."""

    name = "import"
    is_resumed = False
    signals = (signal.SIGKILL, signal.SIGTERM)

    def __init__(self, temporary: Path) -> None:
        sys.path.insert(0, str(ROOT / "tests"))
        from nequip_helpers import write_checkpoint

        importlib.import_module("openmm_allegro.interop.nequip")  # before the fork
        self.source = temporary / "nequip.ckpt"
        write_checkpoint(self.source)

    def work(self, folder: Path) -> None:
        """Import the checkpoint, over an older model."""
        from openmm_allegro.interop.nequip import import_model
        from openmm_allegro.modelfile import save_model

        torch.set_num_threads(1)
        folder.mkdir(exist_ok=True)
        model = import_model(self.source)
        for _ in range(20):  # most of the time is the reading
            save_model(model, folder / "model.safetensors")

    def moment(self, folder: Path) -> str:
        """Tell if the model was there."""
        exists = (folder / "model.safetensors").exists()
        return "while writing" if exists else "before the model"

    def check_readable(self, folder: Path) -> None:
        """Check the model, if there is one."""
        if (folder / "model.safetensors").exists():
            load_model(folder / "model.safetensors")

    def check_litter(self, folder: Path) -> None:
        """Check that the model alone is left."""
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["model.safetensors"], names

    def check_end(self, folder: Path, reference: Path) -> None:
        """Check that the file is that of an undisturbed process."""
        files = [path / "model.safetensors" for path in (folder, reference)]
        assert files[0].read_bytes() == files[1].read_bytes()


class Changed:
    """A task that works in other circumstances."""

    def __init__(self, task, before, expected=None) -> None:
        self.task, self.before, self.expected = task, before, expected
        self.name = task.name

    def work(self, folder: Path) -> None:
        """Work; end with the expected code if the output could not be written."""
        self.before()
        try:
            self.task.work(folder)
        except (RuntimeError, OSError) as error:
            known = "expected to write" in str(error) or isinstance(error, OSError)
            if self.expected is None or not known:
                raise
            os._exit(self.expected)


def jumping_clock(task, seed: float) -> Changed:
    """Let ``time.time`` jump by up to days, forwards and back, at each tenth call."""
    draw, clock, offset = random.Random(seed), time.time, [0.0]

    def jump() -> float:
        if draw.random() < 0.1:
            offset[0] = draw.choice((-1, 1)) * 10 ** draw.uniform(0, 6)
        return clock() + offset[0]

    return Changed(task, lambda: setattr(time, "time", jump))


def small_disk(task, size: int | None, expected: int) -> Changed:
    """Let no file of the process grow beyond a size, as on a full disk."""

    def limit() -> None:
        if size is not None:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    return Changed(task, limit, expected)


def _rows(folder: Path) -> list[dict[str, str]]:
    """Rows of a log without the times."""
    rows = csv.DictReader((folder / "log.csv").read_text().splitlines())
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
