# SPDX-License-Identifier: MIT
"""Checks of stages and replicas, before anything is written."""

import math
from collections.abc import Sequence

import numpy as np

from ..simulate.checks import check_seeds, name_stage
from ..simulate.protocol import check_names
from ..simulate.settings import Stage, check_work
from ..simulate.system import check_ensemble
from .ensembles import check_integrator, check_written
from .replicas import Counts
from .source import Source

_MOST = 2**31 - 1  # numbers of atoms in LAMMPS as it is usually compiled


def check_stages(stages: Sequence[Stage], seed: int) -> None:
    """Refuse stages that LAMMPS cannot run, whatever is simulated.

    Raises
    ------
    ValueError
    """
    check_names(stages)
    check_seeds(seed, len(stages))
    for stage in stages:
        with name_stage(stage.name):
            check_work(stage)
            check_integrator(stage)
            check_written(stage)


def check_ensembles(stages: Sequence[Stage], source: Source) -> None:
    """Refuse volumes that change where there is no box.

    Raises
    ------
    ValueError
    """
    for stage in stages:
        with name_stage(stage.name):
            check_ensemble(stage.ensemble, source.topology, source.system)


def count_atoms(source: Source, replicate: Counts) -> int:
    """Count the atoms of all replicas, if there can be as many.

    Raises
    ------
    ValueError
    """
    if min(replicate) < 1:
        raise ValueError(
            "expected three numbers of replicas of at least 1 (--replicate), found "
            f"{' '.join(map(str, replicate))}"
        )
    if source.box is None and replicate != (1, 1, 1):
        raise ValueError(
            "expected a box to be replicated, found none; give the topology one "
            "(CRYST1), or leave out --replicate"
        )
    if source.box is not None:
        _check_tilt(source.box, replicate)
    count = len(source.symbols) * math.prod(replicate)
    if count > _MOST:
        raise ValueError(
            f"expected at most {_MOST:,} atoms, which LAMMPS has numbers for, found "
            f"{count:,} with {' x '.join(map(str, replicate))} replicas"
        )
    return count


def _check_tilt(box: np.ndarray, replicate: Counts) -> None:
    """Refuse a box that leans over by more than half an edge where it is replicated."""
    whole = box * np.array(replicate)[:, None]
    for row, axis in ((1, 0), (2, 0), (2, 1)):
        if abs(whole[row, axis]) > 0.5001 * whole[axis, axis]:
            names = "abc"[row], "abc"[axis]
            raise ValueError(
                "expected numbers of replicas for which the tilted box leans over by "
                f"half an edge at most (--replicate), found {replicate} with which "
                f"{names[0]} leans along {names[1]} by "
                f"{abs(whole[row, axis]) / whole[axis, axis]:.2f} of it; three equal "
                "numbers keep its shape"
            )
