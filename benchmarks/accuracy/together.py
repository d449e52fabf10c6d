# SPDX-License-Identifier: MIT
"""Train on several molecules at once, on one GPU.

    python benchmarks/accuracy/together.py aspirin ethanol uracil
    python benchmarks/accuracy/run.py aspirin ethanol uracil --evaluate

Each step is a CUDA graph (``openmm_allegro.training.graphs``), and the trainings share
the GPU. Settings are those of the TOML, with a validation every ``--every`` epochs. An
interrupted training is kept in ``states/`` and resumed from there; a finished one goes
where run.py puts its own, or to ``--output``, and the second command adds the errors.

Several processes of one molecule each, beside CUDA's MPS server, take as long for a
step and compile at the same time.
"""

import argparse
import dataclasses
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import molecules
import torch

from openmm_allegro.modelfile import load_model
from openmm_allegro.training.data import read_data
from openmm_allegro.training.graphs import (
    GraphTraining,
    check_graphs,
    train_together,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+")
    parser.add_argument(
        "--every", type=_count, default=5, help="epochs between validations"
    )
    parser.add_argument("--plain", action="store_true", help="without torch.compile")
    parser.add_argument("--steps", type=_count, help="time so many steps, and no more")
    parser.add_argument(
        "--again", action="store_true", help="train anew where there is a state"
    )
    parser.add_argument(
        "--output", type=Path, default=molecules.HERE, help="folder of all results"
    )
    parser.add_argument(
        "--processes", type=_count, default=1, help="like this one that share the GPU"
    )
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("expected a CUDA device, found none; run.py trains on a CPU")
    molecules.check_names(parser, options.names, "training")
    at_once = len(options.names) * options.processes
    parts = {
        name: read_parts(name, at_once, plain=options.plain) for name in options.names
    }
    if options.steps:
        with tempfile.TemporaryDirectory() as folder:
            _time([_make(n, p, Path(folder)) for n, p in parts.items()], options.steps)
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    states = options.output / "states"
    trainings = [_make(n, p, states, again=options.again) for n, p in parts.items()]
    train_and_keep(trainings, options.every, options.output)


def read_parts(name: str, at_once: int, *, plain: bool) -> tuple[Any, ...]:
    """Arguments of ``GraphTraining`` up to the folder, and the model's provenance.

    Raises
    ------
    ValueError
        If the molecule cannot be trained on in this way.
    """
    config = molecules.read_config(name)
    if plain:
        config["train"] = dataclasses.replace(config["train"], compile=False)
    *structures, record = read_data(config["data"], molecules.HERE)
    check_graphs(name, config["train"], *structures)
    provenance = record | {"trainings_at_once": at_once}
    return config["model"], config["train"], *structures, provenance


def train_and_keep(
    trainings: list[GraphTraining], every: int, output: Path | None = None
) -> None:
    """Train and keep what is done, also where another training failed."""
    try:
        train_together(trainings, every=every)
    finally:
        for training in trainings:
            if training.done:
                model = load_model(training.output / "model.safetensors")
                molecules.keep_training(
                    training.name,
                    training.output,
                    output,
                    trainings_at_once=model.provenance["trainings_at_once"],
                )


def _make(
    name: str, parts: tuple[Any, ...], states: Path, *, again: bool = False
) -> GraphTraining:
    started = time.monotonic()
    *arguments, provenance = parts
    resume = (states / name / "state.pt").exists() and not again
    training = GraphTraining(
        *arguments,
        states / name,
        provenance=provenance,
        resume=resume,
        overwrite=again,
    )
    print(f"{name}: ready in {time.monotonic() - started:.0f} s", flush=True)
    return training


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {value}")
    return value


def _time(trainings: list[GraphTraining], steps: int) -> None:
    for count in (1, len(trainings)):
        torch.cuda.synchronize()
        started = time.monotonic()
        for _ in range(steps):
            for training in trainings[:count]:
                training.replay()
        torch.cuda.synchronize()
        each = 1000 * (time.monotonic() - started) / steps
        memory = torch.cuda.max_memory_allocated() / 2**30
        print(f"{count} at once: {each:.2f} ms a step of all, {memory:.1f} GiB")


if __name__ == "__main__":
    main()
