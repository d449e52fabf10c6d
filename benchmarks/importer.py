# SPDX-License-Identifier: MIT
"""Time the import of a large model of nequip-allegro, and what follows it.

    python benchmarks/importer.py [--elements 89] [--layers 4] [--l-max 3] [--quick]

writes benchmarks/results/importer.json: processor seconds and the largest memory of a
process of its own for each step. The model has random weights, the shape of
Allegro-OAM-L by default. Needs the extra `all`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hardware import hardware
from peers import RESULTS

from openmm_allegro.utils.process import keep_freed_memory

STEPS = ("export", "import", "load", "network")


def main() -> None:
    options = _options()
    if options.step:
        print(json.dumps(_measured(options)))
        return
    content = {"hardware": hardware(1), "shape": _shape(options), "results": {}}
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            command = [sys.executable, __file__, *sys.argv[1:]]
            command += ["--step", step, "--folder", folder]
            done = subprocess.run(
                command,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            numbers = json.loads(done.stdout.splitlines()[-1])
            content["results"][step] = numbers
            print(
                f"{step:8s} {numbers['seconds']:8.1f} s {numbers['megabytes']:7.0f} MB"
            )
    if not options.quick:
        file = RESULTS / "importer.json"
        file.write_text(json.dumps(content, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--elements", type=int, default=89)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--l-max", type=int, default=3)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--quick", action="store_true", help="write no results")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _shape(options: argparse.Namespace) -> dict[str, int]:
    return {
        "elements": options.elements,
        "num_layers": options.layers,
        "l_max": options.l_max,
        "num_scalar_features": 64,
        "num_tensor_features": options.channels,
    }


def _measured(options: argparse.Namespace) -> dict[str, float]:
    theirs = options.folder / "model.ckpt"
    ours = options.folder / "model.safetensors"
    keep_freed_memory()  # as the command does
    started = time.process_time()
    if options.step == "export":
        from openmm_allegro.interop.nequip import export_model

        export_model(_random_model(options), theirs)
    elif options.step == "import":
        from openmm_allegro.interop.nequip import import_model
        from openmm_allegro.modelfile import save_model

        save_model(import_model(theirs), ours)
    else:
        from openmm_allegro import load_model

        model = load_model(ours)
        if options.step == "network":
            _ = model.energy
    return {
        "seconds": time.process_time() - started,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _random_model(options: argparse.Namespace):
    import torch

    from openmm_allegro.model import AllegroConfig, AllegroEnergy, Model, Statistics
    from openmm_allegro.topology.elements import ATOMIC_NUMBERS

    torch.set_num_threads(1)
    shape = _shape(options)
    elements = tuple(ATOMIC_NUMBERS)[: shape.pop("elements")]
    config = AllegroConfig(elements, cutoff=6.0, **shape)
    count = len(elements)
    numbers = Statistics((30.0,) * count, (1.0,) * count, (-10.0,) * count)
    return Model(config, numbers, AllegroEnergy(config, numbers), "total", "float32")


if __name__ == "__main__":
    main()
