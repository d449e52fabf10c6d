# SPDX-License-Identifier: MIT
"""Time training steps of a network without charges, with constant and learned ones.

    python benchmarks/charged_training.py MODEL FRAMES [--batch 1] [--count 8]

prints processor time of a step, collation included, and its ratio to that without
charges, and writes benchmarks/results/charged_training.json. The three networks have
the model's settings and take steps on the same frames in turn, in one process.
"""

import argparse
import dataclasses
import json
import statistics
import time
from pathlib import Path

import torch
from hardware import hardware
from training import RESULTS, commit

OUTPUT = RESULTS / "charged_training.json"
CHARGES = {"H": 0.27, "O": -0.54, "Na": 0.64, "Cl": -0.64}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("frames", type=Path)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--count", type=int, default=8, help="frames")
    parser.add_argument("--rounds", type=int, default=3, help="passes over the frames")
    parser.add_argument(
        "--output", type=Path, default=RESULTS / "charged_training.json"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    steps, numbers = _trainings(options)
    times: dict[str, list[float]] = {kind: [] for kind in steps}
    for batch in range(-1, options.rounds * options.count // options.batch):
        for kind, step in steps.items():
            seconds = step(max(batch, 0))
            if batch >= 0:  # the first allocates memory
                times[kind].append(seconds)
    plain = statistics.median(times["none"])
    results = {}
    for kind, values in times.items():
        ratios = [a / b for a, b in zip(values, times["none"], strict=True)]
        median, ratio = statistics.median(values), statistics.median(ratios)
        results[kind] = {"ms": 1000 * median, "ratio": median / plain, "paired": ratio}
        print(
            f"{kind:9} {1000 * median:8.1f} ms a step, {median / plain:.3f} of a plain "
            f"one, median of ratios {ratio:.3f}"
        )
    content = {
        "hardware": hardware(1),
        "commit": commit(Path(__file__).parent),
        "model": options.model.name,
        "frames": f"{options.frames.name}[:{options.count}]",
        "batch": options.batch,
        **numbers,
        "results": results,
    }
    options.output.write_text(json.dumps(content, indent=1) + "\n")


def _trainings(options: argparse.Namespace) -> tuple[dict, dict]:
    """A function for each kind of charges that takes a step on a batch of a number."""
    from openmm_allegro import load_model, read_structures
    from openmm_allegro.training.config import TrainConfig
    from openmm_allegro.training.module import TrainingModule
    from openmm_allegro.training.samples import collate
    from openmm_allegro.training.start import start_training, use_device
    from openmm_allegro.utils.process import keep_freed_memory

    keep_freed_memory()  # as the command does
    config = load_model(options.model).config
    structures = read_structures(options.frames)[: options.count]
    start_charges = {element: CHARGES[element] for element in config.elements}
    settings = TrainConfig(
        batch_size=options.batch, learning_rate=1e-4, warmup_steps=0, stress_weight=0.0
    )
    steps, numbers = {}, {"atoms": len(structures[0])}
    for kind in ("none", "constant", "learned"):
        changes = {"charges": kind, "charge_start": start_charges}
        network = config if kind == "none" else dataclasses.replace(config, **changes)
        began = time.process_time()
        start = start_training(network, settings, structures, structures[:1])
        numbers[f"start_{kind}_s"] = time.process_time() - began
        fill = use_device(start.model.energy, "cpu")
        module = TrainingModule(start.model, settings, 1)
        optimizer = module.make_optimizer()
        samples = start.training
        if kind == "learned":
            matrices = [s.electrostatics.matrices[0] for s in samples]
            size = sum(m.numel() * m.element_size() for m in matrices)
            numbers["mb_a_frame"] = size / len(samples) / 1e6

        def step(
            number,
            samples=samples,
            network=network,
            fill=fill,
            module=module,
            optimizer=optimizer,
        ):
            first = number * options.batch % len(samples)
            began = time.process_time()
            batch = collate(samples[first : first + options.batch], network, fill)
            optimizer.zero_grad()
            module.training_step(batch, 0).backward()
            optimizer.step()
            return time.process_time() - began

        steps[kind] = step
    return steps, numbers


if __name__ == "__main__":
    main()
