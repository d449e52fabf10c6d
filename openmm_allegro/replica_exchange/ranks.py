# SPDX-License-Identifier: MIT
"""One of the processes that mpirun started does what writes files."""

from collections.abc import Callable
from typing import Any


def is_parallel() -> bool:
    """Whether mpirun started this process, and mpi4py is there."""
    from mpiplus import get_mpicomm

    return get_mpicomm() is not None


def rank() -> int:
    """The number of this process; 0 where it is the only one."""
    from mpiplus import get_mpicomm

    return get_mpicomm().rank if is_parallel() else 0


def on_first_rank(task: Callable[..., Any], *arguments: Any) -> Any:
    """Call once; all processes wait, and get what it returns."""
    from mpiplus import run_single_node

    return run_single_node(0, task, *arguments, broadcast_result=True)
