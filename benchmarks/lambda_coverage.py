# SPDX-License-Identifier: MIT
"""Count how often a free energy along λ holds the truth within its error.

Oscillators are led from one force constant to another, with another zero of energy, by
replicas that exchange λ and by switching. Each seed has another force constant and
zero; the answer is (3 N / 2) RT ln(k₁ / k₀) + offset. Value ± error should hold it 68
times in 100. Prints a table and writes results/lambda_coverage.json beside this file,
after each seed; what is there is kept.

python benchmarks/lambda_coverage.py [--seeds 100]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from hardware import hardware

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from lambda_helpers import COMMON, EXCHANGE, switched, two_oscillators

from openmm_allegro.alchemical import (
    lambda_exchange,
    lambda_free_energies,
    switching_free_energy,
)

ATOMS = 2


def oscillators(seed):
    """Oscillators of a seed, as ``two_oscillators``."""
    random = np.random.default_rng(seed)
    last = 1000.0 * np.exp(random.uniform(np.log(2.0), np.log(8.0)))
    return two_oscillators(ATOMS, last, random.uniform(-50.0, 50.0))


def by_exchange(made, seed, output):
    options = COMMON | EXCHANGE | {"iterations": 200, "seed": seed}
    lambda_exchange(*made[:3], output, **options)
    found = lambda_free_energies(output)
    return {
        "value": found.f[-1],
        "error": found.error[-1],
        "samples": found.samples,
        "least_overlap": float(np.min(np.diagonal(found.overlap, 1))),
    }


def by_switching(made, seed, output):
    switched(output, made, seed=seed, switches=100)
    found = switching_free_energy(output)
    return {
        "value": found.value,
        "error": found.error,
        "samples": min(found.counts.values()),
        "least_overlap": float(found.reduced.overlap[0, 1]),
        "slope": list(found.reduced.slope),
        "forward": list(found.forward),
        "reverse": list(found.reverse),
    }


METHODS = {"exchange": by_exchange, "switching": by_switching}


def coverage(rows, name=None):
    """Part of seeds within the error, in percent, of a method or of one direction."""
    pairs = [(r["value"], r["error"]) if name is None else r[name] for r in rows]
    exact = np.array([row["exact"] for row in rows])
    value, error = np.array(pairs).T
    pull = (value - exact) / error
    return {
        "seeds": len(rows),
        "coverage_percent": round(100 * float((abs(pull) < 1).mean()), 1),
        "mean_of_deviation_over_error": round(float(pull.mean()), 3),
        "spread_of_deviation_over_error": round(float(pull.std(ddof=1)), 3),
        "mean_error_kj_mol": round(float(error.mean()), 4),
    }


def summary(rows):
    """Coverage of each method."""
    result = {name: coverage(rows[name]) for name in METHODS}
    for name in ("forward", "reverse"):
        result[f"Jarzynski, {name}"] = coverage(rows["switching"], name)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).parent / "results" / "lambda_coverage.json",
    )
    options = parser.parse_args()
    rows = {name: [] for name in METHODS}
    if options.results.exists():
        rows = json.loads(options.results.read_text())["rows"]
    for seed in range(1, options.seeds + 1):
        made = oscillators(seed)
        for name, method in METHODS.items():
            if len(rows[name]) >= seed:
                continue
            with tempfile.TemporaryDirectory() as folder:
                row = {"exact": made[-1]} | method(made, seed, Path(folder) / "x")
            rows[name].append(row)
        if seed > 1:
            output = {"hardware": hardware(1), "results": summary(rows), "rows": rows}
            text = json.dumps(output, indent=1, default=float)
            options.results.write_text(text + "\n")
    for name, row in summary(rows).items():
        print(
            f"{name:20} {row['coverage_percent']:5.1f} % of {row['seeds']} seeds; "
            f"deviation over error {row['mean_of_deviation_over_error']:+.2f} ± "
            f"{row['spread_of_deviation_over_error']:.2f}; error "
            f"{row['mean_error_kj_mol']:.3f} kJ/mol"
        )


if __name__ == "__main__":
    main()
