# SPDX-License-Identifier: MIT
"""Find the training that a folder holds and check that it can be continued."""

import contextlib
import dataclasses
import hashlib
import json
import logging
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..model.config import CHARGE_SCALE
from ..model.model import Model
from ..structure import Structure
from ..structure.structure import CHARGE_LABELS
from ..utils.files import check_folder
from ..utils.settings import settings_of
from .config import TrainConfig
from .record import LOG, MODEL
from .refit import shifts_of_training

log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints/*.ckpt"  # of train
STATE = "state.pt"  # of graphs
# Settings that may change when a training is resumed.
MAY_CHANGE = tuple(name for name, m in settings_of(TrainConfig).items() if m.may_change)
# Keys of the provenance that name the data.
_DATA = (
    "training_files",
    "validation_files",
    "validation_size",
    "split_seed",
    "baseline_files",
    "labels",
)


# Hashes of the structures and labels themselves.
DATA_HASHES = ("training_sha256", "validation_sha256")
# Keys of files whose names do not matter where the hashes are the same.
_FILES = ("training_files", "validation_files")
# Of settings that came later than some trainings, which lack them: what those did.
_DEFAULTS = {
    "shifts": {},
    "core_rates": (),
    "inner_cutoffs": {},
    "charges": "none",
    "charge_start": {},
    "charge_alpha": 0.0,
    "charge_scale": CHARGE_SCALE,
}
_FORMER = {
    "optimizer": "adam",
    "weight_decay": 0.0,
    "fix_linear_chains": False,
    "forces_loss": "mse",
}


def find_checkpoint(
    output: Path, pattern: str, *, resume: bool, overwrite: bool
) -> Path | None:
    """The last checkpoint in the folder of a training, or None for a new one.

    Parameters
    ----------
    output : Path
    pattern : str
        ``CHECKPOINTS`` or ``STATE``.
    resume, overwrite : bool
        As of ``train``.

    Raises
    ------
    FileExistsError, PermissionError
        If there is a training and neither ``resume`` nor ``overwrite`` is set, or a
        file in the place of the folder, or nothing can be written there.
    ValueError
        If both are set, or there is nothing to resume.
    """
    check_folder(output)
    if resume and overwrite:
        raise ValueError("expected either resume or overwrite, found both")
    if resume:
        checkpoints = sorted(output.glob(pattern))
        if not checkpoints:
            raise ValueError(
                "expected a checkpoint to resume from in "
                f"{(output / pattern).parent}, found none"
            )
        return _last_whole(checkpoints)
    used = any(any(output.glob(p)) for p in (CHECKPOINTS, STATE, MODEL))
    if used and not overwrite:
        raise FileExistsError(
            f"expected a new folder for the training, found one with a training in it "
            f"at {output}; name another, resume=True (--resume) continues it, "
            "overwrite=True (--force) starts anew"
        )
    return None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint as tensors and plain values, on the CPU; no code of it runs.

    Raises
    ------
    ValueError
        If it is damaged, or holds other objects.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises many kinds
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ValueError(
            f"expected a checkpoint of tensors and numbers in {path}, found "
            f"{type(error).__name__} ({reason}); bring it back, or train anew "
            "(overwrite=True, --force)"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"expected the tables of a checkpoint in {path}, found a "
            f"{type(content).__name__}"
        )
    return content


def remove_others(checkpoint: Path) -> None:
    """Remove the checkpoints beside the one that is resumed: a kill may leave two."""
    for path in checkpoint.parent.glob(Path(CHECKPOINTS).name):
        if path != checkpoint:
            path.unlink()


def remove_training(output: Path) -> None:
    """Delete the files of a training, and nothing else."""
    shutil.rmtree(output / "checkpoints", ignore_errors=True)
    for name in (LOG, MODEL, STATE):
        (output / name).unlink(missing_ok=True)


def check_same(model: Model, header: dict[str, Any], where: Path) -> None:
    """Refuse to resume a training with another model, other data or other settings.

    Parameters
    ----------
    model : Model
        As it would be trained now.
    header : dict
        ``config``, ``statistics`` and ``provenance`` of the model as it was saved.
    where : Path
        Folder or file, for the message.

    Raises
    ------
    ValueError
    """
    before, now = header["provenance"], model.provenance
    data = {key: now[key] for key in _DATA if key in now}
    if all(before.get(key) == now[key] for key in DATA_HASHES):
        data = {key: value for key, value in data.items() if key not in _FILES}
    for old, new, same in (
        (_DEFAULTS | header["config"], dataclasses.asdict(model.config), _same_json),
        (
            shifts_of_training(header),
            dataclasses.asdict(model.statistics),
            _same_numbers,
        ),
        (
            dataclasses.asdict(TrainConfig()) | _FORMER | before["train"],
            model.provenance["train"],
            _same_json,
        ),
        (before, data, _same_json),
    ):
        for key, value in new.items():
            saved = old.get(key)
            if key not in MAY_CHANGE and not same(saved, value):
                raise ValueError(
                    f"expected the model, data and settings of {where} to resume it, "
                    f"found {key} = {value} where it has {saved}"
                )
    _check_structures(before, now, where)
    _check_source(before, now, where)


def hash_structures(structures: Sequence[Structure], *, charged: bool = False) -> str:
    """Hash structures with their labels, in order, but for where they were read.

    Parameters
    ----------
    structures : sequence of Structure
    charged : bool
        Whether charges count, with which a model without charges does nothing.
    """
    left_out = ["source", "baseline", "unclear_charge"]  # with it, charge is NaN
    left_out += () if charged else CHARGE_LABELS
    sha = hashlib.sha256()
    for structure in structures:
        for field in dataclasses.fields(structure):
            if field.name in left_out:
                continue
            value = getattr(structure, field.name)
            sha.update(f"{field.name} {np.shape(value)} ".encode())
            if isinstance(value, np.ndarray):
                sha.update(np.ascontiguousarray(value).tobytes())
            else:
                sha.update(repr(value).encode())
    return sha.hexdigest()


def _last_whole(checkpoints: Sequence[Path]) -> Path:
    """The last checkpoint that is not damaged; torch's are archives with checksums."""
    for path in reversed(checkpoints):
        with contextlib.suppress(zipfile.BadZipFile, zlib.error, OSError):
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged is None:
                return path
        log.warning("%s is damaged, and left out", path)
    raise ValueError(
        f"expected a whole checkpoint to resume from in {checkpoints[-1]}, found it "
        "damaged; bring it back, or train anew (overwrite=True, --force)"
    )


def _check_structures(before: dict[str, Any], now: dict[str, Any], where: Path) -> None:
    """Refuse other structures or labels, which may have the same statistics."""
    if not any(key in before for key in DATA_HASHES):
        log.warning(
            "%s is of a version that kept no hash of its structures: only their files "
            "and statistics are compared",
            where,
        )
        return
    for key in DATA_HASHES:
        name = key.removesuffix("_sha256")
        count = f"{name}_structures"
        if before.get(key) != now[key]:
            raise ValueError(
                f"expected the model, data and settings of {where} to resume it, found "
                f"other structures, labels or weights, or another order of them, in "
                f"the {name} set ({now[count]} where it has {before.get(count)})"
            )


def _check_source(before: dict[str, Any], now: dict[str, Any], where: Path) -> None:
    """Refuse another model to start from, or other frames to replay."""
    digests = [record.get("started_from", {}).get("digest") for record in (before, now)]
    replayed = [record.get("replay_sha256") for record in (before, now)]
    for name, (old, new) in (
        ("the model to start from (start_from, --from)", digests),
        ("the frames to replay", replayed),
    ):
        if old != new:
            raise ValueError(
                f"expected the model, data and settings of {where} to resume it, found "
                f"{name} of hash {new} where it has {old}"
            )


def _same_json(a: Any, b: Any) -> bool:
    return json.dumps(a) == json.dumps(b)


def _same_numbers(a: Any, b: Any) -> bool:
    """Compare but for rounding: sums over the data depend on the number of threads."""
    return np.shape(a) == np.shape(b) and np.allclose(a, b)
