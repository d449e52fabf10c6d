# SPDX-License-Identifier: MIT
"""A training whose data lies on the GPU and whose steps are replays of a CUDA graph."""

import copy
import csv
import dataclasses
import math
import sys
from pathlib import Path

import torch
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor

from openmm_allegro.compiled import DenseBatch, DenseCollate
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
from openmm_allegro.model import AllegroEnergy
from openmm_allegro.modelfile import Model, save_model
from openmm_allegro.train import RESUME_MAY_CHANGE, TrainConfig, periodicity

sys.path.insert(0, str(Path(__file__).parents[1]))

from hardware import hardware

NOT_DONE = ("gradient_clip", "early_stop_patience", "stress_weight")
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
        if left:
            raise ValueError(
                f"{name}: expected batches that fill the epoch, found {len(samples)} "
                f"structures in batches of {self.batch}"
            )
        _check(name, self.config)
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
        self.interval = self.steps  # between records
        self.stream = None
        if device != "cpu":
            self.stream = torch.cuda.Stream()
            self.stream.wait_stream(torch.cuda.current_stream())
        before = {key: value.clone() for key, value in self._tensors().items()}
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
        torch._foreach_lerp_(
            list(self.averaged.parameters()), weights, 1 - self.config.ema_decay
        )
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
            try:
                metrics = module.finish_validation()
            except ValueError as error:  # infinite or NaN
                raise FloatingPointError(f"{self.name}: {error}") from error
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


def _check(name: str, config: TrainConfig) -> None:
    """Refuse what a step that never sees the host cannot do, or what is not done here.

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
