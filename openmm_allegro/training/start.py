# SPDX-License-Identifier: MIT
"""Check the data of a training and make the model that it starts from."""

import dataclasses
import platform
from collections.abc import Sequence
from typing import Any

import torch

from .._version import __version__
from ..model import AllegroConfig
from ..structure import Structure
from .config import TrainConfig
from .samples import Sample
from .statistics import closest_pairs


def choose_device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("expected a CUDA device because device = 'cuda', found none")
    return name


def training_record(
    samples: Sequence[Sample],
    held_out: Sequence[Sample],
    structures: Sequence[Structure],
    model_config: AllegroConfig,
    train_config: TrainConfig,
) -> dict[str, Any]:
    """What a model file keeps of its training, JSON values.

    Parameters
    ----------
    samples, held_out : sequence of Sample
        Of training and validation.
    structures : sequence of Structure
        Those of training.
    model_config : AllegroConfig
    train_config : TrainConfig
    """
    periodic = [bool(s.periodic.any()) for s in structures]
    return {
        "package_version": __version__,
        "torch_version": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "periodic": "all" if all(periodic) else "some" if any(periodic) else "none",
        "training_structures": len(samples),
        "validation_structures": len(held_out),
        "closest_pairs": closest_pairs(samples, model_config),
        "train": dataclasses.asdict(train_config),
    }
