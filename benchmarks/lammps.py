# SPDX-License-Identifier: MIT
"""Measure models in LAMMPS: cost, memory, ranks, and ten million atoms.

Aqueous NaCl of systems/nacl_aq, repeated, and the small model of systems/li3po4, at
constant energy and 0.5 fs, by the pair style that the package compiles. Its parts:

cost      µs an atom of LAMMPS and of the compiled kernel alone, one thread, in turns
memory    peak of the memory by number of atoms, one rank, and µs an atom of the largest
ranks     memory of 1, 2 and 4 ranks, which share one copy of a model's table
scaling   94,208 atoms on one rank and on two, and half of them on one rank
big       ten steps of 10,096,448 atoms on two ranks
extrapolation  to 10⁸ atoms, from the parts before

python benchmarks/lammps.py [--parts cost memory ...] [--quick]

`scaling` takes 4 minutes and needs two cores that do nothing else; the others compare
processor times. `cost` takes 2 minutes, `memory` 2, `ranks` 1, `big` 20 and 4 GB.
Writes results/lammps.json beside this file; parts that are not measured again keep
their results there. `big` notes step and memory each minute in --log, and with --read
it only reads there what a run has noted.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from hardware import hardware, version
from lammps_runs import Case, Session, input_lines, run, write_case
from training import commit
from worker import Worker

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "lammps.json"
SYSTEMS = {
    "nacl_aq": ("nacl_aq/nacl_aq.pdb", "nacl_aq/nacl_aq.safetensors"),
    "li3po4, small": ("li3po4/crystal.pdb", "li3po4/small.safetensors"),
}
# system, two_body, replicas, steps of a turn
COST = {
    "nacl_aq": ("nacl_aq", "exact", (4, 4, 3), 2),
    "nacl_aq, table": ("nacl_aq", "table", (4, 4, 3), 3),
    "li3po4, small": ("li3po4, small", "exact", (5, 5, 4), 6),
    "li3po4, small, table": ("li3po4, small", "table", (5, 5, 4), 6),
}
SKIN = 1.0  # Å, that of the package's own lists
CELLS = (4, 8, 12, 18)  # along each side: 11,776 to 1,073,088 atoms
WHOLE, HALF = (8, 8, 8), (8, 8, 4)  # 94,208 atoms, 47,104
BIG, BIG_SKIN, BIG_RANKS, BIG_STEPS = 38, 0.5, 2, 10


def main() -> None:
    options = _options()
    parts = {
        "cost": _cost,
        "memory": _memory,
        "ranks": _ranks,
        "scaling": _scaling,
        "big": _big,
        "extrapolation": _extrapolation,
    }
    file = options.results
    for name in options.parts or parts:
        if name not in parts:
            raise SystemExit(f"expected parts of {', '.join(parts)}, found {name}")
        print(f"{name} ...", flush=True)
        # Read again, because another process may have added a part.
        content = json.loads(file.read_text()) if file.exists() else {}
        with tempfile.TemporaryDirectory() as folder:
            content[name] = parts[name](options, Path(folder), content)
        content[name].setdefault("measured", _circumstances())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1) + "\n")
    from lammps_table import lines

    print("\n".join(lines(content)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", metavar="PART")
    parser.add_argument("--quick", action="store_true", help="a trial of the script")
    parser.add_argument("--log", type=Path, default=ROOT / "runs" / "lammps_big.jsonl")
    parser.add_argument("--read", action="store_true", help="read --log, do not run")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def _circumstances() -> dict:
    machine = hardware(1)
    machine["versions"] |= {name: version(name) for name in ("lammps", "mpich")}
    return {"hardware": machine, "commit": commit(ROOT)}


def _case(system: str, two_body: str, folder: Path) -> Case:
    structure, model = (ROOT / "systems" / name for name in SYSTEMS[system])
    return write_case(structure, model, folder, two_body)


def _cost(options: argparse.Namespace, folder: Path, _: dict) -> dict:
    """Let LAMMPS and the kernel take steps in turns, each on one thread."""
    rows = {}
    for name, (system, two_body, replicate, steps) in COST.items():
        if options.quick:
            replicate, steps = (2, 2, 1), 3
        case = _case(system, two_body, folder)
        session = Session(input_lines(case, replicate, skin=SKIN))
        dump = folder / "atoms"
        session.ask(
            f"run {steps}",
            f"write_dump all custom {dump} type x y z modify format float %.17g",
        )
        arguments = [str(case.model), str(dump), str(SKIN)]
        kernel = Worker("lammps_kernel.py", arguments, {"OMP_NUM_THREADS": "1"})
        atoms, pairs = kernel.answer["atoms"], kernel.answer["pairs"]
        times: dict[str, list[float]] = {"lammps": [], "kernel": []}
        for number in range(3 if options.quick else 15):
            for which in ("lammps", "kernel")[:: 1 if number % 2 else -1]:
                if which == "kernel":
                    seconds = kernel.ask(str(steps))["seconds"]
                else:
                    command = f"run {steps} pre no post no"
                    seconds = session.seconds(command) / steps
                times[which].append(1e6 * seconds / atoms)
        session.close()
        kernel.close()
        ratio = np.array(times["lammps"]) / np.array(times["kernel"])
        rows[name] = {
            "atoms": atoms,
            "pairs_per_atom": pairs / atoms,
            "lammps_us_per_atom": float(np.median(times["lammps"])),
            "kernel_us_per_atom": float(np.median(times["kernel"])),
            "lammps_over_kernel_quartiles": _quartiles(ratio),
        }
        print(f"  {name}: {rows[name]}", flush=True)
    return {"skin_angstrom": SKIN, "rows": rows}


def _quartiles(values: np.ndarray) -> list[float]:
    return np.quantile(values, [0.25, 0.5, 0.75]).tolist()


def _memory(options: argparse.Namespace, folder: Path, _: dict) -> dict:
    """Find the peak of the memory: the list of neighbours is made anew at each step."""
    case, rows = _case("nacl_aq", "exact", folder), []
    for cells in CELLS[:2] if options.quick else CELLS:
        lines = input_lines(case, [cells] * 3, skin=SKIN, check=False)
        (loop,), memory = run([*lines, "run 2"], folder)
        rows.append(
            {
                "atoms": loop["atoms"],
                "peak_mb": memory.peaks[0],
                "us_per_atom": 1e6
                * loop["seconds"]
                * loop["cpu_use"]
                / (loop["steps"] * loop["atoms"]),
            }
        )
        print(f"  {rows[-1]}", flush=True)
    atoms, peaks = (np.array([r[k] for r in rows]) for k in ("atoms", "peak_mb"))
    slope, intercept = np.polyfit(atoms, peaks, 1)
    return {
        "skin_angstrom": SKIN,
        "rows": rows,
        "bytes_per_atom": float(1e6 * slope),
        "mb_per_rank": float(intercept),
    }


def _ranks(options: argparse.Namespace, folder: Path, _: dict) -> dict:
    """Compare the memory of ranks with a table and without."""
    rows, replicate = [], (2, 2, 2) if options.quick else WHOLE
    for two_body in ("exact", "table"):
        case = _case("nacl_aq", two_body, folder)
        for number in (1, 2, 4):
            lines = input_lines(case, replicate, skin=SKIN)
            _, memory = run([*lines, "run 0"], folder, number)
            rows.append(
                {
                    "two_body": two_body,
                    "ranks": number,
                    "file_mb": case.model.stat().st_size / 1e6,
                    "peaks_mb": memory.peaks,
                    "proportional_mb": memory.proportional,
                    "starters_mb": memory.starters,
                }
            )
            print(f"  {rows[-1]}", flush=True)
    return {"atoms": 184 * int(np.prod(replicate)), "rows": rows}


def _scaling(options: argparse.Namespace, folder: Path, _: dict) -> dict:
    """Time one and two ranks in turns, by the clock."""
    whole, half = ((2, 2, 2), (2, 2, 1)) if options.quick else (WHOLE, HALF)
    kinds = {"one": (whole, 1), "two": (whole, 2), "half on one": (half, 1)}
    case, rounds = _case("nacl_aq", "exact", folder), []
    load = os.getloadavg()[0]
    for _ in range(2 if options.quick else 5):
        row = {}
        for name, (replicate, number) in kinds.items():
            lines = input_lines(case, replicate, skin=SKIN)
            (loop,), _ = run([*lines, "run 8"], folder, number, every=5.0)
            row[name] = loop["seconds"] / loop["steps"]
        rounds.append(row)
        print(f"  {row}", flush=True)
    seconds = {name: [row[name] for row in rounds] for name in kinds}
    one, two, part = (np.array(seconds[name]) for name in kinds)
    return {
        "atoms": 184 * int(np.prod(whole)),
        "seconds_per_step": seconds,
        "load_before": load,
        "speedup": float(np.median(one / two)),
        "speedup_of_shortest": float(one.min() / two.min()),
        "weak_efficiency": float(np.median(part / two)),
        "weak_efficiency_of_shortest": float(part.min() / two.min()),
    }


def _big(options: argparse.Namespace, folder: Path, _: dict) -> dict:
    """Take ten steps of ten million atoms, or read what a run has noted of them."""
    cells = 3 if options.quick else BIG
    log = options.log
    if not options.read:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(json.dumps(_circumstances()) + "\n")
        case = _case("nacl_aq", "table", folder)
        lines = input_lines(case, [cells] * 3, skin=BIG_SKIN)
        lines += ["thermo 1", f"run {BIG_STEPS}"]
        run(lines, folder, BIG_RANKS, log=log, every=1.0 if options.quick else 60.0)
    about, *_, last = map(json.loads, log.read_text().splitlines())
    return {
        "atoms": 184 * cells**3,
        "ranks": BIG_RANKS,
        "two_body": "table",
        "skin_angstrom": BIG_SKIN,
        "steps": last["step"],
        "seconds": last["seconds"],
        "peaks_mb": last["peaks_mb"],
        "proportional_mb": last["proportional_mb"],
        "starters_mb": last["starters_mb"],
        "measured": about,
    }


def _extrapolation(_: argparse.Namespace, __: Path, content: dict) -> dict:
    """Memory and time at 10⁸ atoms, if both go on as measured."""
    atoms, memory = 1e8, content["memory"]
    rows = content["cost"]["rows"]
    us = {name: row["lammps_us_per_atom"] for name, row in rows.items()}
    per_atom, per_rank = memory["bytes_per_atom"], memory["mb_per_rank"]
    return {
        "atoms": atoms,
        "core_seconds_per_step": {name: atoms * t / 1e6 for name, t in us.items()},
        "gb": {
            str(number): (atoms * per_atom + number * per_rank * 1e6) / 1e9
            for number in (1, 128, 1024)
        },
    }


if __name__ == "__main__":
    main()
