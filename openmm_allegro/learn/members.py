# SPDX-License-Identifier: MIT
"""Train the members of a committee on the frames that are labelled."""

import dataclasses
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..structure import Structure
from ..training.data import split
from ..training.resume import CHECKPOINTS
from ..training.train import train
from ..utils.files import replacing
from .loop_file import Loop

log = logging.getLogger(__name__)


def member_paths(folder: Path, members: int) -> list[Path]:
    """Files of the models of a round."""
    return [folder / f"model-{member}.safetensors" for member in range(1, members + 1)]


def train_members(
    loop: Loop, labelled: Sequence[Structure], folder: Path, *, progress: bool
) -> list[Path]:
    """Train all members that have no model yet, each with a seed and frames of its own.

    Each round trains anew from the models of ``start_from``, or from random weights, so
    that a model depends on its frames alone. A training that was interrupted goes on.

    Parameters
    ----------
    loop : Loop
    labelled : sequence of Structure
        All frames that are labelled. Without any, members are the models to start from.
    folder : Path
        Of the round.
    progress : bool

    Returns
    -------
    list of Path
        Model files.
    """
    config = loop.config
    paths = member_paths(folder, config.members)
    for member, path in enumerate(paths):
        if path.exists():
            continue
        if not labelled:
            source = loop.folder / config.start_from[member % len(config.start_from)]
        else:
            log.info("member %d of %d", member + 1, config.members)
            source = _train(loop, labelled, member, folder, progress=progress)
        with replacing(path) as partial:
            shutil.copyfile(source, partial)
    return paths


def _train(
    loop: Loop,
    labelled: Sequence[Structure],
    member: int,
    folder: Path,
    *,
    progress: bool,
) -> Path:
    """Train one member and return its model file."""
    config, output = loop.config, folder / f"member-{member + 1}"
    training, validation = [*labelled], [*loop.validation]
    if not validation:
        size = max(1, round(config.validation_part * len(labelled)))
        if size >= len(labelled):
            raise ValueError(
                "learn: expected two labelled frames or more, of which one chooses the "
                f"best epoch, or files of validation, found {len(labelled)}"
            )
        validation, training = split(
            labelled, [size, len(labelled) - size], config.seed + member
        )
    settings = loop.training
    seed = (settings.seed + member) % 2**32
    whole = any(output.glob(CHECKPOINTS))
    train(
        loop.networks[member],
        dataclasses.replace(settings, seed=seed),
        training,
        validation,
        output,
        start_from=loop.models[member % len(loop.models)] if loop.models else None,
        replay=loop.replay,
        resume=whole,
        overwrite=not whole and output.exists(),
        provenance={"member": member + 1},
        progress=progress,
    )
    return output / "model.safetensors"


def remove_training(folder: Path) -> None:
    """Remove the checkpoints of trainings that are finished; models and logs stay."""
    for path in folder.glob(f"member-*/{CHECKPOINTS}"):
        os.remove(path)
