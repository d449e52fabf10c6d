# SPDX-License-Identifier: MIT
"""Free energy from a force field to a model by replicas that exchange λ."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app, unit

from ..analysis.states import overlap_warnings, state_free_energies
from ..replica_exchange.free_energy import thin
from ..replica_exchange.samples import (
    by_temperature,
    exchanges,
    read_arrays,
)
from ..replica_exchange.sampling import exchange_states
from ..simulate.arguments import without_units
from ..simulate.settings import Execution
from ..units import GAS_CONSTANT
from .settings import LambdaSettings
from .systems import at_lambda, check_lambda

# Independent samples of each λ below which their correlation time is not known.
LEAST_INDEPENDENT = 20


class LambdaFreeEnergies(NamedTuple):
    """Free energies along λ.

    Attributes
    ----------
    lambdas : [K] array
    f, error : [K] array, kJ/mol
        Relative to λ = 0; the last is that of the model.
    overlap : [K, K] array
        Chance that a sample of one λ is found at another, see ``analysis.states``.
    acceptance : [K - 1] array
        Accepted part of the exchanges of neighbours.
    round_trips : int
        Of all replicas, from λ = 0 to 1 and back.
    temperature : float, K
    samples : int
        Independent samples of each λ.
    discarded : int
        Iterations left out at the start.
    inefficiency : float
        Iterations per independent sample.
    warnings : list of str
    """

    lambdas: np.ndarray
    f: np.ndarray
    error: np.ndarray
    overlap: np.ndarray
    acceptance: np.ndarray
    round_trips: int
    temperature: float
    samples: int
    discarded: int
    inefficiency: float
    warnings: list[str]


def lambda_exchange(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    output: str | Path,
    *,
    lambdas: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0),
    temperature: unit.Quantity = 300.0 * unit.kelvin,
    iterations: int = 1000,
    steps_per_iteration: int = 200,
    timestep: unit.Quantity = 0.5 * unit.femtosecond,
    friction: unit.Quantity = 1.0 / unit.picosecond,
    pressure: unit.Quantity | None = None,
    exchange: str = "all",
    minimize: bool = True,
    checkpoint_interval: int = 10,
    platform: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> dict[str, Path]:
    """Simulate replicas of a System that exchange their λ.

    It is ``parallel_tempering`` with another kind of states
    (``openmmtools.multistate.ReplicaExchangeSampler``). Energies of each replica at all
    λ are kept, of which ``lambda_free_energies`` makes the free energy.

    Parameters
    ----------
    topology, positions, output
        As ``parallel_tempering``.
    system : openmm.System
        With the global parameter ``lambda_interpolate``, as
        ``create_mixed_system(interpolate=True)`` makes it; without a barostat.
    lambdas : sequence of float
    temperature : Quantity
    iterations, steps_per_iteration, checkpoint_interval : int
    timestep, friction : Quantity
    pressure : Quantity, optional
    exchange : str
    minimize : bool
        See ``LambdaSettings`` for these. The minimum is one of λ = 0.
    platform, threads, seed, resume, overwrite, progress
        As ``parallel_tempering``.

    Returns
    -------
    dict of str to Path
        As ``parallel_tempering``.

    Raises
    ------
    FileExistsError, ImportError, RuntimeError, ValueError
        As ``parallel_tempering``; ValueError if the System has no
        ``lambda_interpolate``.
    """
    arguments = {
        "lambdas": tuple(lambdas),
        "temperature": temperature,
        "iterations": iterations,
        "steps_per_iteration": steps_per_iteration,
        "timestep": timestep,
        "friction": friction,
        "pressure": pressure,
        "exchange": exchange,
        "minimize": bool(minimize),
        "checkpoint_interval": checkpoint_interval,
    }
    execution = Execution(platform, threads, seed, overwrite, resume, progress)
    settings = LambdaSettings(**without_units(LambdaSettings, arguments))
    return exchange_lambda(topology, positions, system, output, settings, execution)


def exchange_lambda(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    output: str | Path,
    settings: LambdaSettings,
    execution: Execution,
) -> dict[str, Path]:
    """Do what ``lambda_exchange`` does, with settings that were checked."""
    check_lambda(system)
    system = at_lambda(system, 1.0)
    return exchange_states(topology, positions, system, output, settings, execution)


def lambda_free_energies(
    output: str | Path, *, discard: int | None = None
) -> LambdaFreeEnergies:
    """Compute the free energies of a run of ``lambda_exchange`` by MBAR.

    Samples are thinned out until the energies of switching between the ends,
    E(λ=1) - E(λ=0), are independent. Their sum over all replicas does not jump where λ
    is exchanged.

    Parameters
    ----------
    output : path
        Prefix, as of ``lambda_exchange``.
    discard : int, optional
        Iterations to leave out at the start; by default, the number that leaves most
        independent samples.

    Raises
    ------
    ValueError
        If fewer than 10 independent samples are left, or it is another run.
    """
    record, (reduced, states) = read_arrays(output, "energies", "states")
    if "lambdas" not in record:
        raise ValueError(
            f"expected a run of lambda_exchange at {output}, found one of "
            f"{record.get('method', 'run')}"
        )
    energies = by_temperature(reduced[1:], states[1:])  # [n, K of sample, K]
    steps = energies[..., -1] - energies[..., 0]
    if not np.ptp(steps, axis=0).all():
        raise ValueError(
            "expected energies of λ = 0 and 1 whose difference varies, found one that "
            f"is the same in all iterations of {output}"
        )
    chosen = thin(steps.sum(axis=1), steps, discard)
    kept = energies[chosen.rows]
    count = kept.shape[1]
    mixed = state_free_energies(
        kept.transpose(2, 1, 0).reshape(count, -1), np.full(count, len(kept))
    )
    thermal = GAS_CONSTANT * record["temperature_k"]
    counted = exchanges(output)
    names = [f"λ = {value:g}" for value in record["lambdas"]]
    words = overlap_warnings(mixed.overlap, names)
    if words:
        words[-1] += "; put further lambdas between them"
    if len(kept) < LEAST_INDEPENDENT:
        words.append(
            f"expected at least {LEAST_INDEPENDENT} independent samples of each λ, "
            f"found {len(kept)} of {len(energies)} iterations: so few do not show how "
            "long they stay correlated, and the error is too small; make more "
            "iterations"
        )
    return LambdaFreeEnergies(
        np.array(record["lambdas"]),
        thermal * mixed.f,
        thermal * mixed.error,
        mixed.overlap,
        counted.acceptance,
        int(counted.round_trips.sum()),
        float(record["temperature_k"]),
        len(kept),
        chosen.discarded,
        chosen.inefficiency,
        words,
    )
