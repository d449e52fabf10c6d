# SPDX-License-Identifier: MIT
"""Compile the loss of a batch and its gradients to one program.

Forces are derivatives, so the gradient of their loss is a second derivative, which
torch.compile cannot take by itself. The step is therefore traced with both derivatives
written out, and compiled as plain arithmetic.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from ..model import AllegroConfig, forces_from_pairs
from ..neighbors import PADDING
from .evaluate import Prediction, stresses_of
from .samples import Sample, collate, join_fields

log = logging.getLogger(__name__)


class DenseBatch(NamedTuple):
    """B samples of n atoms each, N = B·n, with K entries for every centre."""

    types: Tensor  # [N] int64
    neighbors: Tensor  # [N, K] int64, 0 in padding
    vectors: Tensor  # [N, K, 3] Å, beyond the cutoff in padding
    sizes: Tensor  # [B] int64, each n
    energies: Tensor  # [B] float64, eV
    forces: Tensor  # [N, 3] eV/Å
    stresses: Tensor  # [B, 3, 3] eV/Å³; NaN where unknown
    volumes: Tensor  # [B] Å³, 0 where there is no stress
    energy_weights: Tensor  # [B] float64, in the loss
    force_weights: Tensor  # [N, 1]
    stress_weights: Tensor  # [B, 1, 1]


Loss = Callable[[Any, Prediction], Tensor]


class DenseCollate:
    """Join a full batch to a ``DenseBatch``, and the rest of an epoch to a ``Batch``.

    Parameters
    ----------
    samples : sequence of Sample
        All samples of the training.
    config : AllegroConfig
    batch_size : int

    Raises
    ------
    ValueError
        If the samples have not all the same number of atoms, or do not fill a batch.
    """

    def __init__(
        self, samples: Sequence[Sample], config: AllegroConfig, batch_size: int
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
        self.entries = max(
            (int(torch.bincount(s.centers).max()) for s in samples if len(s.centers)),
            default=1,
        )

    def __call__(self, samples: Sequence[Sample]) -> Any:
        if len(samples) != self.batch_size:
            return collate(samples, self.config)
        atoms = len(samples[0].types)
        shape = (len(samples) * atoms, self.entries)
        vectors = samples[0].vectors.new_zeros((*shape, 3))
        vectors[..., 0] = PADDING * self.config.cutoff
        neighbors = torch.zeros(shape, dtype=torch.int64)
        for index, s in enumerate(samples):
            degrees = torch.bincount(s.centers, minlength=atoms)
            first = torch.cumsum(degrees, 0) - degrees
            slot = torch.arange(len(s.centers)) - first[s.centers]
            rows = s.centers + index * atoms
            vectors[rows, slot] = s.vectors
            neighbors[rows, slot] = s.neighbors + index * atoms
        return DenseBatch(neighbors=neighbors, vectors=vectors, **join_fields(samples))


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
        names, weights = zip(*energy.named_parameters(), strict=True)

        def step(weights: list[Tensor], batch: DenseBatch) -> tuple[Tensor, ...]:
            with torch.enable_grad():
                leaves = [w.detach().requires_grad_(True) for w in weights]
                named = dict(zip(names, leaves, strict=True))
                prediction = self._predict(energy, named, batch)
                value = self.loss(batch, prediction)
                gradients = torch.autograd.grad(value, leaves)
            return (value.detach(), *(g.detach() for g in gradients))

        return make_fx(step)([w.detach() for w in weights], batch)

    def compile(self, energy: torch.nn.Module, batch: DenseBatch) -> Callable[..., Any]:
        """Trace and compile the program."""
        if batch.vectors.device.type == "cpu":
            require_compiler()
        log.info("compiling the training step, which takes a minute or two")
        started = time.monotonic()
        graph = self.trace(energy, batch)
        program = torch.compile(graph, fullgraph=True, dynamic=False)
        plain = [w.detach() for w in energy.parameters()]
        with torch.no_grad():
            program(plain, batch)
        log.info("compiled in %.0f s", time.monotonic() - started)
        return program

    def _predict(
        self, energy: torch.nn.Module, weights: dict[str, Tensor], batch: DenseBatch
    ) -> Prediction:
        """Predict as ``evaluate.predict``, with other weights and without branches."""
        frames, atoms = len(batch.sizes), len(batch.types)
        derive = self.forces or self.stress
        vectors = batch.vectors.detach().requires_grad_(derive)
        inputs = vectors, batch.types, batch.types[batch.neighbors]
        energies = functional_call(energy, weights, inputs)  # of the centres
        totals = energies.view(frames, -1).sum(1)
        forces = torch.zeros_like(batch.forces)
        stresses = torch.zeros_like(batch.stresses)
        if not derive:
            return Prediction(totals, forces, stresses)
        (gradient,) = torch.autograd.grad(energies.sum(), vectors, create_graph=True)
        if self.forces:
            centers = torch.arange(atoms, device=gradient.device)
            forces = forces_from_pairs(gradient, centers, batch.neighbors, atoms)
        if self.stress:
            per_frame = batch.vectors.view(frames, -1, 3).transpose(1, 2)
            strains = torch.matmul(per_frame, gradient.view(frames, -1, 3))
            stresses = stresses_of(strains, batch.volumes)
        return Prediction(totals, forces, stresses)


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
