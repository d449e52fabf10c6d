# SPDX-License-Identifier: MIT
"""Reading a force that was damaged, or made to do harm, ends in an error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openmm
import pytest
import torch
from helpers import CHARGED, tiny_config, tiny_energy

from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.model.long_range import LongRangeSettings
from openmm_allegro.plugin.force import FoldedModel, native_force

HOSTILE = Path(__file__).with_name("hostile_xml.py")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (300, "local"),
        pytest.param(50_000, "local", marks=pytest.mark.slow),
        pytest.param(1000, "charged", marks=pytest.mark.slow),
        pytest.param(1000, "embedded", marks=pytest.mark.slow),
    ],
)
def test_no_damaged_xml_ends_the_process(tmp_path, number, kind):
    is_charged = kind != "local"
    points = [(4, 4, 0.0, 0.4), (4, 5, 0.9, -0.2)]
    given = CHARGED if is_charged else {}
    config = tiny_config(num_scalar_features=8, num_tensor_features=4, l_max=1, **given)
    program = [a.numpy() for a in fold(tiny_energy(config), torch.float32)]
    charges = LongRangeSettings((0.2, -0.3, 0.1), 0.6, 1.0, True)
    model = FoldedModel(*program, np.array([1, 0, 0, 2, 0]))
    if is_charged:
        model = model._replace(charges=charges)
    force = native_force(
        [model],
        [0, 1, 2, 3],
        periodic=is_charged,
        cutoff=config.cutoff,
        skin=0.5,
        caps=[(2, 4, 0.7)],
        points=points if kind == "embedded" else None,
        reach=6.0 if kind == "embedded" else 0.0,
    )
    path = tmp_path / "force.xml"
    path.write_text(openmm.XmlSerializer.serialize(force))
    done = subprocess.run(
        [sys.executable, str(HOSTILE), str(path), str(number)],
        capture_output=True,
        text=True,
        env={**os.environ, "OPENMM_CPU_THREADS": "1"},
        timeout=1000,
    )
    assert done.returncode == 0, f"ended at {done.stderr[-3000:]}"
    outcome = json.loads(done.stdout)
    assert outcome["wrong"] == outcome["unclear"] == []
    assert outcome["memory"] < 3e8
    assert outcome["changes"] > number + 1000
    assert outcome["refused"] > outcome["changes"] // 2
