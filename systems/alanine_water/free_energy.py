# SPDX-License-Identifier: MIT
"""Free energy over φ and ψ of alanine in a small box of water, ML/MM, by three methods.

python systems/alanine_water/free_energy.py box            # once: small.pdb
python systems/alanine_water/free_energy.py metadynamics --ps 1000 --output runs/ala
python systems/alanine_water/free_energy.py opes --ps 1000 --output runs/ala
python systems/alanine_water/free_energy.py tempering --ps 100 --output runs/ala
python systems/alanine_water/free_energy.py compare --output runs/ala

A run that exists is continued; with more --ps it becomes longer.
"""

import argparse
import json
from pathlib import Path

import mdtraj
import numpy as np
import openmm
from build_box import FORCE_FIELD, solute_atoms, solvate
from openmm import app, unit

from openmm_allegro import AllegroPotential, run
from openmm_allegro.analysis import (
    basin_difference,
    make_axis,
    plot_profiles,
    plot_surface,
)
from openmm_allegro.bias import Metadynamics, Opes, Variable
from openmm_allegro.measure.free_energy import FreeEnergySettings
from openmm_allegro.measure.free_energy_runs import estimate
from openmm_allegro.replica_exchange import (
    averages,
    basin_free_energy,
    parallel_tempering,
    read_replicas,
    temperature_ladder,
)
from openmm_allegro.runs.run import read_run
from openmm_allegro.runs.source import Source
from openmm_allegro.units import GAS_CONSTANT

FOLDER = Path(__file__).parent
EDGE, CUTOFF = 18.6, 7.5  # Å, of the box before it is equilibrated, and of its pairs
TIMESTEP = 2.0  # fs, with hydrogens of the solute of 3 Da
VARIABLES = (
    Variable("phi", "dihedral", atoms=(4, 6, 8, 14)),
    Variable("psi", "dihedral", atoms=(6, 8, 14, 16)),
)
BIASES = {
    "metadynamics": Metadynamics(
        variables=("phi", "psi"),
        widths=(20.0, 20.0),
        height_kj_mol=1.5,
        bias_factor=8.0,
        pace=200,
    ),
    "opes": Opes(
        variables=("phi", "psi"), widths=(15.0, 15.0), barrier_kj_mol=35.0, pace=200
    ),
}
SEEDS = {"metadynamics": 1, "opes": 2, "tempering": 3}
REPLICAS, HOTTEST, KELVIN = 8, 440.0, 300.0
EXCHANGE = 100  # steps between exchanges
BINS = 24
# Parts of the surface, as (lowest, highest) of φ and ψ in degrees, ψ counted from -120.
BASINS = {
    "β and PII": ((-180.0, 0.0), (50.0, 240.0)),
    "αR": ((-180.0, 0.0), (-120.0, 50.0)),
    "left-handed (φ > 0)": ((0.0, 180.0), (-120.0, 240.0)),
}


def classical_system(topology):
    """Amber14 and TIP3P-FB with a cutoff that fits the box, and heavy hydrogens."""
    return app.ForceField(*FORCE_FIELD).createSystem(
        topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=CUTOFF * unit.angstrom,
        constraints=app.HBonds,
        hydrogenMass=3.0 * unit.dalton,
    )


def make_box(path):
    """Put the solute into water; 17 ps of the force field at 1 bar find the volume."""
    pdb = app.PDBFile(str(FOLDER / "solute.pdb"))
    model = solvate(pdb, EDGE)
    system = classical_system(model.topology)
    system.addForce(openmm.MonteCarloBarostat(1 * unit.bar, KELVIN * unit.kelvin))
    integrator = openmm.LangevinMiddleIntegrator(KELVIN, 2.0, 0.002)
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("CPU")
    simulation = app.Simulation(
        model.topology, system, integrator, platform, {"Threads": "1"}
    )
    simulation.context.setPositions(model.positions)
    simulation.minimizeEnergy()
    simulation.step(8500)
    state = simulation.context.getState(positions=True, enforcePeriodicBox=True)
    model.topology.setPeriodicBoxVectors(state.getPeriodicBoxVectors())
    with path.open("w") as file:
        app.PDBFile.writeFile(model.topology, state.getPositions(), file)


def mixed_system(pdb):
    """The solute by the model, in the water of the force field."""
    model = AllegroPotential(FOLDER / "alanine.safetensors")
    mm_system = classical_system(pdb.topology)
    solute = solute_atoms(pdb.topology)
    return model.create_mixed_system(pdb.topology, mm_system, solute, backend="native")


def simulate(method, options):
    """Run or continue one of the methods."""
    pdb = app.PDBFile(str(options.box))
    system = mixed_system(pdb)
    steps = round(options.ps * 1000 / TIMESTEP)
    common = {"platform": "CPU", "threads": 1, "seed": SEEDS[method], "resume": True}
    common |= {"timestep": TIMESTEP * unit.femtosecond, "progress": False}
    output = options.output / method
    if method == "tempering":
        parallel_tempering(
            *(pdb.topology, pdb.positions, system, output),
            temperatures=temperature_ladder(
                KELVIN * unit.kelvin, HOTTEST * unit.kelvin, REPLICAS
            ),
            iterations=steps // EXCHANGE,
            steps_per_iteration=EXCHANGE,
            checkpoint_interval=2,
            **common,
        )
        return
    run(
        *(pdb.topology, pdb.positions, system, output),
        steps=steps,
        report_interval=5000,
        variable_interval=50,
        variables=VARIABLES,
        bias=BIASES[method],
        **common,
    )


def axes_of_angles():
    """Axes of φ and ψ: one turn each."""
    return tuple(make_axis(v.name, "°", [], period=360.0, bins=BINS) for v in VARIABLES)


def tempering(output):
    """Free energies of BASINS and along each angle at 300 K, of all temperatures.

    Returns
    -------
    dict of str to (float, float)
        Free energy of each basin but the first relative to that, and its error, kJ/mol.
    list of (angles, values)
        Along φ and ψ, in degrees and kJ/mol.
    str
        How long the run is.
    """
    _, replicas = read_replicas(output)
    angles = np.stack(
        [
            np.degrees(mdtraj.compute_dihedrals(x, [list(v.atoms) for v in VARIABLES]))
            for x in replicas
        ],
        axis=1,
    )  # [frames, replicas, 2]
    kelvin = KELVIN * (1 + 1e-9)
    inside = {name: within(angles[..., 0], angles[..., 1], name) for name in BASINS}
    first, *others = BASINS
    free = {
        name: basin_free_energy(output, inside[first], inside[name], kelvin)
        for name in others
        if inside[name].any()
    }
    curves = []
    for k, axis in enumerate(axes_of_angles()):
        visits = axis.bins(angles[..., k])[..., None] == np.arange(BINS)
        density = averages(output, visits.astype(float), kelvin).mean
        known = density > 1e-6
        values = -GAS_CONSTANT * KELVIN * np.log(density[known])
        curves.append((axis.centers[known], values - values.min()))
    text = f"{len(angles)} frames of {len(replicas)} replicas"
    return free, curves, text


def within(phi, psi, name):
    """Tell which angles are in one of BASINS."""
    (low, high), (below, above) = BASINS[name]
    psi = np.where(psi < -120.0, psi + 360.0, psi)
    return (phi > low) & (phi < high) & (psi > below) & (psi < above)


def members(surface, name):
    """Bins of one of BASINS."""
    phi, psi = np.meshgrid(*(axis.centers for axis in surface.axes), indexing="ij")
    return within(phi, psi, name)


def compare(options):
    """Print and draw what the methods give; write free_energy.json."""
    surfaces, lengths = {}, {}
    settings = FreeEnergySettings(bins=BINS)
    for method in BIASES:
        one = read_run(options.output / method)
        lengths[method] = f"{one.simulated:.0f} ps"
        for label, found in estimate(Source([one]), ("phi", "psi"), settings).items():
            kind = " (hills)" if "hills" in label else ""
            surfaces[f"{method}{kind}"] = found.surface
    first, *others = BASINS
    result = {"lengths": lengths, "relative to": first, "kJ/mol": {}}
    for label, surface in surfaces.items():
        rows = {
            name: basin_difference(
                surface, members(surface, first), members(surface, name)
            )
            for name in others
        }
        result["kJ/mol"][label] = rows
        print_row(label, rows)
    dashed = [{}, {}]
    if (options.output / "tempering.nc").exists():
        rows, curves, length = tempering(options.output / "tempering")
        result["kJ/mol"]["tempering"], lengths["tempering"] = rows, length
        print_row("tempering", rows)
        dashed = [{"tempering": curve} for curve in curves]
    (FOLDER / "free_energy.json").write_text(json.dumps(result, indent=2) + "\n")
    shown = surfaces["metadynamics (hills)"]
    plot_surface(shown, FOLDER / "free_energy.png", title="Metadynamics")
    for k, name in enumerate(("phi", "psi")):
        profiles = {label: surface.marginal(k) for label, surface in surfaces.items()}
        path = FOLDER / f"free_energy_{name}.png"
        plot_profiles(profiles, path, reference=dashed[k])


def print_row(label, rows):
    """Print free energies of basins."""
    text = "; ".join(f"{k} {v:.2f} ± {e:.2f}" for k, (v, e) in rows.items())
    print(f"{label:24s} {text} kJ/mol")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["box", *SEEDS, "compare"])
    parser.add_argument("--box", type=Path, default=FOLDER / "small.pdb")
    parser.add_argument("--output", type=Path, default=Path("runs/ala"))
    parser.add_argument("--ps", type=float, default=1000.0, help="of each replica")
    options = parser.parse_args()
    if options.what == "box":
        make_box(options.box)
    elif options.what == "compare":
        compare(options)
    else:
        simulate(options.what, options)


if __name__ == "__main__":
    main()
