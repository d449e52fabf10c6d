# SPDX-License-Identifier: MIT
"""Optimisers of the network's weights, most of which are matrices."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from .config import TrainConfig

# Coefficients of the odd polynomial that takes singular values between 0 and 1 to about
# 1 when it is applied five times; K. Jordan et al., "Muon", 2024,
# kellerjordan.github.io/posts/muon.
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
FEWEST = 5  # rows and columns
ADAM_BETAS = (0.9, 0.99)
ADAM_EPS = 1e-8


def make_optimizer(
    config: TrainConfig, module: torch.nn.Module
) -> torch.optim.Optimizer:
    """Make the optimiser that a config names, for the weights of a module.

    Parameters
    ----------
    config : TrainConfig
    module : Module
        Its weights are those of a network's, by name; frozen ones are left out.
    """
    trained = {n: p for n, p in module.named_parameters() if p.requires_grad}
    if config.optimizer == "adam":
        rate, decay = config.learning_rate, config.weight_decay
        if decay == 0:
            return torch.optim.Adam(trained.values(), lr=rate)
        # Bessel roots are not weights: to shrink them is to change the functions.
        weights = [p for p in trained.values() if p.ndim > 1]
        others = [p for p in trained.values() if p.ndim <= 1]
        groups = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, rate, weight_decay=decay)
    # A row of an embedding belongs to an element or a pair, not to a direction.
    kinds = {True: [], False: []}
    for name, p in trained.items():
        embeds = ".embedding." in name and ".linear." not in name
        kinds[embeds].append(p)
    return Muon(
        kinds[False],
        lr=config.learning_rate,
        momentum=config.momentum,
        adam=kinds[True],
        weight_decay=config.weight_decay,
    )


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are made orthogonal, the same size in every direction.

    A step is ``lr · sqrt(max(rows, columns)) · U Vᵀ`` with U S Vᵀ the singular value
    decomposition of the momentum, so that the root mean square of its entries is about
    ``lr``, whatever the shape: J. Liu et al., doi:10.48550/arXiv.2502.16982, sec. 2.2.
    Other tensors, and matrices with fewer than 5 rows or columns, which have too few
    directions to share a step among, take steps of Adam at half the rate; so do those
    that the caller names with ``adam`` (embeddings).

    ``torch.optim.Muon`` multiplies in bfloat16, which is slow on most CPUs, and each
    matrix by itself; here matrices of one shape are multiplied together in their own
    precision.

    Parameters
    ----------
    params : iterable of Parameter
    lr : float
        The ``lr`` of a group may be made a tensor [] of the weights' device; then no
        step needs the host, and a CUDA graph can hold one.
    momentum : float
        Of Nesterov's kind.
    adam : iterable of Parameter
        Parameters that take steps of Adam whatever their shape.
    weight_decay : float
        Fraction, times the rate, that matrices lose in each step, apart from the step
        by the gradient (I. Loshchilov and F. Hutter, doi:10.48550/arXiv.1711.05101).
    """

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float,
        momentum: float = 0.98,
        adam: Iterable[torch.nn.Parameter] = (),
        weight_decay: float = 0.0,
    ) -> None:
        both = [{"params": list(params)}, {"params": list(adam), "adam": True}]
        groups = [group for group in both if group["params"]]
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(groups, defaults | {"adam": False})

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # checkpoints of earlier versions lack it
            group.setdefault("weight_decay", 0.0)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step with the gradients, and return the loss of ``closure``."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            kept = 1 - group["lr"] * group["weight_decay"]
            alike: dict[tuple[int, ...], list[torch.nn.Parameter]] = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                if group["adam"] or p.ndim != 2 or min(p.shape) < FEWEST:
                    self._adam(p, 0.5 * group["lr"])
                else:
                    alike.setdefault(tuple(sorted(p.shape)), []).append(p)
            for parameters in alike.values():
                if group["weight_decay"] != 0:
                    torch._foreach_mul_(parameters, kept)
                self._orthogonal(parameters, group["lr"], group["momentum"])
        return loss

    def _orthogonal(
        self,
        parameters: list[torch.nn.Parameter],
        lr: float | Tensor,
        momentum: float,
    ) -> None:
        updates = []
        for p in parameters:
            state = self.state[p]
            if not state:
                state["momentum"] = torch.zeros_like(p)
            buffer = state["momentum"].mul_(momentum).add_(p.grad)
            update = p.grad.add(buffer, alpha=momentum)
            updates.append(update.T if p.shape[0] > p.shape[1] else update)
        scale = -lr * math.sqrt(max(parameters[0].shape))
        for p, step in zip(parameters, orthogonalised(torch.stack(updates))):  # noqa: B905
            p.add_((step.T if p.shape[0] > p.shape[1] else step) * scale)

    def _adam(self, p: torch.nn.Parameter, lr: float | Tensor) -> None:
        first, second = ADAM_BETAS
        state = self.state[p]
        if not state:
            state["step"] = torch.zeros_like(lr) if isinstance(lr, Tensor) else 0
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
        state["step"] += 1
        mean = state["exp_avg"].lerp_(p.grad, 1 - first)
        square = state["exp_avg_sq"].lerp_(p.grad.square(), 1 - second)
        size = (square / (1 - second ** state["step"])).sqrt_().add_(ADAM_EPS)
        p.sub_(mean / size * (lr / (1 - first ** state["step"])))


def orthogonalised(matrices: Tensor) -> Tensor:
    """Approximate U Vᵀ of each of ``matrices`` [n, rows, columns], rows ≤ columns.

    Singular values come out between about 0.7 and 1.2 unless they are below some 1e-3
    of the largest; those of a zero matrix stay zero.
    """
    a, b, c = QUINTIC
    norm = torch.linalg.matrix_norm(matrices, keepdim=True)
    x = matrices / (norm + torch.finfo(matrices.dtype).tiny)
    for _ in range(ITERATIONS):
        square = torch.bmm(x, x.mT)
        x = torch.baddbmm(
            x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a
        )
    return x
