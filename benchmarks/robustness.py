# SPDX-License-Identifier: MIT
"""Squeeze and heat each shipped system, and say whether it collapses.

The box is compressed in steps of 10 % of its volume, with a short minimisation after
each. From the start again, the system is heated to 1,500 K at constant volume: Langevin
dynamics in steps of 0.5 fs by the native force in single precision. It has collapsed
if a pair is closer than half of the closest distance of the training data, or a value
is not finite; the watchdogs stop a run then. Writes results/robustness.json beside this
file after each part; a second call goes on, and does what is not there yet.

python benchmarks/robustness.py [--systems NAME ...] [--ps 10] [--threads 1]
"""

import argparse
import json
import time
from pathlib import Path
from runpy import run_path

import ase
import mdtraj
import numpy as np
import openmm
from hardware import hardware, use_threads
from openmm import app, unit

from openmm_allegro import AllegroPotential, run
from openmm_allegro.plugin.search import find_pairs
from openmm_allegro.runs.names import paths_of
from openmm_allegro.simulate.watchdogs import StopSimulation, Watchdogs
from openmm_allegro.topology.elements import covalent_radii
from openmm_allegro.units import EV_TO_KJ_PER_MOL, NM_TO_ANGSTROM

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "robustness.json"
# Model, and the box or what builds it; of alanine_water the solute in vacuum.
SYSTEMS = {
    "nacl_aq": ("nacl_aq/nacl_aq", "nacl_aq/nacl_aq.pdb"),
    "nacl_aq_charged": ("nacl_aq_charged/nacl_aq_charged", "nacl_aq/nacl_aq.pdb"),
    "lgps": ("lgps/lgps", "lgps/build.py"),
    "alanine": ("alanine_water/alanine", "alanine_water/solute.pdb"),
    "li3po4_small": ("li3po4/small", "li3po4/crystal.pdb"),
    "ec_emc": ("ec_emc/ec_emc", "ec_emc/ec_emc.pdb"),
    "li6ps5cl": ("li6ps5cl/li6ps5cl", "li6ps5cl/data_50.pdb"),
    "li3po4": ("li3po4/li3po4", "li3po4/crystal.pdb"),
}
VOLUMES = (1.0, 0.9, 0.8, 0.7)  # of the start
ITERATIONS = 50  # of each minimisation
KELVIN = 1500.0
TIMESTEP = 0.5  # fs
INTERVAL = 50  # steps between frames
COLLAPSE = 0.5  # of the closest distance of the training data
STRETCH = 1.5  # of its first length, of a broken bond


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument("--ps", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "robustness")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    use_threads(options.threads)
    result = {"systems": {}}
    if options.output.exists():
        result = json.loads(options.output.read_text())
    for name in options.systems:
        row = result["systems"].setdefault(name, {})
        case = make_case(name)
        if row.get("model") != case["sha256"]:
            row.clear()
        row |= {"model": case["sha256"], "atoms": len(case["symbols"])}
        if row.get("heated", {}).get("ps_asked", 0.0) < options.ps:
            row["heated"] = heat(case, options, options.runs / name)
            write(result, options)
            print_row(name, "heated", row["heated"])
        if "compressed" not in row and case["box"] is not None:
            row["compressed"] = compress(case, options.threads)
            write(result, options)
            print_row(name, "compressed", row["compressed"][-1])


def write(result: dict, options: argparse.Namespace) -> None:
    result["hardware"] = hardware(options.threads)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


def print_row(name: str, part: str, row: dict) -> None:
    pair, near = min(row["closest"].items(), key=lambda item: item[1][0])
    state = "collapsed" if row["collapsed"] else "holds"
    print(
        f"{name} {part}: {state}; nearest to its closest distance {pair}, {near[0]:.2f}"
        f" of it ({near[1]:.2f} Å);"
        f" largest force {row['largest_force_ev_per_angstrom']} eV/Å;",
        {k: v for k, v in row.items() if k not in ("closest", "collapsed")},
        flush=True,
    )


def make_case(name: str) -> dict:
    """Potential, System, start and what the training data has of close pairs."""
    model, box = SYSTEMS[name]
    potential = AllegroPotential(ROOT / "systems" / f"{model}.safetensors")
    source = ROOT / "systems" / box
    if source.suffix == ".py":
        atoms = run_path(str(source))["build"]()
        topology, positions = topology_of(atoms), atoms.positions / NM_TO_ANGSTROM
    else:
        pdb = app.PDBFile(str(source))
        topology, positions = pdb.topology, np.array(pdb.positions._value)
    vectors = topology.getPeriodicBoxVectors()
    return {
        "potential": potential,
        "sha256": potential.models[0].origin.sha256,
        "topology": topology,
        "system": potential.create_system(topology, backend="native"),
        "positions": positions,
        "box": None if vectors is None else np.array(vectors._value),
        "symbols": [atom.element.symbol for atom in topology.atoms()],
        "closest": closest_distances(potential.models[0]),
    }


def closest_distances(model) -> dict[str, float]:
    """Å, of the training data; sums of covalent radii of pairs that have no record."""
    known = model.provenance.get("closest_pairs") or {}
    elements = model.config.elements
    pairs = ((a, b) for i, a in enumerate(elements) for b in elements[i:])
    radii = {"-".join(sorted(p)): float(sum(covalent_radii(p))) for p in pairs}
    return radii | known


def topology_of(atoms: ase.Atoms) -> app.Topology:
    topology = app.Topology()
    chain = topology.addChain()
    for symbol in atoms.get_chemical_symbols():
        residue = topology.addResidue(symbol.upper(), chain)
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    topology.setPeriodicBoxVectors(atoms.cell.array * unit.angstrom)
    return topology


def compress(case: dict, threads: int) -> list[dict]:
    """Minimise in smaller and smaller boxes."""
    rows, positions = [], case["positions"]
    context = make_context(case["system"], threads)
    before, first = 1.0, None
    for volume in VOLUMES:
        scale = (volume / before) ** (1 / 3)
        before = volume
        box = case["box"] * volume ** (1 / 3)
        context.setPeriodicBoxVectors(*box)
        context.setPositions(positions * scale)
        openmm.LocalEnergyMinimizer.minimize(context, 10.0, ITERATIONS)
        positions = context.getState(positions=True).getPositions(asNumpy=True)._value
        energy, force = energy_and_largest_force(context)
        first = energy if first is None else first
        near = nearest(case, positions, box)
        rows.append(
            {
                "volume": volume,
                "ev_per_atom": round((energy - first) / len(positions), 4),
                "largest_force_ev_per_angstrom": force,
                "closest": near,
                "collapsed": is_collapsed(near) or not np.isfinite(energy),
            }
        )
    return rows


def make_context(system: openmm.System, threads: int) -> openmm.Context:
    platform = openmm.Platform.getPlatformByName("CPU")
    integrator = openmm.VerletIntegrator(0.001)
    return openmm.Context(system, integrator, platform, {"Threads": str(threads)})


def energy_and_largest_force(context: openmm.Context) -> tuple[float, float]:
    """Potential energy (eV) and the largest force on an atom (eV/Å)."""
    state = context.getState(energy=True, forces=True)
    forces = np.linalg.norm(state.getForces(asNumpy=True)._value, axis=1)
    force = float(forces.max()) / EV_TO_KJ_PER_MOL / NM_TO_ANGSTROM
    return state.getPotentialEnergy()._value / EV_TO_KJ_PER_MOL, round(force, 3)


def heat(case: dict, options: argparse.Namespace, prefix: Path) -> dict:
    """Run at 1,500 K until the end or a collapse."""
    watchdogs = Watchdogs(
        interval=10,
        closest={k: COLLAPSE * v for k, v in case["closest"].items()},
        temperature_k=(0.0, 20 * KELVIN),
        actions={"closest": "stop"},
    )
    prefix.parent.mkdir(parents=True, exist_ok=True)
    started, stopped = time.process_time(), None
    try:
        run(
            case["topology"],
            case["positions"],
            case["system"],
            prefix,
            steps=round(options.ps / TIMESTEP * 1000),
            temperature=KELVIN * unit.kelvin,
            timestep=TIMESTEP * unit.femtosecond,
            friction=5.0 / unit.picosecond,
            report_interval=INTERVAL,
            watchdogs=watchdogs,
            platform="CPU",
            threads=options.threads,
            seed=1,
            resume=paths_of(prefix)["checkpoint"].exists(),
            progress=False,
        )
    except (StopSimulation, openmm.OpenMMException) as error:
        stopped = str(error).splitlines()[0]
    return {
        "ps_asked": options.ps,
        "stopped": stopped,
        "cpu_s": round(time.process_time() - started, 1),
    } | summary(case, prefix, stopped, options.threads)


def summary(case: dict, prefix: Path, stopped: str | None, threads: int) -> dict:
    """Closest pairs, temperatures, bonds and forces of a trajectory."""
    trajectory = mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")
    smallest: dict[str, list[float]] = {}
    collapse = None
    for number, frame in enumerate(trajectory.xyz):
        near = nearest(case, frame, case["box"])
        if collapse is None and is_collapsed(near):
            collapse = round((number + 1) * INTERVAL * TIMESTEP / 1000, 3)
        for pair, found in near.items():
            smallest[pair] = min(smallest.get(pair, [np.inf, 0]), found)
    table = np.atleast_1d(np.genfromtxt(f"{prefix}.csv", delimiter=",", names=True))
    kelvin = table[next(n for n in table.dtype.names if "emperature" in n)]
    context = make_context(case["system"], threads)
    context.setPositions(trajectory.xyz[-1].astype(float))
    return {
        "ps": round(trajectory.n_frames * INTERVAL * TIMESTEP / 1000, 3),
        "collapsed": stopped is not None or collapse is not None,
        "collapsed_at_ps": collapse,
        "mean_k": round(float(kelvin[len(kelvin) // 2 :].mean()), 1),
        "highest_k": round(float(kelvin.max()), 1),
        "largest_force_ev_per_angstrom": energy_and_largest_force(context)[1],
        "closest": smallest,
        "broken_bonds": broken_bonds(trajectory),
    }


def nearest(case: dict, positions: np.ndarray, box: np.ndarray | None) -> dict:
    """Closest pair of each kind: of the closest in training, and in Å."""
    reach = max(case["closest"].values())
    box = None if box is None else box * NM_TO_ANGSTROM
    pairs = find_pairs(positions * NM_TO_ANGSTROM, box, reach)
    distances = pairs.distances
    elements, types = np.unique(case["symbols"], return_inverse=True)
    kinds = types[pairs.centers] * len(elements) + types[pairs.neighbors]
    found = {}
    for kind in np.unique(kinds):
        first, second = divmod(int(kind), len(elements))
        if first > second:
            continue
        name = f"{elements[first]}-{elements[second]}"
        distance = float(distances[kinds == kind].min())
        ratio = distance / case["closest"][name]
        found[name] = [round(ratio, 3), round(distance, 3)]
    return found


def is_collapsed(near: dict) -> bool:
    return any(ratio < COLLAPSE for ratio, _ in near.values())


def broken_bonds(trajectory: mdtraj.Trajectory) -> list[int] | None:
    """Bonds that are too long at the end, and all; None without bonds."""
    bonds = [(a.index, b.index) for a, b in trajectory.topology.bonds]
    if not bonds:
        return None
    lengths = mdtraj.compute_distances(trajectory, bonds)
    return [int((lengths[-1] > STRETCH * lengths[0]).sum()), len(bonds)]


if __name__ == "__main__":
    main()
