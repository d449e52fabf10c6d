# SPDX-License-Identifier: MIT
"""Measure volume moves of a liquid, with its bonds declared to OpenMM and without.

If OpenMM knows the bonds, a barostat moves molecules. Otherwise it moves atoms, and
each move strains every bond. OpenMM adapts the size of its moves so that a quarter to
three quarters are accepted. So the lack of bonds shows in the size, and by its square
in the rate at which the volume equilibrates. Both runs start from the same point at
300 K and 1 bar; OpenMM adapts the size in the first half. The script also finds the
part of moves of ± 1 % and ± 3 % that would be accepted in the second half.
Writes results/volume_moves_NAME.json beside this file.

python benchmarks/volume_moves.py [--system nacl_aq] [--steps 10000] [--threads 1]
    [--backend auto]
"""

import argparse
import json
from pathlib import Path

import numpy as np
import openmm
from blocks import block_error
from hardware import add_backend, hardware, use_threads
from openmm import app, unit

from openmm_allegro import AllegroPotential
from openmm_allegro.forces import copy_system
from openmm_allegro.simulate.integrators import make_integrator
from openmm_allegro.simulate.system import add_barostat, whole_molecules
from openmm_allegro.units import KJ_PER_MOL_NM3_TO_BAR

ROOT = Path(__file__).parents[1]
VALUES = {
    "temperature_k": 300.0,
    "timestep_fs": 0.5,
    "friction_per_ps": 1.0,
    "pressure_bar": 1.0,
}
KT = VALUES["temperature_k"] * unit.MOLAR_GAS_CONSTANT_R.value_in_unit(
    unit.kilojoule_per_mole / unit.kelvin
)
FIXED = (0.01, 0.03)  # relative changes of the volume


def run(system: openmm.System, positions: np.ndarray, options) -> dict:
    """Run with ``interval`` steps between two moves, and summarise the moves."""
    platform = openmm.Platform.getPlatformByName("CPU")
    properties = {"Threads": str(options.threads)}
    values = VALUES | {"barostat_interval": options.interval}
    integrator = make_integrator("langevin-middle", system, values, seed=2)
    moved = copy_system(system)
    add_barostat("npt", moved, values, seed=2)
    context = openmm.Context(moved, integrator, platform, properties)
    context.setPositions(positions)
    context.setVelocitiesToTemperature(VALUES["temperature_k"], 2)
    trial = openmm.Context(system, openmm.VerletIntegrator(0.001), platform, properties)
    half = options.steps // options.interval // 2
    volumes, accepted = [volume_of(context)], []
    for attempt in range(2 * half):
        integrator.step(options.interval)
        volumes.append(volume_of(context))
        if attempt >= half and attempt % 20 == 0:
            state = context.getState(positions=True)
            accepted.append([acceptance(trial, state, size) for size in FIXED])
    volumes = np.array(volumes)
    changes = np.diff(volumes)[half:] / volumes[half:-1]
    mass = sum(system.getParticleMass(i)._value for i in range(len(positions)))
    density = mass * 1.66053907e-3 / volumes[half:]  # Da/nm³ to g/mL
    result = {
        "molecules": len(context.getMolecules()),
        "accepted": float(np.mean(changes != 0)),
        "accepted_rms_percent": float(
            100 * np.sqrt(np.mean(changes[changes != 0] ** 2))
        ),
        "mean_square_change_percent2": float(1e4 * np.mean(changes**2)),
        "attempts": len(changes),
        "density_g_per_ml": float(density.mean()),
        "density_error": block_error(density, 5),
    }
    for size, values in zip(FIXED, np.mean(accepted, axis=0), strict=True):
        result[f"accepted_of_{100 * size:.0f}_percent"] = float(values)
    return result


def volume_of(context: openmm.Context) -> float:
    """Read the volume of the box, nm³."""
    return context.getState().getPeriodicBoxVolume()._value


def acceptance(trial: openmm.Context, state: openmm.State, size: float) -> float:
    """Compute the mean probability of a volume change by ± ``size``."""
    molecules = trial.getMolecules()
    index = np.empty(sum(len(atoms) for atoms in molecules), dtype=int)
    for number, atoms in enumerate(molecules):
        index[list(atoms)] = number
    positions = state.getPositions(asNumpy=True)._value
    box = state.getPeriodicBoxVectors(asNumpy=True)._value
    volume = np.linalg.det(box)
    centers = np.stack([np.bincount(index, x) for x in positions.T], axis=1)
    centers = (centers / np.bincount(index)[:, None])[index]
    energies = []
    for change in (0.0, size, -size):
        scale = (1 + change) ** (1 / 3)
        trial.setPeriodicBoxVectors(*(scale * box))
        trial.setPositions(positions + (scale - 1) * centers)
        energy = trial.getState(energy=True).getPotentialEnergy()._value
        work = VALUES["pressure_bar"] * change * volume / KJ_PER_MOL_NM3_TO_BAR
        energies.append(energy + work - len(molecules) * KT * np.log(1 + change))
    steps = np.array(energies[1:]) - energies[0]
    return float(np.exp(-np.maximum(steps, 0) / KT).mean())


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--system", default="nacl_aq", help="a folder of systems/")
parser.add_argument("--steps", type=int, default=10_000)
parser.add_argument("--interval", type=int, default=10, help="steps between moves")
parser.add_argument("--threads", type=int, default=1)
add_backend(parser)
parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
options = parser.parse_args()
use_threads(options.threads)

folder = ROOT / "systems" / options.system
pdb = app.PDBFile(str(folder / f"{options.system}.pdb"))
potential = AllegroPotential(folder / f"{options.system}.safetensors")
result = {
    "hardware": hardware(options.threads),
    "system": options.system,
    "backend": options.backend,
    "atoms": pdb.topology.getNumAtoms(),
    "steps": options.steps,
    "interval": options.interval,
    **VALUES,
}
for name, rigid in (("with_bonds", True), ("without_bonds", False)):
    system = potential.create_system(
        pdb.topology, rigid_molecules=rigid, backend=options.backend
    )
    positions = pdb.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    positions = whole_molecules(np.array(positions), pdb.topology, system)
    result[name] = run(system, positions, options)
options.results.mkdir(parents=True, exist_ok=True)
path = options.results / f"volume_moves_{options.system}.json"
path.write_text(json.dumps(result, indent=2) + "\n")
print(f"{'':42s}{'with bonds':>14s}{'without':>14s}")
for key, value in result["with_bonds"].items():
    print(f"{key:42s}{value:14.4g}{result['without_bonds'][key]:14.4g}")
