# SPDX-License-Identifier: MIT
"""Measure what electrostatic embedding costs, and whether its energy is conserved.

Alanine dipeptide in water (Amber14, TIP3P-FB, PME), one thread of the processor, native
force. The model is that of systems/alanine_water; charges are given to its network
with random weights, as cost does not depend on them. Parts:

cost   steps of the mixed System over those with mechanical embedding and no charges, of
       the solute alone and of a region with waters, in two boxes
drift  energy in NVE with either embedding and with the force field alone

python benchmarks/embedding.py [--parts cost drift] [--rounds 9] [--steps 2000]

What is compared takes turns. Writes results/embedding.json beside this file, where
parts that are not measured again stay.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np
import openmm
from hardware import measure_parts
from openmm import app, unit
from turns import in_turn

ROOT = Path(__file__).parents[1]
SYSTEM = ROOT / "systems" / "alanine_water"
FILE = Path(__file__).parent / "results" / "embedding.json"
CHARGES = {"H": 0.12, "C": 0.05, "N": -0.4, "O": -0.5, "S": -0.2}
RESIDUES = ("ACE", "ALA", "NME")
LARGER = 3.4  # nm, side of the second box
WATERS = 50  # of the larger region
LEARNED = 0.3  # of the random charges, so that a simulation is as one of small ones
STEPS_OF_A_JOB = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()
    measure_parts(FILE, PARTS, options)


def models() -> dict:
    """The local model, and its network with charges."""
    from openmm_allegro import Model, load_model
    from openmm_allegro.model import AllegroEnergy

    local = load_model(SYSTEM / "alanine.safetensors")
    config = dataclasses.replace(local.config, charges="learned", charge_start=CHARGES)
    energy = AllegroEnergy(config, local.statistics, seed=1)
    state = dict(local.energy.state_dict())
    own = energy.state_dict()
    for name, values in own.items():
        if name not in state:
            state[name] = values
        elif values.shape != state[name].shape:  # the readout has a second output
            further = LEARNED * values[:, state[name].shape[1] :].to(state[name])
            state[name] = values.new_tensor(
                np.concatenate([state[name].numpy(), further.numpy()], 1)
            )
    energy.load_state_dict(state)
    charged = Model(config, local.statistics, energy, local.kind, local.dtype)
    return {"local": local, "charged": charged}


def boxes() -> dict[str, app.Modeller]:
    """Atoms and positions of the box of systems/alanine_water, and of a larger one."""
    pdb = app.PDBFile(str(SYSTEM / "alanine_water.pdb"))
    solute = app.Modeller(pdb.topology, pdb.positions)
    solute.delete([r for r in pdb.topology.residues() if r.name not in RESIDUES])
    side = openmm.Vec3(LARGER, LARGER, LARGER) * unit.nanometer
    solute.addSolvent(force_field(), boxSize=side)
    return {"usual": app.Modeller(pdb.topology, pdb.positions), "larger": solute}


def force_field() -> app.ForceField:
    return app.ForceField("amber14-all.xml", "amber14/tip3pfb.xml")


def classical(box: app.Modeller, cutoff: float = 0.9) -> openmm.System:
    return force_field().createSystem(
        box.topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=cutoff * unit.nanometer,
        rigidWater=True,
    )


def regions(box: app.Modeller) -> dict[str, list[int]]:
    """The solute, and the solute with the waters that are nearest to it."""
    x = np.array(box.positions.value_in_unit(unit.nanometer))
    lengths = np.diag(
        box.topology.getPeriodicBoxVectors().value_in_unit(unit.nanometer)
    )
    residues = list(box.topology.residues())
    solute = [a.index for r in residues if r.name in RESIDUES for a in r.atoms()]
    waters = [[a.index for a in r.atoms()] for r in residues if r.name == "HOH"]
    vectors = x[[w[0] for w in waters]] - x[solute].mean(0)
    vectors -= lengths * np.round(vectors / lengths)
    nearest = np.argsort(np.linalg.norm(vectors, axis=1))[:WATERS]
    around = solute + [i for n in nearest for i in waters[n]]
    return {"solute": solute, "solute and waters": sorted(around)}


def mixed_systems(box: app.Modeller, region: list[int], cutoff: float = 0.9) -> dict:
    """The force field alone, and mixed Systems of both kinds of embedding."""
    from openmm_allegro import AllegroPotential

    mm_system = classical(box, cutoff)
    made = {"force field": mm_system}
    of = models()
    for name, model, embedding in (
        ("mechanical", "local", "mechanical"),
        ("mechanical, with charges", "charged", "mechanical"),
        ("electrostatic", "charged", "electrostatic"),
    ):
        made[name] = AllegroPotential(of[model]).create_mixed_system(
            box.topology,
            mm_system,
            region,
            backend="native",
            embedding=embedding,
            screened_charges=True,
        )
    return made


def context_of(system, box: app.Modeller, integrator) -> openmm.Context:
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, integrator, platform, {"Threads": "1"})
    context.setPositions(box.positions)
    return context


def cost(options: argparse.Namespace) -> list[dict]:
    """Median milliseconds of a step, and over mechanical embedding without charges."""
    rows = []
    for box in boxes().values():
        for name, region in regions(box).items():
            contexts = {
                # Steps so short that random weights move no atom from its place.
                kind: context_of(system, box, openmm.VerletIntegrator(1e-7))
                for kind, system in mixed_systems(box, region).items()
            }
            jobs = {
                kind: lambda c=context: c.getIntegrator().step(STEPS_OF_A_JOB)
                for kind, context in contexts.items()
            }
            times = in_turn(jobs, options.rounds)
            ms = {k: 1e3 * t / STEPS_OF_A_JOB for k, t in times.items()}
            rows.append(
                {
                    "atoms": box.topology.getNumAtoms(),
                    "region": name,
                    "atoms of the region": len(region),
                    "ms": {k: float(np.median(t)) for k, t in ms.items()},
                    "over mechanical": {
                        k: float(np.median(t / ms["mechanical"])) for k, t in ms.items()
                    },
                }
            )
    return rows


def drift(options: argparse.Namespace) -> dict:
    """Slope of the total energy in NVE (meV an atom and ps), with errors of blocks."""
    from openmm_allegro.units import EV_TO_KJ_PER_MOL

    box = boxes()["usual"]
    found = {"steps": options.steps, "timestep_fs": 0.5}
    systems = mixed_systems(box, regions(box)["solute"], cutoff=1.0)
    for kind in ("force field", "mechanical, with charges", "electrostatic"):
        thermostat = openmm.LangevinMiddleIntegrator(300, 5, 0.0005)
        thermostat.setRandomNumberSeed(1)
        context = context_of(systems[kind], box, thermostat)
        context.setVelocitiesToTemperature(300, 1)
        thermostat.step(200)
        start = context.getState(positions=True, velocities=True)
        integrator = openmm.VerletIntegrator(0.0005)
        context = context_of(systems[kind], box, integrator)
        context.setState(start)
        energies, every = [], 10
        for _ in range(options.steps // every):
            integrator.step(every)
            state = context.getState(energy=True)
            total = state.getPotentialEnergy() + state.getKineticEnergy()
            energies.append(total._value)
        atoms = box.topology.getNumAtoms()
        energies = 1e3 * np.array(energies) / EV_TO_KJ_PER_MOL / atoms
        times = 0.0005 * every * np.arange(len(energies))  # ps
        parts = zip(np.array_split(times, 4), np.array_split(energies, 4), strict=True)
        slopes = [np.polyfit(t, e, 1)[0] for t, e in parts]
        found[kind] = {
            "mev_per_atom_ps": float(np.polyfit(times, energies, 1)[0]),
            "error": float(np.std(slopes, ddof=1) / 4**0.5 / 4),
            "fluctuation_mev_per_atom": float(np.std(energies)),
        }
    return found


PARTS = {"cost": cost, "drift": drift}

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
