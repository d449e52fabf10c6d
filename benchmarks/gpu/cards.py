# SPDX-License-Identifier: MIT
"""Published rates of graphics cards."""

from typing import NamedTuple


class Card(NamedTuple):
    """Peaks by the vendor's documents, at the boost clock, without sparsity."""

    architecture: int  # compute capability, as of sm_90
    multiprocessors: int
    clock: float  # GHz
    fp32: float  # TFLOP/s
    tf32: float  # TFLOP/s of the tensor cores, sums in float32
    mma: float  # share of `tf32` that mma.sync reaches
    fp64: float  # TFLOP/s, without tensor cores
    memory: float  # TB/s
    l2_size: float  # MB
    l2: float  # TB/s, measured by others: no vendor's number
    shared: int  # kB of a multiprocessor
    group: int  # kB that a work-group may take
    source: str


WHITE_PAPER = "NVIDIA {} architecture white paper"
# L2: chipsandcheese.com/2023/07/02/nvidias-h100-funny-l2-and-tons-of-bandwidth and
# /2022/11/02/microbenchmarking-nvidias-rtx-4090. On Hopper mma.sync reaches 0.63 of
# what wgmma does: arXiv:2402.13499.
CARDS = {
    "A100": Card(
        *(80, 108, 1.41, 19.5, 156.0, 1.0, 9.7, 2.039, 40.0, 5.0, 164, 163),
        WHITE_PAPER.format("A100 Tensor Core GPU") + "; A100 80 GB SXM datasheet",
    ),
    "H100": Card(
        *(90, 132, 1.98, 66.9, 494.7, 0.63, 33.5, 3.35, 50.0, 5.5, 228, 227),
        WHITE_PAPER.format("H100 Tensor Core GPU") + "; H100 SXM datasheet",
    ),
    "H200": Card(
        *(90, 132, 1.98, 66.9, 494.7, 0.63, 33.5, 4.8, 50.0, 5.5, 228, 227),
        "H200 SXM datasheet; arithmetic is the H100's",
    ),
    "RTX 4090": Card(
        *(89, 128, 2.52, 82.6, 82.6, 1.0, 1.29, 1.008, 72.0, 5.0, 100, 99),
        WHITE_PAPER.format("Ada GPU"),
    ),
    "L40S": Card(
        *(89, 142, 2.52, 91.6, 183.0, 1.0, 1.43, 0.864, 96.0, 5.0, 100, 99),
        "L40S datasheet; " + WHITE_PAPER.format("Ada GPU"),
    ),
}
