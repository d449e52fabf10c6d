# SPDX-License-Identifier: MIT
"""Topologies and masses of a run's stages, as analyses read them."""

import math
from pathlib import Path

import numpy as np
import openmm
from openmm import unit

from ..runs.names import paths_of
from ..simulate.topology_file import write_topology
from ..utils.files import replace_file
from .atoms import skeleton
from .plan import Plan
from .replicas import repeat_positions, repeat_topology
from .source import Source


def write_topologies(
    output: Path, plan: Plan, source: Source, masses: np.ndarray
) -> None:
    """Write the topology of all replicas and a System of their masses for each stage.

    Parameters
    ----------
    output : Path
        Folder of the run.
    plan : Plan
    source : Source
    masses : ndarray [S, N], Da
        Of the atoms of one box in each stage.
    """
    counts, box = plan.replicate, source.box
    topology = repeat_topology(source.topology, box, counts)
    positions = repeat_positions(source.positions, box, counts)
    if box is not None:
        box = box * np.array(counts)[:, None]
    first = paths_of(output / plan.names[0])
    write_topology(first["topology"], topology, positions * unit.nanometer)
    text, before = "", None
    for name, row in zip(plan.names, masses, strict=True):
        paths = paths_of(output / name)
        if paths != first:
            replace_file(paths["topology"], first["topology"].read_bytes())
        if before is None or (row != before).any():
            system = skeleton(np.tile(row, math.prod(counts)), topology, box)
            text, before = openmm.XmlSerializer.serialize(system), row
        replace_file(paths["system"], text)
