# SPDX-License-Identifier: MIT
"""What an installation is asked to do: simulate, analyse, train, run TorchForce."""

import os
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
NACL = ROOT / "systems" / "nacl_aq"
TRAINING = """\
[data]
training = ["ethanol.extxyz"]
validation_size = 1

[model]
elements = ["C", "H", "O"]
cutoff = 3.0
l_max = 1
num_layers = 1
num_scalar_features = 8
num_tensor_features = 4

[train]
max_epochs = 1
batch_size = 4
device = "cpu"
"""
_CPU = ["--platform", "CPU", "--threads", "1"]
_STEPS = ["nacl_aq.pdb", "--force", *_CPU, "--steps"]
_TEN_STEPS = [*_STEPS, "10", "--report-interval", "2"]
_ONE_STEP = [*_STEPS, "1", "--report-interval", "1", "--backend", "torchforce"]
# Arguments of the command openmm-allegro, or of Python.
CHECKS = {
    "simulate": ["simulate", "nacl_aq.safetensors", *_TEN_STEPS, "--output", "run"],
    "simulate by name": ["simulate", "nacl_aq", *_TEN_STEPS, "--output", "named"],
    "analyze": ["analyze", "rdf", "given", "--start", "0", "--json", "rdf.json"],
    "train": ["train", "tiny.toml", "--force", "--output", "trained"],
    "torchforce": ["simulate", "nacl_aq.safetensors", *_ONE_STEP, "--output", "one"],
}


def write_inputs(folder: Path, command: Path) -> None:
    """Write what the checks begin with, a short run among it.

    Parameters
    ----------
    folder : Path
    command : Path
        The command openmm-allegro of an environment that can simulate.
    """
    folder.mkdir(parents=True)
    for name in ("nacl_aq.pdb", "nacl_aq.safetensors"):
        shutil.copy(NACL / name, folder)
    frames = (ROOT / "tests" / "data" / "ethanol.extxyz").read_text().splitlines(True)
    (folder / "ethanol.extxyz").write_text("".join(frames[: 5 * (int(frames[0]) + 2)]))
    (folder / "tiny.toml").write_text(TRAINING)
    run = [*CHECKS["simulate"][:-1], "given"]
    subprocess.run([command, *run], cwd=folder, check=True, capture_output=True)


def try_out(venv: Path, folder: Path, path: str | None = None) -> dict[str, dict]:
    """Ask an environment for each of ``CHECKS``, and keep what it answers.

    Parameters
    ----------
    venv : Path
        Of the environment; what it compiles on first use is kept in it.
    folder : Path
        With the files of ``write_inputs``.
    path : str, optional
        PATH, where it is not that of this process.

    Returns
    -------
    dict
        For each check, seconds and whether it was done; else the error's line.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"OPENMM_ALLEGRO_CACHE": str(venv / "cache"), "PYTHONSAFEPATH": "1"}
    if path is not None:
        environment["PATH"] = path
    results = {}
    for name, arguments in CHECKS.items():
        command = [venv / "bin" / "openmm-allegro", *arguments]
        begin = time.perf_counter()
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True
        )
        row = {
            "done": done.returncode == 0,
            "seconds": round(time.perf_counter() - begin, 1),
        }
        if done.returncode:
            row["says"] = _last_line(done.stderr, folder, venv)
        results[name] = row
    return results


def _last_line(text: str, *folders: Path) -> str:
    """The error, without the folders of this machine."""
    line = (text.strip().splitlines() or ["nothing"])[-1]
    for folder in folders:
        line = line.replace(f"{folder}/", "").replace(str(folder), ".")
    return line
