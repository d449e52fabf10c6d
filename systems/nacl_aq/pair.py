# SPDX-License-Identifier: MIT
"""Potential of mean force of an ion pair in water: umbrella windows, and OPES.

python systems/nacl_aq/pair.py box --output runs/pair            # once
python systems/nacl_aq/pair.py umbrella --passes 4 --output runs/pair
python systems/nacl_aq/pair.py opes --ps 300 --output runs/pair
python systems/nacl_aq/pair.py compare --output runs/pair

One Na⁺ and one Cl⁻ with 62 H2O in a cube of 12.42 Å. A run that exists is continued;
with more --passes or --ps it becomes longer.
"""

import argparse
import json
from pathlib import Path

import openmm
from build_box import build_box
from openmm import app, unit

from openmm_allegro import AllegroPotential, run
from openmm_allegro.analysis import plot_overlap, plot_profiles
from openmm_allegro.bias import Opes, Restraint, Variable
from openmm_allegro.measure.free_energy import FreeEnergySettings, measure_free_energy
from openmm_allegro.measure.free_energy_runs import estimate
from openmm_allegro.runs.names import state_path
from openmm_allegro.runs.run import read_run, read_stages
from openmm_allegro.runs.source import Source
from openmm_allegro.runs.window import Window
from openmm_allegro.simulate import Umbrella, run_umbrella

FOLDER = Path(__file__).parent
WATERS, EDGE, SEED = 62, 12.42, 3
ATOMS = (186, 187)
CENTERS = tuple(round(2.6 + 0.25 * i, 2) for i in range(14))  # Å
FORCE_CONSTANT = 60.0  # kJ/mol/Å²
STEPS, EQUILIBRATION = 2500, 500  # of 2 fs, of each window
SETTINGS = {
    "timestep_fs": 2.0,
    "hydrogen_mass_da": 3.0,
    "report_interval": 500,
    "variable_interval": 10,
}
# OPES: a wall keeps the pair within half of the box.
WALL = Restraint("r", 5.9, 200.0, side="above")
BIAS = Opes(
    variables=("r",),
    widths=(0.12,),
    barrier_kj_mol=20.0,
    pace=250,
    lower=(2.0,),
    upper=(7.0,),
)
LIMITS, BINS = (2.4, 6.0), 36


def make_start(output):
    """Pack the box and equilibrate it for 6 ps."""
    topology, positions = build_box(WATERS, 1, EDGE, SEED)
    with open(f"{output}/packed.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions, file)
    run(
        *(topology, positions, make_system(topology), output / "start"),
        steps=3000,
        timestep=2 * unit.femtosecond,
        friction=5 / unit.picosecond,
        hydrogen_mass=3.0 * unit.dalton,
        report_interval=100,
        threads=1,
        platform="CPU",
        seed=1,
        resume=True,
        progress=False,
    )


def make_system(topology):
    """All atoms by the model."""
    model = AllegroPotential(FOLDER / "nacl_aq.safetensors")
    return model.create_system(topology, backend="native")


def read_start(output):
    """Topology and positions of the end of `make_start`."""
    pdb = app.PDBFile(str(output / "packed.pdb"))
    return pdb.topology, end_of(state_path(output / "start"))


def end_of(path):
    """Positions of a run's state."""
    return openmm.XmlSerializer.deserialize(Path(path).read_text()).getPositions()


def run_windows(options):
    """Run passes over all windows, each in the other direction than the one before."""
    topology, positions = read_start(options.output)
    system = make_system(topology)
    for turn in range(1, options.passes + 1):
        centers = CENTERS if turn % 2 else CENTERS[::-1]
        umbrella = Umbrella(("r",), centers, (FORCE_CONSTANT,), STEPS, EQUILIBRATION)
        files = run_umbrella(
            *(topology, positions, system, umbrella),
            options.output / "umbrella" / str(turn),
            variables=[Variable("r", "distance", atoms=ATOMS)],
            settings=SETTINGS,
            platform="CPU",
            threads=1,
            seed=100 * turn,
            resume=True,
            progress=False,
        )
        positions = end_of(list(files.values())[-1]["state"])


def run_opes(options):
    """Run OPES from the start, with the wall."""
    topology, positions = read_start(options.output)
    run(
        *(topology, positions, make_system(topology), options.output / "opes"),
        steps=round(500 * options.ps),
        timestep=2 * unit.femtosecond,
        hydrogen_mass=3.0 * unit.dalton,
        report_interval=1000,
        variable_interval=10,
        variables=[Variable("r", "distance", atoms=ATOMS)],
        restraints=[WALL],
        bias=BIAS,
        threads=1,
        platform="CPU",
        seed=7,
        resume=True,
        progress=False,
    )


def compare(options):
    """Print minima and barriers of both, draw them, and write pair.json."""
    settings = FreeEnergySettings(bins=BINS, limits=LIMITS, radial=True)
    passes = sorted((options.output / "umbrella").iterdir(), key=lambda x: int(x.name))
    windows = [run for folder in passes for run in read_stages(folder)]
    skipped = EQUILIBRATION * SETTINGS["timestep_fs"] * 1e-3
    sources = {
        f"umbrella, {len(passes)} × {len(CENTERS)} windows": Source(
            windows, Window(start=skipped)
        )
    }
    if (options.output / "opes.json").exists():
        one = read_run(options.output / "opes")
        sources[f"OPES, {one.simulated:.0f} ps"] = Source([one])
    result, surfaces = {}, {}
    for label, source in sources.items():
        measured = measure_free_energy(source, ["r"], settings)
        (found,) = estimate(source, ("r",), settings).values()
        surfaces[label] = found.surface
        result[label] = measured.results["r"] | {
            "notes": measured.notes,
            "warnings": measured.warnings,
        }
        for row in measured.rows:
            error = "" if row.error is None else f" ± {row.error:.2f}"
            print(f"{label:32s} {row.quantity:32s} {row.value:.2f}{error} {row.unit}")
        print(*measured.notes, *measured.warnings, sep="\n")
        if found.windows is not None:
            path = FOLDER / "pair_overlap.png"
            plot_overlap(found.windows.overlap, path, names=found.window_names)
    text = json.dumps(result, indent=1, default=plain)
    (FOLDER / "pair.json").write_text(text + "\n")
    plot_profiles(surfaces, FOLDER / "pair.png")


def plain(value):
    """An array as a list, to three digits."""
    return (
        [None if x != x else x for x in value.round(3).tolist()]
        if (value.ndim == 1)
        else value.round(3).tolist()
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["box", "umbrella", "opes", "compare"])
    parser.add_argument("--output", type=Path, default=Path("runs/pair"))
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--ps", type=float, default=300.0)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.what == "box":
        make_start(options.output)
    elif options.what == "umbrella":
        run_windows(options)
    elif options.what == "opes":
        run_opes(options)
    else:
        compare(options)


if __name__ == "__main__":
    main()
