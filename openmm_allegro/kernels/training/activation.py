# SPDX-License-Identifier: MIT
"""SiLU with its first two derivatives written out, in few passes over its argument."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def silu(x: Tensor) -> Tensor:
    """Compute x σ(x), which can be differentiated twice."""
    return _Silu.apply(x)


class _Silu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        s = torch.sigmoid(x)
        value = x * s
        slope = torch.addcmul(s + value, value, s, value=-1.0)  # σ + x σ (1 - σ)
        ctx.save_for_backward(x, s, value, slope)
        return value

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        return _Sloped.apply(upstream, *ctx.saved_tensors)


class _Sloped(torch.autograd.Function):
    """``upstream`` times the slope, a function of both."""

    @staticmethod
    def forward(
        ctx: Any, upstream: Tensor, x: Tensor, s: Tensor, value: Tensor, slope: Tensor
    ) -> Tensor:
        ctx.save_for_backward(upstream, s, value.detach(), slope)
        return upstream * slope

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, second: Tensor) -> tuple[Any, ...]:
        upstream, s, value, slope = ctx.saved_tensors
        twice = torch.sub(slope, value, alpha=0.5)
        curvature = torch.addcmul(twice, twice, s, value=-1.0)  # half of it
        by_x = torch.mul(curvature, upstream) * second
        return second * slope, by_x + by_x, None, None, None
