# SPDX-License-Identifier: MIT
"""A step of training as one CUDA graph over data that lies on the GPU."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from ..model import AllegroConfig
from .averaging import share_of_next
from .compiled import DenseBatch, DenseCollate
from .module import EpochOrder, TrainingModule
from .samples import Sample

# Fields of a dense batch of one frame that lie on the device.
_KEPT = (
    *("types", "energies", "forces"),
    *("energy_weights", "force_weights"),
)
WARM_UP = 3  # steps before the capture, for what the first ones allocate


class GraphStep:
    """The next step of a training, from its choice of frames to averaged weights.

    On a CPU the same step is taken without a graph.

    Parameters
    ----------
    module : TrainingModule
        On the device to train on.
    samples : sequence of Sample
        Of one size, filling their batches.
    config : AllegroConfig

    Attributes
    ----------
    averaged : AllegroEnergy
        The network with the moving average of the weights.
    steps_done : Tensor [1], int64
        Number of steps done.
    loss : Tensor [], float64
        Sum of the losses since it was last set to zero.
    rates : Tensor [steps + 1]
        Learning rate of each step.
    total : int
        Steps of all epochs.
    """

    def __init__(
        self, module: TrainingModule, samples: Sequence[Sample], config: AllegroConfig
    ) -> None:
        self.module, self.energy = module, module.energy
        self.device = next(module.parameters()).device
        self.averaged = copy.deepcopy(self.energy).requires_grad_(False)
        self.order = self._order(len(samples))
        self.total = len(self.order)
        factors = [module.rate_factor(step) for step in range(self.total + 1)]
        rates = [module.config.learning_rate * factor for factor in factors]
        self.rates = torch.tensor(rates, device=self.device)
        decay = module.config.ema_decay
        shares = [share_of_next(step, decay) for step in range(self.total)]
        self.shares = torch.tensor(shares, device=self.device)
        self.steps_done = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.loss = torch.zeros((), dtype=torch.float64, device=self.device)
        # Frames of one size make one dense batch each.
        dense = DenseCollate(samples, config, 1)
        frames = [dense([s]) for s in samples]
        self.frames = {
            key: torch.stack([getattr(f, key) for f in frames]).to(self.device)
            for key in _KEPT
        }
        for place, key in enumerate(("neighbors", "vectors"), start=1):
            values = torch.stack([f.blocks[0][place] for f in frames])
            self.frames[key] = values.to(self.device)
        self.rate = torch.zeros((), device=self.device)
        self.optimizer = self._make_optimizer()
        compiled = module.compiled
        make = compiled.compile if module.config.compile else compiled.trace
        self.program = make(self.energy, self._choose(self.order[0]))
        self.stream = torch.cuda.Stream() if self.device.type == "cuda" else None
        self._capture()

    def replay(self) -> None:
        """Enqueue the next step."""
        if self.stream is None:
            self._take()
            return
        with torch.cuda.stream(self.stream):
            self.cuda_graph.replay()

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a step changes, by name."""
        tensors = {"step": self.steps_done, "loss": self.loss}
        for kind, energy in (("weights", self.energy), ("averaged", self.averaged)):
            for key, weight in energy.named_parameters():
                tensors[f"{kind} {key}"] = weight.detach()
        for key, weight in self.energy.named_parameters():
            for part, value in self.optimizer.state.get(weight, {}).items():
                tensors[f"{part} {key}"] = value
        return tensors

    def _order(self, count: int) -> Tensor:
        """Samples of each step's batch, [steps, B]."""
        settings = self.module.config
        order = EpochOrder(count, settings.seed)
        rows: list[int] = []
        for epoch in range(settings.max_epochs):
            order.set_epoch(epoch)
            rows += list(order)
        return torch.tensor(rows, device=self.device).view(-1, settings.batch_size)

    def _make_optimizer(self) -> torch.optim.Optimizer:
        """An optimiser that reads its rate, and counts its steps, on the device."""
        optimizer = self.module.make_optimizer()
        for group in optimizer.param_groups:
            group["lr"] = self.rate
            if "capturable" in group:  # Adam's, whose count of steps is a tensor then
                group["capturable"] = self.device.type == "cuda"
        return optimizer

    def _capture(self) -> None:
        """Take a few steps, record one as a graph, and undo them all."""
        before = {key: value.clone() for key, value in self.tensors().items()}
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                self._take()
        if self.stream is not None:
            torch.cuda.synchronize()
            self.cuda_graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.cuda_graph, stream=self.stream):
                self._take()
            torch.cuda.synchronize()
        for key, value in self.tensors().items():
            value.copy_(before[key]) if key in before else value.zero_()
        if self.stream is not None:
            torch.cuda.synchronize()

    @torch.no_grad()
    def _take(self) -> None:
        batch = self._choose(self.order.index_select(0, self.steps_done).flatten())
        weights = list(self.energy.parameters())
        loss, *gradients = self.program([w.detach() for w in weights], batch)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        for weight in self.module.fixed:
            weight.grad[:, : self.energy.network.scalars] = 0.0
        self.rate.copy_(self.rates.index_select(0, self.steps_done).squeeze(0))
        self.optimizer.step()
        averages = list(self.averaged.parameters())
        change = torch._foreach_sub(weights, averages)
        torch._foreach_mul_(
            change, self.shares.index_select(0, self.steps_done).squeeze(0)
        )
        torch._foreach_add_(averages, change)
        self.loss += loss
        self.steps_done += 1

    def _choose(self, rows: Tensor) -> DenseBatch:
        """The frames ``rows`` [B] as a batch."""
        count, device, atoms = len(rows), self.device, self.frames["types"].shape[1]
        chosen = {key: value[rows] for key, value in self.frames.items()}
        starts = torch.arange(count, device=device).view(-1, 1, 1) * atoms
        neighbors = (chosen["neighbors"] + starts).flatten(0, 1)
        block = (
            torch.arange(count * atoms, device=device),
            *(neighbors, chosen["vectors"].flatten(0, 1)),
        )
        return DenseBatch(
            types=chosen["types"].flatten(),
            frames=torch.arange(count, device=device).repeat_interleave(atoms),
            blocks=[block],
            sizes=torch.full((count,), atoms, device=device),
            energies=chosen["energies"].flatten(),
            forces=chosen["forces"].flatten(0, 1),
            stresses=torch.zeros((count, 3, 3), device=device),
            volumes=torch.zeros(count, device=device),
            energy_weights=chosen["energy_weights"].flatten(),
            force_weights=chosen["force_weights"].flatten(0, 1),
            stress_weights=torch.ones((count, 1, 1), device=device),
        )
