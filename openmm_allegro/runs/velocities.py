# SPDX-License-Identifier: MIT
"""Velocities that a run wrote into an HDF5 file."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..utils.hdf5 import open_hdf5
from .frames import system_of, topology_of
from .run import Run
from .species import masses_of
from .table import Unreadable
from .window import Window


def has_velocities(path: Path) -> bool:
    """Tell whether an HDF5 trajectory holds velocities.

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    try:
        with open_hdf5(path) as file:
            return "velocities" in file.root
    except (OSError, RuntimeError) as error:
        raise Unreadable(
            f"expected an HDF5 trajectory at {path}, found {type(error).__name__}"
        ) from error


def velocities_between(
    run: Run,
    window: Window,
    selection: Any,
    reference: Any = "all",
) -> Any:
    """Read velocities of some atoms of a run in a window.

    Parameters
    ----------
    run : Run
    window : Window
    selection : str or (n,) array of int
    reference : str or array, optional
        Atoms whose centre of mass is at rest; None leaves velocities as they are.

    Returns
    -------
    analysis.Velocities

    Raises
    ------
    FileNotFoundError
        If the run has no such file.
    ValueError
        If the file cannot be read, or has no frame in the window.
    """
    from ..analysis import read_velocities

    path = run.velocities
    if path is None:
        raise FileNotFoundError(
            f"expected velocities of {run.name}, a file .h5, found none"
        )
    try:
        with open_hdf5(path) as file:
            times = np.asarray(file.root.time[:], dtype=float)
        topology = topology_of(run, path)
        system = system_of(run, topology.n_atoms)
        masses = None
        if system is not None or run.elements:  # else the file may know them better
            masses = masses_of(topology)
        velocities = read_velocities(
            path,
            _selected(topology, selection),
            reference=_selected(topology, reference),
            time_step=window.time_step,
            masses=masses,
        )
    except (AttributeError, LookupError, OSError, RuntimeError) as error:
        raise Unreadable(
            f"expected an HDF5 trajectory with velocities at {path}, found "
            f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
        ) from error
    if window.time_step is not None:
        times = np.arange(len(times)) * window.time_step
    inside = window.holds(times)
    if not inside.any():
        raise ValueError(
            "expected frames between --start and --stop, found the last at "
            f"{times[-1]:.6g} ps"
        )
    if system is not None and system.periodic is False:
        velocities = velocities._replace(volume=float("nan"))
    return velocities._replace(values=velocities.values[inside])


def _selected(topology: Any, selection: Any) -> Any:
    """Choose atoms by the topology whose elements were checked."""
    from ..analysis.frames import select_atoms

    if not isinstance(selection, str):
        return selection
    atoms = SimpleNamespace(topology=topology, n_atoms=topology.n_atoms)
    return select_atoms(atoms, selection)
