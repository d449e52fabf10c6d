# SPDX-License-Identifier: MIT
"""Compare 20 ps of aqueous NaCl by the native force with 20 ps by TorchForce.

Both start from the same positions and velocities, equilibrated at 300 K, with the same
seed, at 0.5 fs on OpenMM's CPU platform: NVT by Langevin dynamics, and NVE. With one
thread both run the same kernel on the same pairs in the same order, and no bit of a
position should differ after all steps. With several, rounding makes the trajectories
part after some picoseconds. Averages are compared with their errors: drift of the
energy, temperature of the whole and of each element, g(r). Writes
results/native_trajectories.json and .png beside this file.

python benchmarks/native_trajectories.py [--steps 40000] [--threads 1]

Takes 35 minutes of one core. A run that was killed continues, one that is complete is
not run again; --run makes some of them only, so that two processes can share the work.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from hardware import hardware

from openmm_allegro.runs.names import state_path
from openmm_allegro.units import EV_TO_KJ_PER_MOL

ROOT = Path(__file__).parents[1]
SYSTEM = ROOT / "systems" / "nacl_aq"
RESULTS = Path(__file__).parent / "results" / "native_trajectories.json"
TEMPERATURE, SEED, EVERY = 300.0, 22, 20  # K; steps between frames
BACKENDS = {"torchforce": "TorchForce", "native": "native"}
ENSEMBLES = ("nvt", "nve")
RUNS = [f"{backend}/{ensemble}" for ensemble in ENSEMBLES for backend in BACKENDS]
ELEMENTS = ("H", "O", "Na", "Cl")
SHELLS = {"Na-O": 0.335, "Cl-O": 0.41, "O-O": 0.36}  # nm, first minima of g(r)
PAIRS = tuple(SHELLS)
R_MAX, BIN_WIDTH, BLOCKS = 0.62, 0.01, 10  # nm; half the box
SKIPPED = 200  # frames, 2 ps, of equilibration
GAS_CONSTANT = 0.00831446261815324  # kJ/mol/K


def main() -> None:
    options = _options()
    folder = options.output
    for name in options.run:
        _simulate(name, folder, options)
    done = {name: _record(folder / name).get("completed_steps", 0) for name in RUNS}
    if min(done.values()) < options.steps:
        print(f"not all runs are complete: {done} of {options.steps} steps")
        return
    results = {backend: _averages(folder, backend) for backend in BACKENDS}
    curves = {backend: _distributions(folder, backend) for backend in BACKENDS}
    content = {
        "hardware": hardware(options.threads),
        "model": "systems/nacl_aq/nacl_aq.safetensors",
        "seed": SEED,
        "steps": options.steps,
        "timestep_fs": 0.5,
        "results": results,
        "distance": {e: _distance(folder, e) for e in ENSEMBLES},
        "rdf": {pair: _difference(curves, pair) for pair in PAIRS},
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(content, indent=1) + "\n")
    _draw(folder, curves, results, options.results.with_suffix(".png"))
    _print(content)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--run", nargs="*", choices=RUNS, default=RUNS)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "runs" / "native_trajectories"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def _simulate(name: str, folder: Path, options: argparse.Namespace) -> None:
    """Run one of RUNS from the common start, or continue it."""
    import openmm
    from openmm import app, unit

    from openmm_allegro import AllegroPotential, run

    backend, ensemble = name.split("/")
    pdb = app.PDBFile(str(SYSTEM / "nacl_aq.pdb"))
    potential = AllegroPotential(SYSTEM / "nacl_aq.safetensors")
    given = {
        "temperature": TEMPERATURE * unit.kelvin,
        "timestep": 0.5 * unit.femtosecond,
        "platform": "CPU",
        "threads": options.threads,
        "seed": SEED,
        "resume": True,
        "progress": False,
    }
    start = folder / "start.xml"
    if not start.exists():
        system = potential.create_system(pdb.topology, backend="native")
        friction = 5.0 / unit.picosecond
        files = run(
            pdb.topology,
            pdb.positions,
            system,
            folder / "equilibration",
            steps=min(4000, options.steps),
            friction=friction,
            **given,
        )
        start.write_bytes(files["state"].read_bytes())
    run(
        pdb.topology,
        pdb.positions,
        potential.create_system(pdb.topology, backend=backend),
        folder / name,
        steps=options.steps,
        ensemble=ensemble,
        state=openmm.XmlSerializer.deserialize(start.read_text()),
        report_interval=EVERY,
        velocity_interval=EVERY if ensemble == "nvt" else 0,
        minimize=False,
        **given,
    )
    print(f"{name}: complete", flush=True)


def _record(prefix: Path) -> dict:
    path = Path(f"{prefix}.json")
    return json.loads(path.read_text()) if path.exists() else {}


def _averages(folder: Path, backend: str) -> dict:
    """Drift of NVE and temperatures of NVT, of all atoms and of each element."""
    from openmm_allegro.analysis.stability import check_temperature, drift, residuals

    conserved = _energies(folder / backend / "nve.csv")
    atoms, elements = _atoms(folder / backend / "nvt.pdb")
    per_atom = 1000 * conserved["total"] / atoms / EV_TO_KJ_PER_MOL
    slope = drift(conserved["time"], per_atom)
    run = _energies(folder / backend / "nvt.csv")
    freedom = 3 * atoms - 3
    temperature = check_temperature(
        run["time"][SKIPPED:], run["temperature"][SKIPPED:], TEMPERATURE, freedom
    )
    record = _record(folder / backend / "nvt")
    return {
        "drift_mev_per_atom_per_ps": _rounded(slope),
        "fluctuation_mev_per_atom": float(residuals(conserved["time"], per_atom).std()),
        "temperature_k": _rounded(temperature.mean),
        "temperature_variance_over_canonical": _rounded(temperature.variance_ratio),
        "kinetic_temperature_k": {
            element: _rounded(value)
            for element, value in _kinds(folder / backend / "nvt.h5", elements).items()
        },
        "openmm": record["openmm_version"],
        "platform": record["platform"],
    }


def _distance(folder: Path, ensemble: str) -> dict:
    """Compare positions: of all frames, which XTC rounds to 1e-3 nm, and the last."""
    import mdtraj
    import openmm

    prefixes = [folder / backend / ensemble for backend in BACKENDS]
    frames = [mdtraj.load(f"{p}.xtc", top=f"{p}.pdb").xyz for p in prefixes]
    apart = np.linalg.norm(frames[0] - frames[1], axis=-1).max(axis=1)
    states = [
        openmm.XmlSerializer.deserialize(state_path(p).read_text()) for p in prefixes
    ]
    ends = [state.getPositions(asNumpy=True)._value for state in states]
    different = np.flatnonzero(apart)
    return {
        "frames": len(apart),
        "first_frame_that_differs": int(different[0]) if len(different) else None,
        "largest_in_frames_nm": float(apart.max()),
        "largest_at_the_end_nm": float(abs(ends[0] - ends[1]).max()),
    }


def _rounded(estimate) -> list[float]:
    """Value and error, to six digits."""
    return [float(f"{number:.6g}") for number in estimate]


def _energies(path: Path) -> dict[str, np.ndarray]:
    columns = {"time": 1, "total": 4, "temperature": 5}
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    return {name: table[:, column] for name, column in columns.items()}


def _atoms(path: Path) -> tuple[int, dict[str, np.ndarray]]:
    """Number of atoms, and indices of those of each element."""
    from openmm import app

    symbols = np.array(
        [atom.element.symbol for atom in app.PDBFile(str(path)).topology.atoms()]
    )
    return len(symbols), {e: np.flatnonzero(symbols == e) for e in ELEMENTS}


def _kinds(path: Path, elements: dict[str, np.ndarray]) -> dict:
    """Compute 2 E_kin / (3 N k) of each element from the velocities, K."""
    from openmm import app

    from openmm_allegro.analysis.statistics import series_mean
    from openmm_allegro.utils.hdf5 import open_hdf5

    with open_hdf5(path) as file:
        velocities = np.asarray(file.root.velocities[SKIPPED:], dtype=float)  # nm/ps
    temperatures = {}
    for element, atoms in elements.items():
        mass = app.Element.getBySymbol(element).mass._value  # Da
        square = (velocities[:, atoms] ** 2).sum((1, 2)) / (3 * len(atoms))
        temperatures[element] = series_mean(mass * square / GAS_CONSTANT)
    return temperatures


def _distributions(folder: Path, backend: str) -> dict:
    """g(r) of each pair with the errors of blocks."""
    import mdtraj

    from openmm_allegro.analysis.structure.rdf import radial_distributions

    paths = [str(folder / backend / f"nvt{suffix}") for suffix in (".xtc", ".pdb")]
    trajectory = mdtraj.load(paths[0], top=paths[1])[SKIPPED:]
    pairs = {
        pair: tuple(f"element {element}" for element in pair.split("-"))
        for pair in PAIRS
    }
    options = {"r_max": R_MAX, "bin_width": BIN_WIDTH, "n_blocks": BLOCKS}
    return radial_distributions(trajectory, pairs, **options)


def _difference(curves: dict, pair: str) -> dict:
    """Compare the g(r) of both: in errors of the difference, where both are known."""
    one, other = (curves[backend][pair] for backend in BACKENDS)
    error = np.hypot(one.g_error, other.g_error)
    known = (one.g_error > 0) & (other.g_error > 0)
    sigma = np.abs(one.g - other.g)[known] / error[known]  # of a difference
    return {
        "largest_difference_sigma": float(sigma.max()),
        "at_nm": float(one.r[known][sigma.argmax()]),
        "rms_difference_sigma": float(np.sqrt((sigma**2).mean())),
        "bins": int(known.sum()),
        "coordination_at_first_minimum": {
            backend: [
                float(np.interp(SHELLS[pair], curve.r + BIN_WIDTH / 2, values))
                for values in (curve.number, curve.number_error)
            ]
            for backend, curve in ((b, curves[b][pair]) for b in BACKENDS)
        },
    }


def _draw(folder: Path, curves: dict, results: dict, path: Path) -> None:
    """Draw g(r), the temperature and the energy's drift of both."""
    from openmm_allegro.analysis.figures.figure import COLORS, band, new_figure

    with new_figure(path) as axes:
        figure = axes.figure
        figure.set_size_inches(7.0, 4.6)
        axes.remove()
        grid = figure.add_gridspec(2, 6)
        for column, pair in enumerate(PAIRS):
            axes = figure.add_subplot(grid[0, 2 * column : 2 * column + 2])
            for (backend, name), color in zip(BACKENDS.items(), COLORS, strict=False):
                curve = curves[backend][pair]
                style = {"linewidth": 3.5 if backend == "torchforce" else 1.0}
                error = None if backend == "torchforce" else curve.g_error
                options = {"label": name, "style": style}
                band(axes, 10 * curve.r, curve.g, error, color, **options)
            axes.set(xlabel="$r$ (Å)", ylabel=f"$g(r)$ {pair.replace('-', '–')}")
            axes.set(xlim=(2, 10 * R_MAX), ylim=(0, None))
            if not column:
                axes.legend(title="Force", alignment="left")
        left, right = (figure.add_subplot(grid[1, 3 * i : 3 * i + 3]) for i in (0, 1))
        for (backend, _), color in zip(BACKENDS.items(), COLORS, strict=False):
            style = {"color": color, "lw": 1.6 if backend == "torchforce" else 0.4}
            run = _energies(folder / backend / "nvt.csv")
            left.plot(run["time"], run["temperature"], **style)
            run = _energies(folder / backend / "nve.csv")
            atoms, _ = _atoms(folder / backend / "nvt.pdb")
            per_atom = 1000 * run["total"] / atoms / EV_TO_KJ_PER_MOL
            right.plot(run["time"], per_atom - per_atom[0], **style)
        left.axhline(TEMPERATURE, color="0.3", linewidth=0.8)
        left.set(xlabel="Time (ps)", ylabel="Temperature (K)", title="NVT")
        label = "$E - E_0$ (meV/atom)"
        right.set(xlabel="Time (ps)", ylabel=label, title="NVE")
        for axes in (left, right):
            axes.set_xlim(0, run["time"][-1])


def _print(content: dict) -> None:
    from openmm_allegro.analysis.figures.figure import with_error

    results = [content["results"][backend] for backend in BACKENDS]
    print(f"| | {' | '.join(BACKENDS.values())} |\n|---|---|---|")
    for key, what in (
        ("drift_mev_per_atom_per_ps", "NVE: drift, meV/atom/ps"),
        ("temperature_k", "NVT: temperature, K"),
    ):
        cells = [with_error(*result[key]) for result in results]
        print(f"| {what} | {' | '.join(cells)} |")
    for element in ELEMENTS:
        cells = [with_error(*r["kinetic_temperature_k"][element]) for r in results]
        print(f"| temperature of {element}, K | {' | '.join(cells)} |")
    for pair, numbers in content["rdf"].items():
        shells = numbers["coordination_at_first_minimum"]
        cells = [with_error(*shells[backend]) for backend in BACKENDS]
        print(f"| neighbours {pair} within {SHELLS[pair]} nm | {' | '.join(cells)} |")
    for ensemble, numbers in content["distance"].items():
        print(
            f"{ensemble}: positions after {content['steps']} steps differ by "
            f"{numbers['largest_at_the_end_nm']:.1g} nm at most"
        )
    for pair, numbers in content["rdf"].items():
        print(
            f"g(r) of {pair} differs by {numbers['rms_difference_sigma']:.2f} errors "
            f"rms, {numbers['largest_difference_sigma']:.1f} at most, in "
            f"{numbers['bins']} bins"
        )


if __name__ == "__main__":
    main()
