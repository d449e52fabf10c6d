# SPDX-License-Identifier: MIT
"""Compare averages of runs in LAMMPS with those of OpenMM, by ``analyze`` alone.

Aqueous NaCl (184 atoms) at 300 K by Langevin dynamics in both programs, of the same
model from the same start: g(r), neighbours and diffusion, with their errors. Its energy
at constant energy in LAMMPS. The density of EC/EMC (160 atoms) at 300 K and 1 bar in
LAMMPS, beside that of OpenMM in systems/ec_emc/density.json. All 0.5 fs and exact, but
the first and the last, which have the two-body table, the last at 1 fs.

python benchmarks/lammps_physics.py [--runs openmm lammps nve npt] [--analyze]

Each run takes one core half an hour to an hour; --runs makes some of them only, so that
several processes can share the work. A run that was killed continues; one that is there
is not run again. With --analyze nothing is run: what is there is compared, run or still
running. Writes results/lammps_physics.json and .png beside this file.
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
from hardware import hardware, version
from lammps_runs import environment, program
from training import commit

from openmm_allegro.units import EV_TO_KJ_PER_MOL

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "lammps_physics.json"
SALT = ("nacl_aq/nacl_aq.safetensors", "nacl_aq/nacl_aq.pdb")
CARBONATES = ("ec_emc/ec_emc.safetensors", "ec_emc/ec_emc.pdb")
TABLE = ("--two-body", "table")
# Run: command, system, steps, other options.
RUNS = {
    "openmm": ("simulate", SALT, 480_000, (*TABLE, "--ensemble", "nvt")),
    "lammps": ("lammps", SALT, 480_000, (*TABLE, "--ensemble", "nvt")),
    "nve": ("lammps", SALT, 20_000, ("--ensemble", "nve")),
    "npt": (
        "lammps",
        CARBONATES,
        100_000,
        (*TABLE, "--ensemble", "npt", "--timestep", "1"),
    ),
}
BOTH = ("openmm", "lammps")
PAIRS = ("Na-O", "Cl-O", "O-O")
SHELLS = (0.335, 0.41, 0.36)  # nm, first minima of g(r)
SKIPPED = 5.0  # ps


def main() -> None:
    options = _options()
    if not options.analyze:
        for name in options.runs:
            _run(name, options.output)
    content = {
        "hardware": hardware(1),
        "lammps": version("lammps"),
        "commit": commit(ROOT),
        "runs": {name: _length(_prefix(name, options.output)) for name in RUNS},
        "rdf": _distributions(options),
        "diffusion": _diffusion(options),
        "nve": _drift(options),
        "density": _density(options),
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(content, indent=1) + "\n")
    from lammps_figure import draw

    figure = options.results.with_suffix(".png")
    draw(options.output, BOTH, figure, content["density"]["openmm_g_cm3"])
    print("\n".join(_lines(content)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--analyze", action="store_true", help="run nothing")
    parser.add_argument("--stop", type=float, help="last time of both, ps")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "lammps_physics")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def _run(name: str, folder: Path) -> None:
    """Run one of RUNS, or continue it."""
    command, system, steps, other = RUNS[name]
    target = folder / name / "nvt" if command == "simulate" else folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    files = [str(ROOT / "systems" / path) for path in system]
    start = ["--steps", str(steps), "--no-minimize", "--seed", "1"]
    start += ["--report-interval", "20"]
    if command == "simulate":
        start += ["--platform", "CPU", "--threads", "1", "--backend", "native"]
        start += ["--resume", "--output", str(target)]
        _call([command, *files, *start, *other])
        return
    if (target / "in.lammps").exists():
        _call([command, str(target), "--resume"])
    else:
        _call([command, *files, *start, *other, "--output", str(target)])
    lmp = [program("lmp"), "-log", "none", "-screen", "none"]
    subprocess.run(
        [*lmp, "-in", str(target / "in.lammps")], check=True, env=environment()
    )


def _call(arguments: list[str]) -> None:
    subprocess.run(
        [program("openmm-allegro"), *arguments], check=True, env=environment()
    )


def _prefix(name: str, folder: Path) -> Path:
    """Prefix for ``analyze``: the stage of a single run is named as its ensemble."""
    options = RUNS[name][3]
    return folder / name / options[options.index("--ensemble") + 1]


def _length(prefix: Path) -> dict:
    table = np.genfromtxt(f"{prefix}.csv", delimiter=",", skip_header=1)
    record = json.loads(Path(f"{prefix}.json").read_text())
    kept = ("timestep_fs", "temperature_k", "friction_per_ps", "integrator", "engine")
    return {"ps": float(table[-1, 1])} | {k: record[k] for k in kept if k in record}


def _analyze(quantity: str, name: str, options, *words: str) -> dict:
    """Results of ``openmm-allegro analyze`` of a run."""
    file = options.output / f"{name}-{quantity}.json"
    where = [str(_prefix(name, options.output)), *words, "--json", str(file)]
    _call(["analyze", quantity, *where, "--force"])
    return json.loads(file.read_text())["results"]


def _times(options: argparse.Namespace) -> list[str]:
    stop = [] if options.stop is None else ["--stop", str(options.stop)]
    return ["--start", str(SKIPPED), *stop]


def _distributions(options: argparse.Namespace) -> dict:
    """Compare g(r) in errors of the difference, where both are known."""
    shells = ",".join(map(str, SHELLS))
    words = [*PAIRS, "--r-max", "0.62", "--bin-width", "0.01", "--shell", shells]
    curves = {n: _analyze("rdf", n, options, *words, *_times(options)) for n in BOTH}
    result = {}
    for pair in PAIRS:
        g, error = (
            np.array([curves[name][pair]["distribution"][key] for name in BOTH])
            for key in ("g", "g_error")
        )
        known = (error > 0).all(axis=0)
        sigma = (np.diff(g, axis=0)[0] / np.hypot(*np.where(known, error, 1)))[known]
        shells = [curves[name][pair]["coordination"] for name in BOTH]
        numbers = [[s["number"], s["number_error"]] for s in shells]
        result[pair] = {
            "rms_difference_sigma": float(np.sqrt((sigma**2).mean())),
            "largest_difference_sigma": float(abs(sigma).max()),
            "bins": int(known.sum()),
            "first_peak_nm": [s["r_peak"] for s in shells],
            "neighbors": numbers,
            "neighbors_difference_sigma": _sigma(*numbers),
        }
    return result


def _diffusion(options: argparse.Namespace) -> dict:
    found = {n: _analyze("diffusion", n, options, *_times(options)) for n in BOTH}
    result = {}
    for kind in found["openmm"]:
        values = [[found[n][kind][k] for k in ("coefficient", "error")] for n in BOTH]
        result[kind] = {
            "cm2_per_s": values,
            "difference_sigma": _sigma(*values),
            "particles": found["openmm"][kind]["particles"],
        }
    return result


def _drift(options: argparse.Namespace) -> dict:
    result = _analyze("stability", "nve", options, "--start", "0")["all"]
    mev = EV_TO_KJ_PER_MOL / 1000
    drift = result["energy_drift"]
    return {
        "drift_mev_per_atom_per_ps": [drift[k] / mev for k in ("value", "error")],
        "broken_bonds": len(result["bonds"]["broken"]),
        "ps": _length(_prefix("nve", options.output))["ps"],
    }


def _density(options: argparse.Namespace) -> dict:
    words = ["--start", str(SKIPPED)]
    found = _analyze("thermodynamics", "npt", options, *words)["all"]["density"]
    ours = [found[key] / 1000 for key in ("value", "error")]
    file = ROOT / "systems" / "ec_emc" / "density.json"
    openmm = json.loads(file.read_text())["density_g_cm3"]
    table = np.genfromtxt(
        f"{_prefix('npt', options.output)}.csv", delimiter=",", names=True
    )
    column = next(name for name in table.dtype.names if name.startswith("Density"))
    time = next(name for name in table.dtype.names if name.startswith("Time"))
    later = table[table[time] >= SKIPPED]
    blocks = max(int((later[time][-1] - later[time][0]) / 10.0), 1)
    return {
        "g_cm3": ours,
        "openmm_g_cm3": openmm,
        "difference_sigma": _sigma(ours, openmm),
        "means_of_10_ps": [
            float(block.mean()) for block in np.array_split(later[column], blocks)
        ],
    }


def _sigma(one: list[float], other: list[float]) -> float:
    """Difference of two estimates over its error."""
    return float((other[0] - one[0]) / np.hypot(one[1], other[1]))


def _lines(content: dict):
    from openmm_allegro.analysis.figures.figure import with_error

    yield "| | OpenMM | LAMMPS | difference over its error |"
    yield "|---|---|---|---|"
    for pair, row in content["rdf"].items():
        cells = [with_error(*number) for number in row["neighbors"]]
        sigma = f"{row['neighbors_difference_sigma']:+.1f}"
        yield f"| neighbours {pair} | {' | '.join(cells)} | {sigma} |"
        peaks = [f"peak {r:.3f} nm" for r in row["first_peak_nm"]]
        sigma = f"{row['rms_difference_sigma']:.2f} rms, "
        sigma += f"{row['largest_difference_sigma']:.1f} at most of {row['bins']}"
        yield f"| g(r) {pair} | {' | '.join(peaks)} | {sigma} |"
    for kind, row in content["diffusion"].items():
        cells = [with_error(*(1e5 * x for x in value)) for value in row["cm2_per_s"]]
        sigma = f"{row['difference_sigma']:+.1f}"
        yield f"| D of {kind}, 10⁻⁵ cm²/s | {' | '.join(cells)} | {sigma} |"
    row = content["density"]
    cells = [with_error(*row[key]) for key in ("openmm_g_cm3", "g_cm3")]
    cells.append(f"{-row['difference_sigma']:+.1f}")
    yield f"| density of EC/EMC, g/cm³ | {' | '.join(cells)} |"
    row = content["nve"]
    drift = with_error(*row["drift_mev_per_atom_per_ps"])
    yield f"| drift in {row['ps']:.0f} ps of NVE, meV/atom/ps | | {drift} | |"


if __name__ == "__main__":
    main()
