# SPDX-License-Identifier: MIT
"""Kill free energies along λ at random moments, and check what resuming gives.

Oscillators are led from one force constant to another, by replicas and by switching,
in a process that is killed by SIGKILL, or stopped by SIGTERM, after a random time and
started again with resume, until it is complete. At each end works, and the free energy
from them, must equal those of an undisturbed process to the last bit; and replicas must
have each iteration once, with finite energies. Writes results/lambda_kills.json beside
this file.

python benchmarks/lambda_kills.py [--kills 60] [--seed 1]
"""

import argparse
import collections
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from hardware import hardware
from kills import kill_until
from tqdm import tqdm

sys.path.append(str(Path(__file__).parents[1] / "tests"))
# Imported before processes are forked, which then need not do so.
import matplotlib.figure  # noqa: F401
import openmmtools.multistate  # noqa: F401
from lambda_helpers import two_oscillators

from openmm_allegro.alchemical import LambdaSettings, SwitchingSettings, free_energy
from openmm_allegro.alchemical.works import read_works
from openmm_allegro.replica_exchange.samples import read_arrays

COMMON = {"timestep_fs": 10.0, "friction_per_ps": 10.0, "minimize": False}
EXCHANGE = LambdaSettings(
    lambdas=(0.0, 0.4, 1.0),
    iterations=60,
    steps_per_iteration=25,
    checkpoint_interval=5,
    **COMMON,
)
SWITCHING = SwitchingSettings(
    switches=15,
    switch_steps=300,
    change_interval=2,
    interval=200,
    equilibration=1000,
    **COMMON,
)


class FreeEnergyTask:
    """Both methods one after the other, as ``kills.kill_until`` takes a task."""

    name, is_resumed = "free energy", True
    signals = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)

    def work(self, folder):
        topology, positions, system, _ = two_oscillators()
        free_energy(
            topology,
            positions,
            system,
            folder,
            exchange=EXCHANGE,
            switching=SWITCHING,
            platform="Reference",
            seed=7,
            resume=True,
            progress=False,
        )

    def moment(self, folder):
        """What it was doing, by the files that are there."""
        for name, moment in (
            ("switching.works.csv", "switches"),
            ("switching-ml.json", "equilibrium of the model"),
            ("switching-mm.json", "equilibrium of the force field"),
            ("exchange.nc", "replicas"),
        ):
            if (folder / name).exists():
                return moment
        return "before the first file"

    def check_readable(self, folder):
        for path in folder.glob("*.json"):
            json.loads(path.read_text())
        for path in folder.glob("*.starts/*.npz"):
            assert np.isfinite(np.load(path)["positions"]).all()
        if (folder / "switching.works.csv").exists():
            assert read_works(folder / "switching.works.csv")

    def check_litter(self, folder):
        litter = [*folder.glob("*.partial*"), *folder.glob("*.lock")]
        assert not litter, litter

    def check_end(self, folder, reference):
        works = "switching.works.csv"
        assert (folder / works).read_bytes() == (reference / works).read_bytes()
        results = [
            json.loads((path / "free_energy.json").read_text())["results"]
            for path in (folder, reference)
        ]
        assert results[0]["switching"] == results[1]["switching"]
        _, (states, energies) = read_arrays(folder / "exchange", "states", "energies")
        assert len(states) == EXCHANGE.iterations + 1 and np.isfinite(energies).all()
        assert (np.sort(states, axis=1) == range(len(EXCHANGE.lambdas))).all()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--longest", type=float, default=30.0, help="s until a kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).parent / "results" / "lambda_kills.json",
    )
    options = parser.parse_args()
    counts, started = collections.Counter(), time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=options.kills, unit="kill", mininterval=10) as bar,
    ):
        what = options.kills, random.Random(options.seed), options.longest
        done = kill_until(FreeEnergyTask(), *what, Path(folder), counts, bar)
    result = {
        "hardware": hardware(1),
        "seed": options.seed,
        **done,
        "kills_by_moment": dict(counts.most_common()),
        "ends_with_other_works": 0,  # each check ends the script
        "missing_or_repeated_iterations": 0,
        "wall_s": round(time.monotonic() - started),
    }
    options.results.write_text(json.dumps(result, indent=2) + "\n")
    for moment, count in counts.most_common():
        print(f"{moment:40s}{count:6d}")
    print(f"{done['killed']} kills, {done['ended']} completed")


if __name__ == "__main__":
    main()
