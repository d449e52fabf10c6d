# SPDX-License-Identifier: MIT
"""The compiled kernels called with arrays of numpy."""

import contextlib
import ctypes
import os
from collections.abc import Iterator

import numpy as np

from .. import header
from ..header import filled
from ..library import Outcome, check_outcome
from .program import Program


@contextlib.contextmanager
def opened(kernels: ctypes.CDLL, program: Program) -> Iterator[int]:
    """Open a program that was checked, and close it again.

    Parameters
    ----------
    kernels : CDLL
        From ``library.library``.
    program : Program
        Arrays of numpy, or tensors of torch on the CPU.

    Raises
    ------
    MemoryError
    """
    integers, constants, weights = map(np.ascontiguousarray, program)
    arrays = filled(
        "allegro_program",
        integers=integers,
        constants=constants,
        weights=weights,
        is_double=int(weights.dtype == np.float64),
    )
    model = kernels.allegro_open(arrays)
    if model is None:  # its format is known from the check
        check_outcome("evaluate", Outcome.NO_MEMORY)
    try:
        yield model
    finally:
        kernels.allegro_close(model)


def number_of_threads(otherwise: int, largest: int) -> int:
    """Number of threads that OpenMM's CPU platform has, or another.

    Parameters
    ----------
    otherwise : int
        Where ``OPENMM_CPU_THREADS`` names none.
    largest : int
        More than these are of no use.
    """
    text = os.environ.get("OPENMM_CPU_THREADS", "")
    wanted = min(int(text), os.cpu_count() or 1) if text.isdecimal() else 0
    return max(1, min(wanted or otherwise, largest))


def evaluate(
    kernels: ctypes.CDLL,
    program: Program,
    *atoms: np.ndarray,
    seeds: np.ndarray | None = None,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evaluate energies of atoms, forces and strain derivative.

    Parameters as ``twin.evaluate``; they must have been checked.

    Returns
    -------
    energies : ndarray [N], eV
    forces : ndarray [N, 3], eV/Å
    strain : ndarray [3, 3], eV

    Raises
    ------
    MemoryError
    """
    count = len(atoms[0])
    energies = np.zeros(count)
    forces, strain = np.zeros((threads, count, 3)), np.zeros((threads, 3, 3))
    results = {"energies": energies, "forces": forces, "strain": strain}
    _run(kernels, program, _atoms(*atoms, seeds), threads, results)
    return energies, forces.sum(0), strain.sum(0)


def charges(
    kernels: ctypes.CDLL, program: Program, *atoms: np.ndarray, threads: int = 1
) -> np.ndarray:
    """Evaluate the charges of atoms that the network gives.

    Parameters, result and errors as ``twin.charges`` and ``evaluate``.
    """
    found = np.zeros(len(atoms[0]))
    _run(kernels, program, _atoms(*atoms, None), threads, {"charges": found})
    return found


def _run(
    kernels: ctypes.CDLL,
    program: Program,
    atoms: ctypes.Structure,
    threads: int,
    results: dict[str, np.ndarray],
) -> None:
    """Run all centres; results that are not named are not wanted."""
    wanted = dict.fromkeys(header.record("allegro_results")._fields) | results
    arrays = filled("allegro_results", **wanted)
    with opened(kernels, program) as model:
        outcome = kernels.allegro_run_threads(model, atoms, threads, arrays)
    check_outcome("evaluate", outcome)


def _atoms(
    positions: np.ndarray,
    cell: np.ndarray,
    types: np.ndarray,
    offsets: np.ndarray,
    neighbors: np.ndarray,
    shifts: np.ndarray,
    seeds: np.ndarray | None,
) -> ctypes.Structure:
    given = {
        "positions": positions,
        "cell": cell,
        "types": types,
        "offsets": offsets,
        "neighbors": neighbors,
        "shifts": shifts,
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in given.items()}
    arrays["seeds"] = None if seeds is None else np.ascontiguousarray(seeds)
    return filled("allegro_atoms", count=len(positions), **arrays)
