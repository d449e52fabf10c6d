# SPDX-License-Identifier: MIT
"""A training whose data lies on the GPU and whose steps are replays of a CUDA graph."""

import copy
import csv
import dataclasses
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor

from ..classical.fingerprint import common_baseline
from ..model import AllegroEnergy
from ..model.file import Model
from ..utils.files import replacing
from .compiled import DenseBatch, DenseCollate
from .config import TrainConfig
from .data import check_labels
from .evaluate import predict
from .module import EpochOrder, TrainingModule
from .record import MONITOR, save_if_best, write_rows
from .resume import check_same
from .samples import collate, make_samples
from .start import training_record
from .statistics import statistics

NOT_DONE = ("gradient_clip", "early_stop_patience", "stress_weight", "late_epoch")
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
    hardware : callable, optional
        From a number of threads to JSON values for the results.
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
        hardware: Callable[[int], dict[str, Any]] = lambda threads: {},
        device: str = "cuda",
    ) -> None:
        self.name, self.output, self.device = name, output, device
        self.hardware = hardware
        self.config: TrainConfig = config["train"]
        check(name, self.config, data)
        training, validation, record = data
        samples = make_samples(training, config["model"])
        held_out = make_samples(validation, config["model"])
        self.batch = self.config.batch_size
        self.steps = len(samples) // self.batch
        numbers = statistics(samples, config["model"])
        energy = AllegroEnergy(config["model"], numbers, self.config.seed)
        energy.set_dtype(torch.float32)
        record = record | training_record(
            samples, held_out, training, config["model"], self.config
        )
        if device != "cpu":
            record["processor"] = torch.cuda.get_device_name()
        self.model = Model(config["model"], numbers, energy, "total", "float32", record)
        self.module = TrainingModule(self.model, self.config, self.steps).to(device)
        self.energy = energy
        self.optimizer = self.module.make_optimizer()
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
        # The average starts as the weights after the first step, as train's does.
        blend = torch.full((total,), 1 - self.config.ema_decay, device=device)
        blend[0] = 1.0
        self.blend = blend
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
        self._file("").parent.mkdir(parents=True, exist_ok=True)
        self.best, self.seconds = float("inf"), 0.0
        self.at_once = 1  # trainings that share the GPU
        make = self.module.compiled.trace if plain else self.module.compiled.compile
        self.program = make(energy, self._choose(self.order[0]))
        self.interval = self.steps  # between records
        self.stream = None
        if device != "cpu":
            self.stream = torch.cuda.Stream()
        before = {key: value.clone() for key, value in self._tensors().items()}
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                self._step()
        if self.stream is not None:
            torch.cuda.synchronize()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.stream):
                self._step()
            torch.cuda.synchronize()
        for key, value in self._tensors().items():
            value.copy_(before[key]) if key in before else value.zero_()
        if self.stream is not None:
            torch.cuda.synchronize()

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
        averages = list(self.averaged.parameters())
        change = torch._foreach_sub(weights, averages)
        torch._foreach_mul_(change, self.blend.index_select(0, self.step).squeeze(0))
        torch._foreach_add_(averages, change)
        self.loss += loss
        self.step += 1

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

    def validate(self) -> None:
        """Errors of the average, as soon as the steps enqueued are done.

        Raises
        ------
        FloatingPointError
            If a loss or a prediction was not finite.
        """
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
            try:
                metrics = module.finish_validation()
            except ValueError as error:  # infinite or NaN
                raise FloatingPointError(f"{self.name}: {error}") from error
        self.metrics = metrics
        self.row = metrics | {
            "epoch": step // self.steps - 1,
            "step": step,
            "learning_rate": float(self.rates[step]),
            "loss": loss / self.interval,
        }

    def write(self, seconds: float) -> str:
        """A row of the log, the model if it is the best, the state."""
        self.seconds += seconds
        row = self.row | {"seconds": round(self.seconds, 1)}
        self._write_rows([*self._rows(), row])
        target = self._file(".safetensors")
        self.best = save_if_best(self.model, target, row, self.metrics, self.best)
        kept = {
            "tensors": {key: value.cpu() for key, value in self._tensors().items()},
            "best": self.best,
            "seconds": self.seconds,
            "at_once": self.at_once,
            "header": self._header(),
        }
        partial = self._file(".partial")
        torch.save(kept, partial)
        partial.replace(self._file(".pt"))
        return (
            f"{self.name} {row['epoch']}: loss {1000 * row['loss']:.2f}, validation "
            f"{1000 * row[MONITOR]:.2f}, forces {row['forces_mae']:.2f} meV/Å"
        )

    def resume(self) -> bool:
        """Go on where an interrupted run was; whether there is something left.

        Raises
        ------
        ValueError
            If what is there was another training, or has gone on for longer.
        """
        if not self._file(".pt").exists():
            return True
        kept = torch.load(self._file(".pt"), weights_only=True)
        check_same(self.model, kept["header"], self._file(".pt"))
        done, total = int(kept["tensors"]["step"]), len(self.order)
        if done > total:
            raise ValueError(
                f"{self.name}: expected max_epochs of at least {done // self.steps}, "
                f"which are done, found {self.config.max_epochs}"
            )
        for key, value in self._tensors().items():
            value.copy_(kept["tensors"][key])
        self.best, self.seconds = kept["best"], kept["seconds"]
        self.at_once = kept["at_once"]
        self._write_rows([row for row in self._rows() if int(row["step"]) <= done])
        return done < total

    def forget(self) -> None:
        """Begin anew instead."""
        for suffix in (".pt", ".csv", ".safetensors"):
            self._file(suffix).unlink(missing_ok=True)

    def finish(self) -> None:
        """Put model, log, time and hardware where run.py does."""
        for folder, suffix in (("models", ".safetensors"), ("logs", ".csv")):
            target = self.output / folder / f"{self.name}{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._file(suffix), target)
        found = {
            "tests": {},
            "training_hours": round(self.seconds / 3600, 3),
            "hardware": self.hardware(1) | {"trainings_at_once": self.at_once},
        }
        path = self.output / "results" / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")

    def _file(self, suffix: str) -> Path:
        return self.output / "states" / f"{self.name}{suffix}"

    def _header(self) -> dict[str, Any]:
        """As a model file's, without NumPy's numbers, which no state may hold."""
        header = {
            "config": dataclasses.asdict(self.model.config),
            "statistics": dataclasses.asdict(self.model.statistics),
            "provenance": self.model.provenance,
        }
        return json.loads(json.dumps(header))

    def _rows(self) -> list[dict[str, Any]]:
        path = self._file(".csv")
        if not path.exists():
            return []
        with open(path, newline="") as file:
            return list(csv.DictReader(file))

    def _write_rows(self, rows: list[dict[str, Any]]) -> None:
        with replacing(self._file(".csv")) as partial:
            write_rows(partial, rows, header=True)


def check(name: str, config: TrainConfig, data: tuple[list, list, dict]) -> None:
    """Refuse what a step that never sees the host cannot do, or what is not done here.

    Parameters
    ----------
    name, config, data
        As of ``Training``; config its ``train``.

    Raises
    ------
    ValueError
    """
    for key, possible in (
        ("schedule", config.schedule != "plateau"),
        ("ema_decay", config.ema_decay > 0),
        ("dtype", config.dtype == "float32"),
        *((key, getattr(config, key) == 0) for key in NOT_DONE),
    ):
        if not possible:
            raise ValueError(
                f"{name}: expected a schedule other than plateau, averaging, float32 "
                f"and none of {', '.join(NOT_DONE)}, found {key} = "
                f"{getattr(config, key)!r}; run.py trains with these"
            )
    training, validation, _ = data
    for part, structures in (("training", training), ("validation", validation)):
        check_labels(f"{name}: {part}", structures)
    if len(training) % config.batch_size:
        raise ValueError(
            f"{name}: expected batches that fill the epoch, found {len(training)} "
            f"structures in batches of {config.batch_size}"
        )
    if common_baseline((*training, *validation)) is not None:
        raise ValueError(f"{name}: expected total energies, found those of a baseline")
