# SPDX-License-Identifier: MIT
"""MPI ranks, of which the first writes the files."""

from collections.abc import Callable
from typing import Any


def is_parallel() -> bool:
    """Tell if mpirun started this process and mpi4py is installed."""
    from mpiplus import get_mpicomm

    return get_mpicomm() is not None


def rank() -> int:
    """Return the number of this process; 0 if it is the only one."""
    from mpiplus import get_mpicomm

    return get_mpicomm().rank if is_parallel() else 0


def on_first_rank(task: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function on the first rank; all ranks wait and get its result."""
    from mpiplus import run_single_node

    return run_single_node(0, task, *arguments, broadcast_result=True)
