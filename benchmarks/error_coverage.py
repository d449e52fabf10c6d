# SPDX-License-Identifier: MIT
"""Count how often value ± error holds the truth: 68 % if errors are honest.

Each case makes a trajectory whose answer is known in closed form, over and over, and
counts. A case with many values (bins, lags) pools them. Prints a table and writes
results/error_coverage.json beside this file; what is not run again is kept.

python benchmarks/error_coverage.py [CASE ...] [--seeds 200]
"""

import argparse
import json
import sys
import time
from pathlib import Path

import freud
import numpy as np
from hardware import hardware

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from error_coverage_cases import CASES

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
parser.add_argument("--seeds", type=int, default=200)
parser.add_argument(
    "--results",
    type=Path,
    default=Path(__file__).parent / "results" / "error_coverage.json",
)
options = parser.parse_args()
# Threads would cost more than a search among some ten atoms.
freud.parallel.set_num_threads(1)
unknown = set(options.cases) - set(CASES)
if unknown:
    parser.error(f"expected cases of {', '.join(CASES)}, found {', '.join(unknown)}")


def measure(case, seeds):
    """Measure the coverage of each quantity of a case, with what it is made of."""
    repeats = [case(np.random.default_rng(seed)) for seed in range(seeds)]
    found = {}
    for name in repeats[0]:
        value, error, exact = (
            np.array(
                [np.broadcast_to(r[name][i], np.shape(r[name][0])) for r in repeats]
            )
            for i in range(3)
        )
        inside = np.abs(value - exact) < error
        # Pooled values of one repeat depend on each other: only repeats are counted.
        of_repeats = inside.reshape(seeds, -1).mean(axis=1)
        found[name] = {
            "coverage": float(of_repeats.mean()),
            "uncertainty": float(of_repeats.std(ddof=1) / np.sqrt(seeds)),
            "error_over_scatter": float(
                np.sqrt(np.mean(error**2) / np.mean(value.var(axis=0, ddof=1)))
            ),
            "bias_over_error": float(
                np.mean((value - exact).mean(axis=0) / error.mean(axis=0))
            ),
            "values": int(inside[0].size),
            "seeds": seeds,
        }
    return found


stored = json.loads(options.results.read_text()) if options.results.exists() else {}
results = stored.get("results", {})
print(f"{'quantity':<44} {'coverage':>14} {'error/scatter':>13} {'bias/error':>10}")
for name in options.cases or CASES:
    begun = time.perf_counter()
    for quantity, row in measure(CASES[name], options.seeds).items():
        results[f"{name}: {quantity}"] = row
        print(
            f"{f'{name}: {quantity}':<44} "
            f"{100 * row['coverage']:6.1f} ± {100 * row['uncertainty']:3.1f} % "
            f"{row['error_over_scatter']:13.2f} {row['bias_over_error']:+10.2f}"
        )
    print(f"    {time.perf_counter() - begun:.1f} s", flush=True)
    output = {"hardware": hardware(1), "results": results}
    options.results.write_text(json.dumps(output, indent=2) + "\n")
