# SPDX-License-Identifier: MIT
"""Train on several molecules at once, on one GPU.

    python benchmarks/accuracy/together.py aspirin ethanol uracil
    python benchmarks/accuracy/run.py aspirin ethanol uracil --evaluate

A step of a molecule's training is a thousand small kernels: a GPU waits for the host
most of the time. Here the data lies on the GPU and a whole step, from the choice of its
frames to the average of the weights, is one CUDA graph; each training's graphs run in a
stream of its own. Settings are those of the TOML, results those of run.py: models in
``models/``, logs in ``logs/``, time and hardware in ``results/``, where the second
command puts the errors. An interrupted run leaves the best model of each so far, and
goes on at its last state (``states/``) when it is started again.

Processes of one molecule each, beside CUDA's MPS server, come to the same and compile
at the same time.
"""

import argparse
import copy
import csv
import dataclasses
import json
import math
import sys
import time
from pathlib import Path

import torch
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor

from openmm_allegro.compiled import DenseBatch, DenseCollate
from openmm_allegro.config import read_toml
from openmm_allegro.dataset import closest_pairs, collate, make_samples, statistics
from openmm_allegro.evaluate import predict
from openmm_allegro.lightning_module import (
    MONITOR,
    EpochOrder,
    TrainingModule,
    TrainingRecord,
    make_optimizer,
)
from openmm_allegro.linear_chains import keep_fixed
from openmm_allegro.model import AllegroConfig, AllegroEnergy
from openmm_allegro.modelfile import Model, save_model
from openmm_allegro.train import (
    RESUME_MAY_CHANGE,
    DataConfig,
    TrainConfig,
    periodicity,
    read_data,
)

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hardware import hardware  # noqa: E402

TABLES = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
WARM_UP = 3  # steps before a capture, for what is set up at the first


class Training:
    """One molecule's weights, data and step, all of them on the GPU.

    Parameters
    ----------
    name : str
    config : dict
        The tables of a TOML: ``model`` and ``train``.
    data : tuple
        Training and validation structures and what ``read_data`` says of them; of one
        size, without stresses, filling their batches.
    output : Path
        A folder like this one.
    plain : bool
        Leave torch.compile out.
    device : str
        On "cpu" the same steps are taken without graphs.
    """

    def __init__(
        self,
        name: str,
        config: dict,
        data: tuple[list, list, dict],
        output: Path,
        *,
        plain: bool = False,
        device: str = "cuda",
    ) -> None:
        self.name, self.output, self.device = name, output, device
        self.config: TrainConfig = config["train"]
        training, validation, record = data
        samples = make_samples(training, config["model"])
        held_out = make_samples(validation, config["model"])
        self.batch = self.config.batch_size
        self.steps, left = divmod(len(samples), self.batch)
        found = self.config.schedule, self.config.ema_decay
        if left or found[0] == "plateau" or not found[1]:
            raise ValueError(
                f"{name}: expected batches that fill the epoch, a schedule known "
                f"beforehand and averaging, found {len(samples)} structures in batches "
                f"of {self.batch}, {found[0]} and {found[1]}"
            )
        numbers = statistics(samples, config["model"])
        energy = AllegroEnergy(config["model"], numbers, self.config.seed)
        energy.set_dtype(torch.float32)
        record = record | {
            "torch_version": torch.__version__,
            "processor": hardware(1)["gpu"] or device,
            "periodic": periodicity(training),
            "training_structures": len(samples),
            "validation_structures": len(held_out),
            "closest_pairs": closest_pairs(samples, config["model"]),
            "train": dataclasses.asdict(self.config),
        }
        self.model = Model(config["model"], numbers, energy, "total", "float32", record)
        self.module = TrainingModule(self.model, self.config, self.steps).to(device)
        self.energy = energy
        self.optimizer = make_optimizer(self.config, self.module)
        if self.module.fixed:
            keep_fixed(self.optimizer, self.module.fixed, energy.network.scalars)
        self.averaged = copy.deepcopy(energy).requires_grad_(False)
        self.model.energy = self.averaged  # what is saved
        total = self.config.max_epochs * self.steps
        rate, of_step = self.config.learning_rate, self.module.rate_factor
        rates = [rate * of_step(step) for step in range(total + 1)]
        self.rates = torch.tensor(rates, device=device)
        order = EpochOrder(len(samples), self.config.seed)
        rows = []
        for epoch in range(self.config.max_epochs):
            order.set_epoch(epoch)
            rows += list(order)
        self.order = torch.tensor(rows, device=device).view(total, self.batch)
        self.rate = torch.zeros((), device=device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
            if "capturable" in group:  # Adam's, whose count of steps is a tensor then
                group["capturable"] = device != "cpu"
        self.step = torch.zeros(1, dtype=torch.int64, device=device)
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        # As training does; frames of one size make one dense batch each.
        dense = DenseCollate(samples, config["model"], 1)
        frames = [dense([s]) for s in samples]
        self.frames = {
            key: torch.stack([getattr(f, key) for f in frames]).to(device)
            for key in ("types", "neighbors", "vectors", "energies", "forces")
        }
        self.validation = [
            move_data_to_device(collate(held_out[i : i + 10], config["model"]), device)
            for i in range(0, len(held_out), 10)
        ]
        for folder in ("models", "logs", "results", "states"):
            (output / folder).mkdir(parents=True, exist_ok=True)
        self.best, self.seconds = float("inf"), 0.0
        make = self.module.compiled.trace if plain else self.module.compiled.compile
        self.program = make(energy, self._choose(self.order[0]))
        self.stream = None
        if device != "cpu":
            self.stream = torch.cuda.Stream()
            self.graph = torch.cuda.CUDAGraph()
            self._capture()

    def _choose(self, rows: Tensor) -> DenseBatch:
        """The frames ``rows`` [B] as a batch."""
        count, device, atoms = len(rows), self.device, self.frames["types"].shape[1]
        chosen = {key: value[rows] for key, value in self.frames.items()}
        starts = torch.arange(count, device=device).view(-1, 1, 1) * atoms
        return DenseBatch(
            types=chosen["types"].flatten(),
            neighbors=(chosen["neighbors"] + starts).flatten(0, 1),
            vectors=chosen["vectors"].flatten(0, 1),
            sizes=torch.full((count,), atoms, device=device),
            energies=chosen["energies"].flatten(),
            forces=chosen["forces"].flatten(0, 1),
            stresses=torch.zeros((count, 3, 3), device=device),
            volumes=torch.zeros(count, device=device),
        )

    @torch.no_grad()
    def _step(self) -> None:
        batch = self._choose(self.order.index_select(0, self.step).flatten())
        weights = list(self.energy.parameters())
        loss, *gradients = self.program([w.detach() for w in weights], batch)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        for weight in self.module.fixed:
            weight.grad[:, : self.energy.network.scalars] = 0.0
        self.rate.copy_(self.rates.index_select(0, self.step).squeeze(0))
        self.optimizer.step()
        torch._foreach_lerp_(
            list(self.averaged.parameters()), weights, 1 - self.config.ema_decay
        )
        self.loss += loss
        self.step += 1

    def _capture(self) -> None:
        before = {key: value.clone() for key, value in self._tensors().items()}
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                self._step()
        torch.cuda.synchronize()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self._step()
        torch.cuda.synchronize()
        for key, value in self._tensors().items():
            value.copy_(before[key]) if key in before else value.zero_()
        torch.cuda.synchronize()

    def _tensors(self) -> dict[str, Tensor]:
        """All that a step changes."""
        found = {"step": self.step, "loss": self.loss}
        for kind, energy in (("weights", self.energy), ("averaged", self.averaged)):
            for key, weight in energy.named_parameters():
                found[f"{kind} {key}"] = weight.detach()
        for key, weight in self.energy.named_parameters():
            for part, value in self.optimizer.state.get(weight, {}).items():
                found[f"{part} {key}"] = value
        return found

    def replay(self) -> None:
        """Enqueue a step."""
        if self.stream is None:
            self._step()
            return
        with torch.cuda.stream(self.stream):
            self.graph.replay()

    def record(self, seconds: float) -> str:
        """Validate, write a row of the log, the model if it is the best, the state."""
        with torch.cuda.stream(self.stream):
            module = self.module
            module.validated = [(b, predict(self.averaged, b)) for b in self.validation]
            step, loss = int(self.step), float(self.loss)
            self.loss.zero_()
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"{self.name}: expected a finite loss, found {loss} by step "
                    f"{step}; a lower learning_rate or less momentum may help"
                )
            metrics = module.finish_validation()
        self.seconds += seconds
        row = metrics | {
            "epoch": step // self.steps - 1,
            "step": step,
            "learning_rate": float(self.rates[step]),
            "loss": loss / self.interval,
            "seconds": round(self.seconds, 1),
        }
        path = self.output / "logs" / f"{self.name}.csv"
        new = step == self.interval or not path.exists()
        with open(path, "w" if new else "a", newline="") as file:
            columns = TrainingRecord.COLUMNS
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            if new:
                writer.writeheader()
            writer.writerow(row)
        if metrics[MONITOR] < self.best:
            self.best = metrics[MONITOR]
            self.model.provenance |= {
                "epoch": row["epoch"],
                "step": step,
                "training_seconds": row["seconds"],
                "validation": metrics,
            }
            save_model(self.model, self.output / "models" / f"{self.name}.safetensors")
        state = {key: value.cpu() for key, value in self._tensors().items()}
        kept = {"tensors": state, "best": self.best, "seconds": self.seconds}
        kept["train"] = dataclasses.asdict(self.config)
        partial = self._state_file().with_suffix(".partial")
        torch.save(kept, partial)
        partial.replace(self._state_file())
        return (
            f"{self.name} {row['epoch']}: loss {1000 * row['loss']:.2f}, validation "
            f"{1000 * metrics[MONITOR]:.2f}, forces {metrics['forces_mae']:.2f} meV/Å"
        )

    def _state_file(self) -> Path:
        return self.output / "states" / f"{self.name}.pt"

    def resume(self) -> bool:
        """Go on where an interrupted run was; whether there is something left."""
        if self._state_file().exists():
            kept = torch.load(self._state_file(), weights_only=True)
            for key, value in dataclasses.asdict(self.config).items():
                if key not in RESUME_MAY_CHANGE and kept["train"].get(key) != value:
                    raise ValueError(
                        f"{self._state_file()}: expected {key} = {value}, found "
                        f"{kept['train'].get(key)}; remove it to begin anew"
                    )
            for key, value in self._tensors().items():
                value.copy_(kept["tensors"][key])
            self.best, self.seconds = kept["best"], kept["seconds"]
        return int(self.step) < len(self.order)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+")
    parser.add_argument("--every", type=int, default=5, help="epochs of a validation")
    parser.add_argument("--plain", action="store_true", help="without torch.compile")
    parser.add_argument("--steps", type=int, help="time that many steps, and no more")
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument(
        "--processes", type=int, default=1, help="like this one that share the GPU"
    )
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("expected a CUDA device, found none; run.py trains on a CPU")
    trainings = []
    for name in options.names:
        started = time.monotonic()
        config = read_toml(HERE / f"{name}.toml", TABLES)
        data = read_data(config["data"], HERE)
        output = options.output
        trainings.append(Training(name, config, data, output, plain=options.plain))
        print(f"{name}: ready in {time.monotonic() - started:.0f} s", flush=True)
    if options.steps:
        _time(trainings, options.steps)
    else:
        train_together(trainings, options.every, options.processes)


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
    failed = []
    left = [t for t in trainings if t.resume()]
    while left:
        started = time.monotonic()
        for t in left:
            done = int(t.step)
            t.interval = min(every * t.steps, len(t.order) - done)
        for step in range(max(t.interval for t in left)):
            for t in left:
                if step < t.interval:
                    t.replay()
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # steps are only enqueued until now
        for t in list(left):
            try:
                print(t.record(time.monotonic() - started), flush=True)
            except FloatingPointError as error:
                print(error, flush=True)
                failed.append(error)
                left.remove(t)
        print(f"{time.monotonic() - started:.1f} s", flush=True)
        for t in [t for t in left if int(t.step) >= len(t.order)]:
            found = {
                "tests": {},
                "training_hours": round(t.seconds / 3600, 3),
                "hardware": hardware(1)
                | {"trainings_at_once": len(trainings) * processes},
            }
            path = t.output / "results" / f"{t.name}.json"
            path.write_text(json.dumps(found, indent=1) + "\n")
            left.remove(t)
    if failed:
        raise failed[0]


if __name__ == "__main__":
    main()
