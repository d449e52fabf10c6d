# SPDX-License-Identifier: MIT
"""Velocities that a run wrote into an HDF5 file."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..utils.child import from_child
from ..utils.extras import naming_extras
from ..utils.hdf5 import open_hdf5
from .frames import system_of, topology_of
from .run import Run
from .species import masses_of
from .table import Unreadable
from .times import check_times, read_times
from .window import Window


def has_velocities(path: Path) -> bool:
    """Tell whether an HDF5 trajectory holds velocities.

    Raises
    ------
    ValueError
        If it cannot be read.
    ModuleNotFoundError
        If the package that reads HDF5 is missing.
    """

    def look() -> bool:
        with open_hdf5(path) as file:
            return "velocities" in file.root

    try:
        with naming_extras():
            return next(from_child(lambda: [look()]))
    except ModuleNotFoundError:
        raise
    except Exception as error:  # whatever a library makes of other bytes
        raise Unreadable(
            f"expected an HDF5 trajectory at {path}, found {type(error).__name__}: "
            f"{str(error).strip() or 'nothing more'}"
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
    from ..analysis.frames import frame_interval

    path = run.velocities
    if path is None:
        raise FileNotFoundError(
            f"expected velocities of {run.name}, a file .h5, found none: a run writes "
            "them if it is asked to before it begins (velocity_interval of a stage, "
            "--velocity-interval 4)"
        )
    file = replace(run, trajectory=path)
    times = read_times(file)
    if times is None:
        raise _no_velocities(path, file.index.damage or "no frames")
    repeated = times.repeated
    if repeated is not None and repeated.any() and not window.drop_repeated:
        raise ValueError(
            f"expected times of {path} that increase, found {repeated.sum()} frames "
            "whose times come again later, as after a restart; --drop-repeated "
            "(drop_repeated) leaves them out"
        )
    if window.time_step is None:
        check_times(file, times)
    topology = topology_of(run, path)
    try:
        # The interval is that of the frames that are kept, below.
        make = partial(_read, run, path, topology, selection, reference)
        velocities = next(from_child(lambda: [make()]))
    except Exception as error:  # whatever a library makes of other bytes
        if isinstance(error, Unreadable) or type(error) is ValueError:
            raise
        raise _no_velocities(path, f"{type(error).__name__}: {error}") from error
    whole = np.arange(len(velocities.values))
    if repeated is not None:
        whole = whole[~repeated[whole]]
    values = times.values
    if window.time_step is not None:
        values = np.empty(len(velocities.values))
        values[whole] = np.arange(len(whole)) * window.time_step
    inside = whole[window.holds(values[whole])]
    if not len(inside):
        raise ValueError(
            "expected frames between --start and --stop, found the last at "
            f"{values[whole[-1]]:.6g} ps"
        )
    interval = frame_interval(values[whole], window.time_step)
    return velocities._replace(
        values=velocities.values[inside],
        time_step=interval,
        kinetic=velocities.kinetic[inside],
    )


def _read(run: Run, path: Path, topology: Any, selection: Any, reference: Any) -> Any:
    """Read all velocities, with the masses of the run's System."""
    from ..analysis import read_velocities

    system, masses = system_of(run, topology.n_atoms), None
    if system is not None or run.elements:  # else the file may know them better
        masses = masses_of(topology)
    velocities = read_velocities(
        path,
        _selected(topology, selection),
        reference=_selected(topology, reference),
        time_step=1.0,
        masses=masses,
    )
    if system is not None and system.periodic is False:
        velocities = velocities._replace(volume=float("nan"))
    return velocities


def _selected(topology: Any, selection: Any) -> Any:
    """Choose atoms by the topology whose elements were checked."""
    from ..analysis.frames import select_atoms

    if not isinstance(selection, str):
        return selection
    atoms = SimpleNamespace(topology=topology, n_atoms=topology.n_atoms)
    return select_atoms(atoms, selection)


def _no_velocities(path: Path, reason: str) -> Unreadable:
    lines = reason.strip().splitlines() or ["nothing"]
    return Unreadable(
        f"expected an HDF5 trajectory with velocities at {path}, found {lines[-1]}"
    )
