# SPDX-License-Identifier: MIT
"""Tables of all that depends on the distance of a pair and its elements alone.

Cubic Hermite interpolation in x = r / cutoff for each ordered pair of elements, from
a fraction of the cutoff that the program names to 1; closer pairs are computed.
"""

import ctypes
import logging
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...topology.elements import covalent_radii
from ..library import check_outcome, library, obstacle
from .compiled import evaluate, number_of_threads, opened
from .kept_tables import fill_table, kept_numbers, name_of
from .program import Program, unpack

_log = logging.getLogger(__name__)
INTERVALS = (128, 256, 512, 1024, 2048, 4096)
# Random environments of each element, and their shortest distances over the sum of the
# covalent radii. Bonds vibrate to some 0.85 of it.
ENVIRONMENTS, NEAREST = 64, 0.8
# That of a charge in the field of a liquid's others, V.
POTENTIAL = 10.0


def choose_table(
    program: Program,
    exact: Program,
    elements: Sequence[str],
    tolerance: float = 3e-5,
) -> tuple[int, Program]:
    """Make a table as fine as a program needs, and log what error it brings.

    What was chosen for a model is kept in the user's cache folder.

    Parameters
    ----------
    program : Program
        Without a table, in the precision in which it will run; arrays of numpy.
    exact : Program
        The same model in double precision.
    elements : sequence of str
        Chemical symbols of the model's elements.
    tolerance : float
        Largest error of a tabulated function's slope, as a fraction of the largest
        slope; up to 4096 intervals are tried.

    Returns
    -------
    intervals : int
    tabulated : Program
        The first program with the table.

    Raises
    ------
    ImportError
        If the kernels were not built.
    """
    chosen, tabulated = _choose(program, exact, elements, tolerance)
    if tabulated is None:
        tabulated = with_table(program, chosen.intervals)
    return chosen.intervals, tabulated


def choose_intervals(
    program: Program,
    exact: Program,
    elements: Sequence[str],
    tolerance: float = 3e-5,
) -> int:
    """Choose how fine a table is to be, as ``choose_table``, and leave it to be made.

    What was chosen for a model is kept in the user's cache folder.
    """
    return _choose(program, exact, elements, tolerance)[0].intervals


class _Choice(NamedTuple):
    """Intervals, errors of values and slopes (relative) and of forces (eV/Å), bytes."""

    intervals: int
    value: float
    slope: float
    bound: float
    seen: float
    size: int


def _choose(
    program: Program, exact: Program, elements: Sequence[str], tolerance: float
) -> tuple[_Choice, Program | None]:
    """Choose a table and log its errors; with the table where it had to be made."""
    own = program, exact, tuple(elements), tolerance, INTERVALS, _Choice._fields
    tables = []

    def find() -> dict[str, Any]:
        chosen, table = _measure(program, exact, elements, tolerance)
        tables.append(table)
        return chosen._asdict()

    chosen = _Choice(**kept_numbers(name_of(_kernels()._name, *own), find))
    _log.info(
        "two-body table of %d intervals: errors of %.1e of the largest value and %.1e "
        "of the largest slope; forces within %.1e eV/Å (%.1e in the worst of %d random "
        "environments of each element); %.1f MB",
        *(*chosen[:5], ENVIRONMENTS, chosen.size / 1e6),
    )
    return chosen, tables[0] if tables else None


def _measure(
    program: Program, exact: Program, elements: Sequence[str], tolerance: float
) -> tuple[_Choice, Program]:
    """Try tables until one is fine enough, and measure the errors of that."""
    for intervals in INTERVALS:
        value, slope = table_error(exact, intervals)
        if slope <= tolerance:
            break
    tabulated = with_table(program, intervals)
    bound, seen = force_error(tabulated, exact, elements)
    size = tabulated.weights.nbytes - program.weights.nbytes
    return _Choice(intervals, value, slope, bound, seen, size), tabulated


def with_table(program: Program, intervals: int) -> Program:
    """Add a table to a program, from the user's cache folder if it is there.

    Raises
    ------
    ImportError
        If the kernels were not built.
    MemoryError
        If the table is larger than the machine's memory.
    """
    integers, constants, weights = program
    parts = unpack(program)
    head = parts.header
    size = head.types**2 * intervals * 4 * head.first_width
    _check_memory(size * weights.itemsize)
    extended = np.empty(len(weights) + size, weights.dtype)
    extended[: len(weights)] = weights
    tabulate(program, intervals, extended[len(weights) :])
    head = head._replace(points=intervals, table=len(weights))
    integers = np.concatenate([np.array(head), integers[len(head) :]])
    return Program(integers, constants, extended)


def tabulate(
    program: Program, intervals: int, table: np.ndarray, threads: int | None = None
) -> None:
    """Fill the table of a program, from the user's cache folder if it is there.

    Parameters
    ----------
    program : Program
        Without a table; it must have been checked.
    intervals : int
    table : ndarray [types² · intervals · 4 · width]
        Is filled, in the precision of the program's weights.
    threads : int, optional

    Raises
    ------
    ImportError
        If the kernels were not built.
    MemoryError
    """
    kernels = _kernels()

    def make() -> None:
        with opened(kernels, program) as model:
            address = table.ctypes.data
            outcome = kernels.allegro_tabulate(
                model, intervals, threads or _threads(), address
            )
        check_outcome("two-body table", outcome)

    fill_table(table, name_of(kernels._name, program, intervals), make)


def table_error(program: Program, intervals: int) -> tuple[float, float]:
    """Find the largest relative errors of a table's values and slopes.

    Raises
    ------
    ImportError
        If the kernels were not built.
    """
    kernels, errors = _kernels(), np.zeros(2)
    with opened(kernels, program) as model:
        outcome = kernels.allegro_table_errors(
            model, intervals, _threads(), errors.ctypes.data
        )
    check_outcome("two-body table", outcome)
    return float(errors[0]), float(errors[1])


def two_body(
    program: Program, center: int, neighbor: int, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate what a table holds, in double precision.

    Parameters
    ----------
    program : Program
    center, neighbor : int
        Elements of the ordered pair.
    x : ndarray [n]
        Distances over the pair's cutoff.

    Returns
    -------
    values, slopes : ndarray [n, width]
        The functions, and their derivatives by x.

    Raises
    ------
    ImportError
        If the kernels were not built.
    """
    kernels = _kernels()
    x = np.ascontiguousarray(x, dtype=np.float64)
    values, slopes = np.zeros((2, len(x), unpack(program).header.first_width))
    arrays = (array.ctypes.data for array in (x, values, slopes))
    with opened(kernels, program) as model:
        outcome = kernels.allegro_two_body(model, center, neighbor, len(x), *arrays)
    check_outcome("two-body functions", outcome)
    return values, slopes


def force_error(
    program: Program, exact: Program, elements: Sequence[str]
) -> tuple[float, float]:
    """Estimate the force error of a program against the exact model in float64.

    Measured in random environments with as many neighbours as the model was trained
    with, two of them at the length of short bonds and the others farther away: forces
    there are larger than in a liquid, and so are errors. The bound takes the errors
    g_ij of all derivatives of one centre's energy by the vectors to its neighbours with
    the same sign, and as much again from the centres that it is a neighbour of:
    |ΔF_i| ≤ Σ_j |g_ij| + Σ_j |g_ji|. Charges that a program has are in a potential as
    large as that of a liquid's charges, ± 10 V.

    Returns
    -------
    bound, seen : float
        eV/Å; ``seen`` is the largest error of a component of the force on a centre, of
        its own energy alone.

    Raises
    ------
    ImportError
        If the kernels were not built.
    """
    kernels, environments = _kernels(), _environments(exact, elements)
    seeds = np.where(np.arange(len(environments[0])) % 2, POTENTIAL, -POTENTIAL)
    forces, reference = (
        evaluate(kernels, one, *environments, seeds=seeds, threads=_threads())[1]
        for one in (program, exact)
    )
    difference = forces - reference
    sizes = np.diff(environments[3])  # of the offsets
    centers, others = np.flatnonzero(sizes), np.flatnonzero(sizes == 0)
    size = np.linalg.norm(difference[others], axis=1)
    sums = np.zeros(len(sizes))
    np.add.at(sums, np.repeat(centers, sizes[centers]), size)
    return 2.0 * float(sums.max()), float(abs(difference[centers]).max())


def _environments(program: Program, elements: Sequence[str]) -> tuple[np.ndarray, ...]:
    """Make clusters of a centre and its neighbours, arguments of ``twin.evaluate``.

    Only the first atom of each cluster has pairs.
    """
    parts = unpack(program)
    random = np.random.default_rng(0)
    numbers = np.rint(parts.arrays["norm"] ** -2.0).astype(np.int64)
    centers = np.arange(len(elements)).repeat(ENVIRONMENTS)
    sizes = np.maximum(numbers[centers], 1)
    count = int(sizes.sum())
    kinds = random.integers(len(elements), size=count)
    directions = random.normal(size=(count, 3))
    center_types = centers.repeat(sizes)
    cutoffs = parts.arrays["cutoffs"][center_types * len(elements) + kinds]
    radii = np.array(covalent_radii(elements))
    nearest = NEAREST * (radii[center_types] + radii[kinds])
    nearest = nearest.clip(parts.scalars.table_from * cutoffs, 0.9 * cutoffs)
    uniform = random.uniform(size=count)
    # Two neighbours are as close as any may be: there a table's errors are largest.
    begin = np.cumsum(sizes) - sizes
    uniform[begin] = uniform[begin + (sizes > 1)] = 0.0
    r = np.cbrt(nearest**3 + (cutoffs**3 - nearest**3) * uniform)
    scale = r / np.linalg.norm(directions, axis=1)
    first = np.cumsum(sizes + 1) - sizes - 1  # atom numbers of the centres
    is_neighbor = np.ones(count + len(sizes), dtype=bool)
    is_neighbor[first] = False
    positions = np.zeros((len(is_neighbor), 3))
    positions[is_neighbor] = scale[:, None] * directions
    types = np.zeros(len(is_neighbor), dtype=np.int64)
    types[is_neighbor], types[first] = kinds, centers
    offsets = np.zeros(len(is_neighbor) + 1, dtype=np.int64)
    offsets[first + 1] = sizes
    neighbors = np.flatnonzero(is_neighbor).astype(np.int32)
    shifts = np.zeros((count, 3), dtype=np.int8)
    return positions, np.zeros((3, 3)), types, offsets.cumsum(), neighbors, shifts


def _kernels() -> ctypes.CDLL:
    kernels = library()
    if kernels is None:
        raise ImportError(
            "two_body='table' expects the compiled kernels, found none: "
            f"{obstacle()}; two_body='exact' does without"
        )
    return kernels


def _check_memory(size: int) -> None:
    # Linux promises more than there is, and ends the process when it is used.
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        raise MemoryError(
            f"expected memory for a two-body table of {size / 1e6:.0f} MB, found "
            f"{memory / 1e6:.0f} MB; use two_body='exact'"
        )


def _threads() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    cores = cores or os.cpu_count() or 1
    return number_of_threads(cores, largest=cores)
