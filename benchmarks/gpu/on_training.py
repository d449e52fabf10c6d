# SPDX-License-Identifier: MIT
"""Parts that train on the card, and the tests that need one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from part import Rows, Settings

ROOT = Path(__file__).parents[2]
FRAMES = ROOT / "tests" / "data" / "ethanol.extxyz"
PER_CARD = ["ours, dense", "ours, compiled, dense", "ours, graphs", "nequip eager"]


def training(settings: Settings) -> Rows:
    """Run benchmarks/training.py on ethanol."""
    model = _ethanol(settings.folder, small=settings.dry)
    file = settings.folder / "training.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "training.py"), str(model)]
    command += [str(FRAMES), "--output", str(file), "--threads", "1"]
    if settings.dry:
        command += ["--count", "4", "--rounds", "1", "--batches", "4"]
        command += ["--variants", "ours, dense", "ours, graphs"]
    else:
        command += ["--device", "cuda", "--count", "16", "--rounds", "5"]
        command += ["--batches", "4", "--variants", *PER_CARD]
    limit = None if settings.dry else max(settings.left() - 1, 1)
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        error = (result.stderr.strip().splitlines() or [""])[-1]
    except subprocess.TimeoutExpired:
        error = f"stopped after {limit:.0f} s"
    content = json.loads(file.read_text()) if file.exists() else {"results": {}}
    if not content["results"]:
        yield "training", {"failed": error}
    for key, rows in content["results"].items():
        for variant, numbers in rows.items():
            yield f"{key}, {variant}", numbers


def _ethanol(folder: Path, *, small: bool) -> Path:
    """Write an untrained model of ethanol, as large as that of the speed table."""
    from openmm_allegro import AllegroConfig, Model, save_model
    from openmm_allegro.model import AllegroEnergy, Statistics

    config = AllegroConfig(
        ("H", "C", "O"),
        cutoff=5.0,
        l_max=1 if small else 2,
        num_layers=1 if small else 2,
        num_scalar_features=16 if small else 64,
        num_tensor_features=8 if small else 32,
    )
    statistics = Statistics((8.0,) * 3, (1.0,) * 3, (0.0,) * 3)
    energy = AllegroEnergy(config, statistics, seed=1)
    model = Model(config, statistics, energy, "total", "float32")
    return Path(save_model(model, folder / "ethanol.safetensors"))


def tests(settings: Settings) -> Rows:
    """Run the tests that need a card; in a dry run only collect them."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "gpu",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    command += ["--collect-only"] if settings.dry else ["--maxfail=5"]
    where = [f"tests/{name}" for name in ("training", "kernels", "plugin", "potential")]
    limit = None if settings.dry else max(settings.left() - 1, 1)
    try:
        result = subprocess.run(
            [*command, *where], cwd=ROOT, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        yield "pytest", {"stopped": f"after {limit:.0f} s"}
        return
    lines = result.stdout.strip().splitlines() or [""]
    failed = [line for line in lines if re.match("(FAILED|ERROR) ", line)]
    yield "pytest", {"exit": result.returncode, "last": lines[-1], "failed": failed}
