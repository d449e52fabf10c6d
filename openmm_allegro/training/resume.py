# SPDX-License-Identifier: MIT
"""Find what there is of a training and check that it can be continued."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ..model.file import Model

# Settings of a training that may be other ones when it is resumed.
RESUME_MAY_CHANGE = ("max_epochs", "device", "compile")
# What a training of an earlier version did where its record names no value.
_DEFAULTS = {
    "optimizer": "adam",
    "forces_loss": "mse",
    "momentum": 0.98,
    "weight_decay": 0.0,
    "fix_linear_chains": False,
    "late_epoch": 0,
    "late_weights": (),
}


def find_checkpoint(output: Path, resume: bool, overwrite: bool) -> Path | None:
    found = sorted((output / "checkpoints").glob("*.ckpt"))
    used = bool(found) or (output / "model.safetensors").exists()
    if resume:
        if not found:
            raise ValueError(
                f"expected a checkpoint to resume from in {output / 'checkpoints'}, "
                "found none"
            )
        return found[-1]
    if used and not overwrite:
        raise FileExistsError(
            f"expected a new folder for the training, found one with a training in it "
            f"at {output}; name another, resume=True (--resume) goes on in it, "
            "overwrite=True (--force) starts anew"
        )
    return None


def remove_training(output: Path) -> None:
    shutil.rmtree(output / "checkpoints", ignore_errors=True)
    for name in ("log.csv", "model.safetensors"):
        (output / name).unlink(missing_ok=True)


def check_same(model: Model, header: dict[str, Any], where: Path) -> None:
    """Refuse to go on as another training than the one that was begun.

    Parameters
    ----------
    model : Model
        As it would be trained now.
    header : dict
        What a file of the model said of it then: ``config``, ``statistics`` and
        ``provenance``.
    where : Path
        For the message.

    Raises
    ------
    ValueError
    """
    before = header["provenance"]
    now = {
        key: value
        for key, value in model.provenance.items()
        if key
        in (
            "training_files",
            "validation_files",
            "validation_size",
            "split_seed",
            "baseline_files",
        )
    }
    for old, new, same in (
        (header["config"], dataclasses.asdict(model.config), _same_json),
        (header["statistics"], dataclasses.asdict(model.statistics), _same_numbers),
        (_DEFAULTS | before["train"], model.provenance["train"], _same_json),
        (before, now, _same_json),
    ):
        for key, value in new.items():
            found = old.get(key)
            if key not in RESUME_MAY_CHANGE and not same(found, value):
                raise ValueError(
                    f"expected the model, data and settings of {where} to resume it, "
                    f"found {key} = {value} where it has {found}"
                )


def _same_json(a: Any, b: Any) -> bool:
    return json.dumps(a) == json.dumps(b)


def _same_numbers(a: Any, b: Any) -> bool:
    """But for rounding: sums over the data depend on the number of threads."""
    return np.shape(a) == np.shape(b) and np.allclose(a, b)
