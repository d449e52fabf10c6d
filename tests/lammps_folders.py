# SPDX-License-Identifier: MIT
"""Folders of runs in LAMMPS, and a potential that needs no model: argon."""

import re

import numpy as np
from lammps_session import run_ranks

from openmm_allegro.lammps.data import Atoms, data_text
from openmm_allegro.lammps.input import input_text
from openmm_allegro.lammps.plan import AtomType, Plan

# Doi:10.1103/PhysRev.136.A405, in eV and Å.
ARGON = """\
pair_style      lj/cut 8.5
pair_coeff      * * 0.01034 3.405
pair_modify     shift yes
"""
LOG = "thermo_style custom step time temp pe ke etotal press"


def plan_of(stages, **changes):
    """A plan of argon."""
    values = {
        "names": tuple(stage.name for stage in stages),
        "stages": tuple(stages),
        "types": (AtomType("Ar", (39.948,) * len(stages)),),
        "models": ("model.allegro",),
        "atoms": 256,
        "replicate": (1, 1, 1),
        "seed": 7,
        "periodic": True,
        "velocities": False,
        "frames": True,
        "skin": 1.0,
        "plugin": "",
        "title": "argon",
    }
    return Plan(**values | changes)


def run_folder(folder, ranks=1):
    """Run the input of a folder from another one; what LAMMPS printed."""
    done = run_ranks(folder / "in.lammps", "/", ranks, "-log", "none")
    return done.returncode, done.stdout


def run_argon(stages, folder, edge=0.56, cells=4):
    """Run stages of argon, a lattice at first; pressures in bar of each."""
    corners = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    sites = np.array(list(np.ndindex(cells, cells, cells)))[:, None] + corners
    plan = plan_of(stages, atoms=4 * cells**3)
    atoms = Atoms(
        np.zeros(plan.atoms, dtype=int),
        edge * sites.reshape(-1, 3),
        None,
        edge * cells * np.eye(3),
    )
    flexible = any(stage.ensemble == "npt-flexible" for stage in stages)
    text = data_text("argon", plan.types, atoms, tilted=flexible)
    (folder / "system.data").write_text(text)
    text = input_text(plan, folder)
    text = re.sub(r"pair_style .*\npair_coeff .*\n", ARGON, text)
    text = re.sub(r"thermo_style .*", LOG, text)
    (folder / "in.lammps").write_text(text)
    status, log = run_folder(folder)
    assert status == 0, log
    tables = re.findall(r"^ +Step +Time .*\n((?: +[-\d.].*\n)+)", log, re.MULTILINE)
    return [np.array([row.split() for row in t.splitlines()], float) for t in tables]
