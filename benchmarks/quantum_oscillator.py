# SPDX-License-Identifier: MIT
"""Measure energies of a quantum oscillator against their closed forms.

Ring polymers of several numbers of beads, an oscillator of 3400 1/cm (a stretch of O-H)
at 300 K; and quantum thermal baths of two frictions, oscillators of three frequencies,
with OpenMM's default of the cutoff and ours. Writes results/quantum_oscillator.json
beside this file, and with --plot a figure.

python benchmarks/quantum_oscillator.py [--steps 2500] [--plot FILE]
"""

import argparse
import json
from pathlib import Path

import numpy as np
import openmm
from hardware import hardware, use_threads
from matplotlib.figure import Figure
from openmm import app

from openmm_allegro.analysis import series_mean
from openmm_allegro.nuclei.estimators import (
    oscillator_energy,
    primitive_kinetic_energy,
    virial_kinetic_energy,
)
from openmm_allegro.nuclei.prepare import make_ring_polymer, make_thermal_bath
from openmm_allegro.nuclei.ring_polymer import adopt

KELVIN, MASS, STRETCH = 300.0, 1.008, 640.0  # K, Da, rad/ps
RESULTS = Path(__file__).parent / "results" / "quantum_oscillator.json"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=2500)
parser.add_argument("--plot", type=Path)
options = parser.parse_args()
use_threads(1)


def simulation_of(count, frequency, make, **values):
    """Independent oscillators in three dimensions, all at the origin."""
    system, topology = openmm.System(), app.Topology()
    force = openmm.CustomExternalForce(f"{MASS * frequency**2}/2*(x^2+y^2+z^2)")
    residue = topology.addResidue("H", topology.addChain())
    for index in range(count):
        topology.addAtom("H", app.element.hydrogen, residue)
        system.addParticle(MASS)
        force.addParticle(index)
    system.addForce(force)
    values = {"integrator": "", "ensemble": "nvt", "timestep_fs": 0.25} | values
    platform = openmm.Platform.getPlatformByName("Reference")
    integrator = make(system, values, KELVIN, 1)
    simulation = app.Simulation(topology, system, integrator, platform)
    simulation.context.setPositions(np.zeros((count, 3)))
    simulation.context.setVelocitiesToTemperature(KELVIN, 1)
    adopt(simulation)
    return simulation


def ring(beads, count=8):
    """Kinetic energies by virial and springs, and potential ones, kJ/mol."""
    values = {"beads": beads, "friction_per_ps": 100.0}
    simulation = simulation_of(count, STRETCH, make_ring_polymer, **values)
    context = simulation.context
    context.begin(KELVIN, 1)
    simulation.step(options.steps // 3)
    series = []
    for _ in range(options.steps // 5):
        simulation.step(5)
        positions, computed = context.beads().positions, context.compute()
        virial = virial_kinetic_energy(positions, computed.forces, KELVIN)
        springs = primitive_kinetic_energy(positions, np.full(count, MASS), KELVIN)
        potential = computed.energies.mean() / count
        series.append((virial.mean(), springs.mean(), potential))
    return [series_mean(column / 3) for column in np.array(series).T]


def bath(frequency, friction, cutoff, count=30):
    """Kinetic and potential energy, kJ/mol."""
    values = {"friction_per_ps": friction, "qtb_segment_ps": 0.1, "timestep_fs": 0.5}
    values |= {"qtb_cutoff_per_ps": cutoff, "qtb_adaptation": 0.01}
    simulation = simulation_of(count, frequency, make_thermal_bath, **values)
    simulation.step(6 * options.steps)
    series = []
    for _ in range(12 * options.steps // 20):
        simulation.step(20)
        state = simulation.context.getState(energy=True)
        energies = state.getKineticEnergy(), state.getPotentialEnergy()
        series.append([energy._value / count / 3 for energy in energies])
    return [series_mean(column) for column in np.array(series).T]


quantum = oscillator_energy(STRETCH, KELVIN)
results = {"quantum": quantum, "rings": {}, "baths": []}
print(f"quantum {quantum:.3f} kJ/mol; beads: exact, virial, springs, potential")
for beads in (1, 2, 4, 8, 16, 32, 64):
    exact, measured = oscillator_energy(STRETCH, KELVIN, beads), ring(beads)
    results["rings"][beads] = {"exact": exact, "measured": measured}
    words = "  ".join(f"{value:.3f} ± {error:.3f}" for value, error in measured)
    print(f"{beads:3d}: {exact:.3f}  {words}", flush=True)
for cutoff in (500.0, 1000.0):
    for friction in (1.0, 20.0):
        for frequency in (100.0, 300.0, STRETCH):
            exact = oscillator_energy(frequency, KELVIN)
            ratios = [
                (m.value / exact, m.error / exact)
                for m in bath(frequency, friction, cutoff)
            ]
            what = {"cutoff": cutoff, "friction": friction, "frequency": frequency}
            results["baths"].append(what | {"over_exact": ratios})
            words = "  ".join(f"{value:.3f} ± {error:.3f}" for value, error in ratios)
            print(
                *what.values(), "kinetic and potential over exact:", words, flush=True
            )
results["hardware"] = hardware(1)
RESULTS.write_text(json.dumps(results, indent=1) + "\n")

if options.plot:
    axes = (figure := Figure(figsize=(4.2, 3.0), layout="constrained")).add_subplot()
    beads = np.array(list(results["rings"]))
    each = np.arange(1, 65)
    curve = [oscillator_energy(STRETCH, KELVIN, number) for number in each]
    axes.semilogx(each, curve, color="black", label="closed form", base=2)
    axes.axhline(quantum, color="gray", ls="--", label="infinitely many beads")
    names = ("centroid virial", "springs (primitive)", "potential energy")
    for column, (name, marker) in enumerate(zip(names, "os^", strict=True)):
        values = [results["rings"][n]["measured"][column] for n in beads]
        value, error = np.array(values).T
        axes.errorbar(
            beads * (0.96 + 0.04 * column), value, error, fmt=marker, ms=4, label=name
        )
    axes.set(xlabel="beads", ylabel="mean energy (kJ/mol)")
    axes.set_xticks(beads, map(str, beads))
    axes.legend(fontsize=7)
    figure.savefig(options.plot, dpi=150)
