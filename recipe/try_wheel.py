# SPDX-License-Identifier: MIT
"""Compute an energy by the kernels and the plugin that a wheel brings, if it is one.

    python recipe/try_wheel.py

in an environment where the wheel is installed. Nothing may be compiled: there is no
compiler in PATH.
"""

import os
from pathlib import Path

import openmm
from openmm import app, unit

import openmm_allegro
from openmm_allegro.kernels.builds import BUILDS
from openmm_allegro.kernels.library import library_paths, obstacle

NACL = Path(__file__).parents[1] / "systems" / "nacl_aq" / "nacl_aq"


def main() -> None:
    """Look at the kernels, and take their energy."""
    os.environ["PATH"] = ""
    package = Path(openmm_allegro.__file__).parent
    inside = [path for path in library_paths() if package in path.parents]
    assert len(inside) == len(BUILDS), obstacle()
    pdb = app.PDBFile(f"{NACL}.pdb")
    potential = openmm_allegro.AllegroPotential(f"{NACL}.safetensors")
    system = potential.create_system(pdb.topology, backend="native")
    platform = openmm.Platform.getPlatform("CPU")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(pdb.positions)
    energy = context.getState(getEnergy=True).getPotentialEnergy()
    names = ", ".join(path.name for path in inside)
    value = energy.value_in_unit(unit.kilojoule_per_mole)
    print(f"{names}: {value:.3f} kJ/mol")


if __name__ == "__main__":
    main()
