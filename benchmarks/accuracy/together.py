# SPDX-License-Identifier: MIT
"""Train on several molecules at once, on one GPU.

    python benchmarks/accuracy/together.py aspirin ethanol uracil
    python benchmarks/accuracy/run.py aspirin ethanol uracil --evaluate

A step of a molecule's training is a thousand small kernels: a GPU waits for the host
most of the time. Here the data lies on the GPU and a whole step, from the choice of its
frames to the average of the weights, is one CUDA graph; each training's graphs run in a
stream of its own. Settings are those of the TOML, but for validation each ``--every``
epochs. Until a training is done all of it is in ``states/``, where an interrupted run
finds it and goes on; then model, log, time and hardware come to where run.py puts them,
and the second command adds the errors.

Processes of one molecule each, beside CUDA's MPS server, come to the same and compile
at the same time.
"""

import argparse
import sys
import time
from pathlib import Path

import torch

from openmm_allegro.model import AllegroConfig
from openmm_allegro.training.graphs import Training, check
from openmm_allegro.training.train import DataConfig, TrainConfig, read_data
from openmm_allegro.utils.config import read_toml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hardware import hardware  # noqa: E402

TABLES = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+")
    parser.add_argument(
        "--every", type=_count, default=5, help="epochs between validations"
    )
    parser.add_argument("--plain", action="store_true", help="without torch.compile")
    parser.add_argument("--steps", type=_count, help="time so many steps, and no more")
    parser.add_argument("--again", action="store_true", help="train what is there")
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument(
        "--processes", type=_count, default=1, help="like this one that share the GPU"
    )
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("expected a CUDA device, found none; run.py trains on a CPU")
    known = sorted(path.stem for path in HERE.glob("*.toml"))
    if unknown := sorted(set(options.names) - set(known)):
        parser.error(f"expected names of {known}, found {unknown}")
    read = {}
    for name in options.names:  # all, before any long work
        config = read_toml(HERE / f"{name}.toml", TABLES)
        for path in config["data"].training:
            if not (HERE / path).is_file():
                parser.error(f"expected {HERE / path}, found nothing; see prepare.py")
        data = read_data(config["data"], HERE)
        check(name, config["train"], data)
        read[name] = config, data, options.output
    trainings: list[Training] = []
    for name, parts in read.items():
        started = time.monotonic()
        trainings.append(Training(name, *parts, plain=options.plain, hardware=hardware))
        print(f"{name}: ready in {time.monotonic() - started:.0f} s", flush=True)
        if options.again and not options.steps:
            trainings[-1].forget()
    if options.steps:
        _time(trainings, options.steps)
    else:
        train_together(trainings, options.every, options.processes)


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {value}")
    return value


def _time(trainings: list[Training], steps: int) -> None:
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


def train_together(trainings: list[Training], every: int, processes: int = 1) -> None:
    """Train, validate each ``every`` epochs, and write down what it took.

    Raises
    ------
    FloatingPointError
        If losses were not finite, when the other trainings are done.
    """
    failed, left = [], []
    for t in trainings:
        if t.resume():
            t.at_once = len(trainings) * processes
            left.append(t)
        else:
            print(f"{t.name}: done before; --again trains it anew", flush=True)
            t.finish()
    mark = time.monotonic()
    while left:
        for t in left:
            t.interval = min(every * t.steps, len(t.order) - int(t.step))
        for step in range(max(t.interval for t in left)):
            for t in left:
                if step < t.interval:
                    t.replay()
        for t in list(left):
            try:
                t.validate()
            except FloatingPointError as error:
                print(error, flush=True)
                failed.append(error)
                left.remove(t)
        seconds, mark = time.monotonic() - mark, time.monotonic()
        for t in list(left):
            print(t.write(seconds), flush=True)
            if int(t.step) == len(t.order):
                t.finish()
                left.remove(t)
        print(f"{seconds:.1f} s", flush=True)
    if failed:
        raise failed[0]


if __name__ == "__main__":
    main()
