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
    from lammps_cases import GROUPS, QUICK, exported
    from lammps_helpers import read_result, run_cases

    parent = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        parent = parent.parent

    @functools.cache
    def results(group, ranks):
        groups = QUICK[ranks] if group in QUICK[ranks] else (group,)
        folder = parent / "lammps_cases" / f"{groups[0]}_{ranks}"
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder.parent / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "finished").exists():
                cases = {f"{g}_{n}": c for g in groups for n, c in GROUPS[g]().items()}
                run_cases(cases, exported, folder, ranks)
                (folder / "finished").touch()
        return {n: read_result(f"{group}_{n}", folder) for n in GROUPS[group]()}

    return results
