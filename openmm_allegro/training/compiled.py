# SPDX-License-Identifier: MIT
"""Compile the loss of a batch and its gradients to one program.

Forces are derivatives, so the gradient of their loss is a second derivative, which
torch.compile cannot take by itself. The step is therefore traced with both derivatives
written out, and compiled as plain arithmetic.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch._guards import TracingContext, tracing
from torch._subclasses import FakeTensorMode
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from ..model import AllegroConfig
from ..neighbors import PADDING
from ..utils.files import cache_folder
from .electrostatics import Electrostatics
from .predict import Prediction, predict
from .samples import Block, Sample, collate, join_fields

log = logging.getLogger(__name__)


class DenseBatch(NamedTuple):
    """B samples of n atoms each, with blocks of the same shapes in every batch.

    Fields as in ``Batch``.
    """

    types: Tensor
    frames: Tensor
    sizes: Tensor
    blocks: list[Block]
    energies: Tensor
    forces: Tensor
    stresses: Tensor
    volumes: Tensor
    energy_weights: Tensor
    force_weights: Tensor
    stress_weights: Tensor
    electrostatics: Electrostatics | None = None


Loss = Callable[[Any, Prediction], Tensor]


class DenseCollate:
    """Join a full batch to a ``DenseBatch``, and the rest of an epoch to a ``Batch``.

    The atoms of a sample are sorted by their number of neighbours. Those of a block
    have room for as many as any sample has at these places of its order.

    Parameters
    ----------
    samples : sequence of Sample
        All samples of the training.
    config : AllegroConfig
    batch_size : int
    fill : float
        Smallest part of the room of the first atom in a block that its others need; 0
        for one block, without an order.

    Raises
    ------
    ValueError
        If the samples have not all the same number of atoms, or do not fill a batch.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        config: AllegroConfig,
        batch_size: int,
        fill: float = 0.0,
    ) -> None:
        if batch_size > len(samples):
            raise ValueError(
                "training: expected a batch_size of at most the "
                f"{len(samples)} training structures because compile = true, found "
                f"{batch_size}"
            )
        sizes = sorted({len(s.types) for s in samples})
        if len(sizes) > 1:
            raise ValueError(
                "training: expected structures of one size because compile = true, "
                f"found {len(sizes)} sizes, from {sizes[0]} to {sizes[-1]} atoms"
            )
        self.config, self.batch_size = config, batch_size
        self.is_sorted = fill > 0
        rooms = np.zeros(sizes[0], dtype=np.int64)
        for sample in samples:
            degrees = _degrees(sample)
            rooms = np.maximum(rooms, -np.sort(-degrees) if fill else degrees.max())
        self.shapes = _row_shapes(rooms.clip(min=1).tolist(), fill)

    def __call__(self, samples: Sequence[Sample]) -> Any:
        if len(samples) != self.batch_size:
            return collate(samples, self.config)
        atoms = len(samples[0].types)
        orders = [self._order(s) for s in samples]
        blocks: list[Block] = []
        begin = 0
        for count, room in self.shapes:
            chosen = [
                self._rows(s, order[begin : begin + count], room, index * atoms)
                for index, (s, order) in enumerate(zip(samples, orders, strict=True))
            ]
            blocks.append(tuple(map(torch.cat, zip(*chosen, strict=True))))
            begin += count
        frames = torch.arange(len(samples)).repeat_interleave(atoms)
        return DenseBatch(frames=frames, blocks=blocks, **join_fields(samples))

    def _order(self, sample: Sample) -> np.ndarray:
        if not self.is_sorted:
            return np.arange(len(sample.types))
        return np.argsort(-_degrees(sample), kind="stable")

    def _rows(self, sample: Sample, atoms: np.ndarray, room: int, offset: int) -> Block:
        """Some atoms of a sample as rows with ``room`` for neighbours."""
        degrees = _degrees(sample)
        first = np.cumsum(degrees) - degrees
        slots = np.arange(room)
        is_pair = torch.from_numpy(slots < degrees[atoms, None])
        pairs = torch.from_numpy((first[atoms, None] + slots)[is_pair.numpy()])
        vectors = sample.vectors.new_zeros((len(atoms), room, 3))
        vectors[..., 0] = PADDING * self.config.cutoff
        vectors[is_pair] = sample.vectors[pairs]
        neighbors = torch.zeros((len(atoms), room), dtype=torch.int64)
        neighbors[is_pair] = sample.neighbors[pairs] + offset
        return torch.from_numpy(atoms) + offset, neighbors, vectors


def _degrees(sample: Sample) -> np.ndarray:
    """Number of neighbours of each atom."""
    return np.bincount(sample.centers.numpy(), minlength=len(sample.types))


def _row_shapes(rooms: Sequence[int], fill: float) -> list[tuple[int, int]]:
    """Rows and room of each block, for atoms that need ``rooms``, in falling order."""
    shapes: list[tuple[int, int]] = []
    for room in rooms:
        if not shapes or room < fill * shapes[-1][1]:
            shapes.append((0, room))
        shapes[-1] = (shapes[-1][0] + 1, shapes[-1][1])
    return shapes


class CompiledLoss:
    """Compiled loss of a batch, with its gradients by the weights.

    The value of a call can be differentiated once.

    Parameters
    ----------
    loss : callable
        From batch and ``Prediction`` to a scalar.
    forces, stress : bool
        Whether it needs them. Energies alone need one derivative less.

    Raises
    ------
    RuntimeError
        If there is no C++ compiler (on a CPU).
    """

    def __init__(self, loss: Loss, forces: bool, stress: bool) -> None:
        self.loss, self.forces, self.stress = loss, forces, stress
        self.program: Callable[..., Any] | None = None

    def __call__(self, energy: torch.nn.Module, batch: DenseBatch) -> Tensor:
        weights = list(energy.parameters())
        if self.program is None:
            self.program = self.compile(energy, batch)
        return KnownGradient.apply(self.program, batch, *weights)

    def trace(self, energy: torch.nn.Module, batch: DenseBatch) -> torch.fx.GraphModule:
        """Trace the program from weights and a batch to loss and gradients."""
        predicting = _Predicting(energy)
        names, weights = zip(*predicting.named_parameters(), strict=True)

        def step(weights: list[Tensor], batch: DenseBatch) -> tuple[Tensor, ...]:
            with torch.enable_grad():
                leaves = [w.detach().requires_grad_(True) for w in weights]
                named = dict(zip(names, leaves, strict=True))
                derived = {"forces": self.forces, "stress": self.stress}
                prediction = functional_call(predicting, named, (batch,), derived)
                value = self.loss(batch, prediction)
                gradients = torch.autograd.grad(value, leaves)
            return (value.detach(), *(g.detach() for g in gradients))

        # One for all nodes; else each makes its own, which takes most of the time.
        fake = TracingContext(FakeTensorMode(allow_fallback_kernels=True))
        with tracing(fake):
            return make_fx(step)([w.detach() for w in weights], batch)

    def compile(self, energy: torch.nn.Module, batch: DenseBatch) -> Callable[..., Any]:
        """Trace and compile the program."""
        if batch.types.device.type == "cpu":
            require_compiler()
        keep_programs()
        log.info("compiling the training step, which takes a minute or two once")
        started = time.monotonic()
        graph = self.trace(energy, batch)
        program = torch.compile(graph, fullgraph=True, dynamic=False)
        plain = [w.detach() for w in energy.parameters()]
        with torch.no_grad():
            program(plain, batch)
        log.info("compiled in %.0f s", time.monotonic() - started)
        return program


class _Predicting(torch.nn.Module):
    """``predict`` in a training as a module, which can be called with other weights."""

    def __init__(self, energy: torch.nn.Module) -> None:
        super().__init__()
        self.energy = energy

    def forward(self, batch: Any, **derived: bool) -> Prediction:
        return predict(self.energy, batch, training=True, **derived)


class KnownGradient(torch.autograd.Function):
    """Value whose gradients by the weights a program computes with it."""

    @staticmethod
    def forward(ctx: Any, program: Any, batch: DenseBatch, *weights: Tensor) -> Tensor:
        with torch.no_grad():
            value, *gradients = program([w.detach() for w in weights], batch)
        ctx.save_for_backward(*gradients)
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        return (None, None, *(g * upstream.to(g.dtype) for g in ctx.saved_tensors))


def keep_programs() -> None:
    """Let torch keep what it compiles in the user's cache folder, for later runs.

    Its own choice is the folder of temporary files. ``TORCHINDUCTOR_CACHE_DIR`` names
    another folder. Torch writes each file in one step, under a lock.
    """
    folder = cache_folder() / "inductor"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


def require_compiler() -> None:
    """Refuse to compile without a C++ compiler.

    Raises
    ------
    RuntimeError
        If there is no C++ compiler.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise RuntimeError(
            "training: expected a C++ compiler such as g++ because compile = true, "
            "found none; set compile = false or install one"
        ) from error
