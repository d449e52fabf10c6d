# SPDX-License-Identifier: MIT
"""Results of LAMMPS that the workers of a session share."""

import fcntl
import functools
import os

import pytest


@pytest.fixture(scope="session")
def lammps_results(tmp_path_factory):
    """Results of a group of cases on so many ranks.

    LAMMPS runs once, for the first worker of pytest-xdist that asks; others wait.
    """
    # not where torch or LAMMPS is missing
    from lammps_cases import GROUPS, exported
    from lammps_helpers import read_result, run_cases

    parent = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        parent = parent.parent

    @functools.cache
    def results(group, ranks):
        cases = GROUPS[group]()
        folder = parent / "lammps_cases" / f"{group}_{ranks}"
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder.parent / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "finished").exists():
                run_cases(cases, exported, folder, ranks)
                (folder / "finished").touch()
        return {name: read_result(name, folder) for name in cases}

    return results
