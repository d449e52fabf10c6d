# SPDX-License-Identifier: MIT
"""Samples of parallel tempering: energies, exchanges and trajectories."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..runs.names import REPLICA_SUFFIXES, replica_paths_of
from ..runs.topology import load_topology
from ..units import GAS_CONSTANT
from ..utils.files import read_record, replacing
from .states import values_of_states

if TYPE_CHECKING:
    import mdtraj


class Samples(NamedTuple):
    """Energies and temperatures at the end of every iteration.

    Attributes
    ----------
    temperatures : [K] array, K
    iterations : [n] array
        Numbers of the iterations, from 1; the start, 0, is left out.
    energies : [n, K] array, kJ/mol
        Potential energy of each replica; under NPT plus pressure times volume.
    states : [n, K] array
        Index of the temperature of each replica.
    """

    temperatures: np.ndarray
    iterations: np.ndarray
    energies: np.ndarray
    states: np.ndarray


class Exchanges(NamedTuple):
    """Exchanges of replicas among the temperatures.

    Attributes
    ----------
    temperatures : [K] array, K
        Values of λ where those are exchanged.
    proposed, accepted : [K, K] array
        Number of attempted and accepted exchanges of any two temperatures, symmetric.
    acceptance : [K - 1] array
        Accepted part of the exchanges of neighbours; NaN if none was tried.
    round_trips : [K] array
        Number of trips of each replica from the lowest to the highest temperature and
        back, or the other way round.
    """

    temperatures: np.ndarray
    proposed: np.ndarray
    accepted: np.ndarray
    acceptance: np.ndarray
    round_trips: np.ndarray


def read_samples(output: str | Path) -> Samples:
    """Read energies and temperatures of a run that ended or was killed.

    Parameters
    ----------
    output : path
        Prefix, as of ``parallel_tempering``.

    Raises
    ------
    FileNotFoundError
        If there is no such run.
    ValueError
        If its replicas exchange another thing than temperatures.
    """
    record, (reduced, states) = read_arrays(output, "energies", "states")
    if "temperatures_k" not in record:
        raise ValueError(
            f"expected a run of parallel_tempering at {output}, found one of "
            f"{record.get('method', 'run')}"
        )
    temperatures = np.array(record["temperatures_k"])
    return Samples(
        temperatures,
        np.arange(1, len(states)),
        reduced[1:, :, 0] * (GAS_CONSTANT * temperatures[0]),
        states[1:].astype(int),
    )


def by_temperature(values: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Rearrange values of replicas [n, K, ...] so that index k is temperature k."""
    rows = np.arange(len(states))[:, None]
    return values[rows, np.argsort(states, axis=1)]


def exchanges(output: str | Path) -> Exchanges:
    """Count the exchanges of replicas among the temperatures.

    Parameters
    ----------
    output : path
        Prefix, as of ``parallel_tempering``.
    """
    record, (accepted, proposed, states) = read_arrays(
        output, "accepted", "proposed", "states"
    )
    accepted, proposed = accepted.sum(axis=0), proposed.sum(axis=0)
    pairs = np.diagonal(accepted, 1), np.diagonal(proposed, 1)
    with np.errstate(invalid="ignore"):
        acceptance = pairs[0] / pairs[1]
    highest = states.shape[1] - 1
    trips = []
    for path in states.T:
        ends = path[(path == 0) | (path == highest)]
        trips.append(np.count_nonzero(np.diff(ends)) // 2)
    return Exchanges(
        np.array(values_of_states(record)),
        proposed,
        accepted,
        acceptance,
        np.array(trips),
    )


def write_exchanges(paths: dict[str, Path]) -> None:
    """Write a table of ``exchanges``: neighbours, then replicas."""
    output = str(paths["samples"]).removesuffix(REPLICA_SUFFIXES["samples"])
    result = exchanges(output)
    what = "λ" if "lambdas" in read_record(paths["record"]) else "(K)"
    with (
        replacing(paths["exchanges"]) as partial,
        open(partial, "w", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(
            (
                f"lower {what}",
                f"upper {what}",
                "proposed",
                "accepted",
                "acceptance",
                "replica",
                "round trips",
            )
        )
        for k, trips in enumerate(result.round_trips):
            pair = [""] * 5
            if k < len(result.acceptance):
                pair = [
                    *(f"{t:.3f}" for t in result.temperatures[k : k + 2]),
                    result.proposed[k, k + 1],
                    result.accepted[k, k + 1],
                    f"{result.acceptance[k]:.4f}",
                ]
            writer.writerow([*pair, k, trips])


def read_replicas(output: str | Path) -> tuple[np.ndarray, list["mdtraj.Trajectory"]]:
    """Read the trajectories of the replicas, continuous but for wrapping into the box.

    Parameters
    ----------
    output : path
        Prefix, as of ``parallel_tempering``.

    Returns
    -------
    iterations : [n] array
        Iterations of the frames, which are the checkpoints without the start.
    trajectories : list of mdtraj.Trajectory
        By replica; time in ps.
    """
    import mdtraj
    import netCDF4

    record, (states,) = read_arrays(output, "states")
    interval = record["checkpoint_interval"]
    iterations = np.arange(interval, len(states), interval)
    paths = replica_paths_of(output)
    with netCDF4.Dataset(paths["checkpoint"]) as file:
        rows = iterations // interval
        positions = np.asarray(file["positions"][rows])
        boxes = np.asarray(file["box_vectors"][rows]) if record["periodic"] else None
    step = record["steps_per_iteration"] * record["timestep_fs"] * 1e-3
    topology = load_topology(paths["topology"], own=True)
    trajectories = []
    for replica in range(positions.shape[1]):
        trajectory = mdtraj.Trajectory(
            positions[:, replica], topology, time=iterations * step
        )
        if boxes is not None:
            trajectory.unitcell_vectors = boxes[:, replica]
        trajectories.append(trajectory)
    return iterations, trajectories


def write_temperature(
    output: str | Path, index: int, path: str | Path
) -> "mdtraj.Trajectory":
    """Write the trajectory at one temperature or λ, assembled from all replicas.

    It is for structure: it jumps where replicas were exchanged.

    Parameters
    ----------
    output : path
        Prefix, as of ``parallel_tempering`` or ``lambda_exchange``.
    index : int
        Index of the temperature or λ, from 0.
    path : path
        File to write, as XTC or another format that mdtraj knows by its suffix.

    Returns
    -------
    mdtraj.Trajectory

    Raises
    ------
    ValueError
        If there is no such state, or no checkpoint.
    """
    import mdtraj

    record, (states,) = read_arrays(output, "states")
    count = len(values_of_states(record))
    if not 0 <= index < count:
        raise ValueError(f"expected index from 0 to {count - 1}, found {index}")
    iterations, replicas = read_replicas(output)
    if not len(iterations):
        raise ValueError(f"{output}: expected at least one checkpoint, found none")
    holders = np.argmax(states[iterations] == index, axis=1)
    frames = [replicas[replica][row] for row, replica in enumerate(holders)]
    trajectory = mdtraj.join(frames, check_topology=False)
    trajectory.save(str(path))
    return trajectory


def read_arrays(
    output: str | Path, *names: str
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Read the record, and variables up to the last complete iteration."""
    import netCDF4

    paths = replica_paths_of(output)
    record = read_record(paths["record"])
    with netCDF4.Dataset(paths["samples"]) as file:
        last = int(file["last_iteration"][0])
        return record, [np.asarray(file[name][: last + 1]) for name in names]
