# SPDX-License-Identifier: MIT
"""Read the structures that a ``DataConfig`` names, and split them."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..classical.baseline import by_composition, subtract_baseline
from ..classical.serialized import read_system
from ..structure import Structure, read_structures
from .config import DataConfig

log = logging.getLogger(__name__)


def read_data(
    config: DataConfig, folder: str | Path, *, trust: bool = False
) -> tuple[list[Structure], list[Structure], dict[str, Any]]:
    """Read training and validation structures, and record the files they came from.

    Parameters
    ----------
    config : DataConfig
    folder : path
        Start of relative paths.
    trust : bool
        Whether Systems of the baseline may run code, see ``read_system``.

    Returns
    -------
    training, validation : list of Structure
    record : dict
        SHA-256 of each file, and the split; JSON values.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_structures``, or if there is no validation set.
    """
    folder = Path(folder)
    if not config.training:
        raise ValueError("data config: expected training files, found an empty list")
    if not config.validation and config.validation_size < 1:
        raise ValueError(
            "data config: expected validation files or a validation_size of at least "
            f"1, found neither (validation_size = {config.validation_size})"
        )
    files = {
        name: [folder / f for f in getattr(config, name)]
        for name in ("training", "validation", "test", "baseline")
    }
    record = {
        f"{name}_files": {f: _sha256(folder / f) for f in getattr(config, name)}
        for name in files
        if files[name]
    }
    both = set(record["training_files"].values()) & set(
        record.get("validation_files", {}).values()
    )
    if both:
        log.warning("a validation file is identical to a training file")
    training = read_labelled(files["training"], files["baseline"], trust=trust)
    if config.validation:
        validation = read_labelled(files["validation"], files["baseline"], trust=trust)
        return training, validation, record
    size = config.validation_size
    validation, training = split(
        training, [size, max(len(training) - size, 0)], config.split_seed
    )
    record |= {"validation_size": size, "split_seed": config.split_seed}
    return training, validation, record


def read_test(
    config: DataConfig, folder: str | Path, *, trust: bool = False
) -> list[Structure]:
    """Read test structures, less the baseline if there is one.

    Parameters and errors are those of ``read_data``.
    """
    folder = Path(folder)
    return read_labelled(
        [folder / name for name in config.test],
        [folder / name for name in config.baseline],
        trust=trust,
    )


def read_labelled(
    files: Sequence[str | Path],
    baseline: Sequence[str | Path] = (),
    *,
    trust: bool = False,
) -> list[Structure]:
    """Read structures, and subtract the labels that a force field gives them.

    Parameters
    ----------
    files : sequence of path
        As ``read_structures``.
    baseline : sequence of path
        Serialized Systems, one for each composition; none to leave the labels as they
        are.
    trust : bool
        Whether these may run code, see ``read_system``.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_structures``, ``read_system`` and ``subtract_baseline``.
    """
    systems = [read_system(path, trust=trust) for path in baseline]
    structures = read_structures(files)
    return (
        subtract_baseline(structures, by_composition(systems))
        if systems
        else structures
    )


def split(
    structures: Sequence[Structure], sizes: Sequence[int], seed: int = 0
) -> list[list[Structure]]:
    """Draw random disjoint subsets.

    Parameters
    ----------
    structures : sequence of Structure
    sizes : sequence of int
        Number of structures of each subset; their sum may be smaller than the whole.
    seed : int

    Returns
    -------
    list of list of Structure

    Raises
    ------
    ValueError
        If the sizes are negative or sum to more structures than there are.
    """
    if min(sizes, default=0) < 0 or sum(sizes) > len(structures):
        raise ValueError(
            f"expected sizes that sum to at most {len(structures)} structures, found "
            f"{list(sizes)}"
        )
    order = np.random.default_rng(seed).permutation(len(structures))
    ends = np.cumsum(sizes)
    return [
        [structures[i] for i in order[end - size : end]]
        for size, end in zip(sizes, ends, strict=True)
    ]


def check_labels(name: str, structures: Sequence[Structure]) -> None:
    """Refuse an empty set, and structures without an energy or forces.

    Parameters
    ----------
    name : str
        Of the set, for the message.
    structures : sequence of Structure

    Raises
    ------
    ValueError
    """
    if not structures:
        raise ValueError(f"{name}: expected at least one structure, found none")
    for index, s in enumerate(structures):
        if s.energy is None or s.forces is None:
            raise ValueError(
                f"{name} structure {index}: expected an energy and forces, found "
                f"{'no energy' if s.energy is None else 'no forces'}"
            )
        if not (np.isfinite(s.energy) and np.isfinite(s.forces).all()):
            raise ValueError(
                f"{name} structure {index}: expected a finite energy and forces, "
                "found NaN or infinity"
            )


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a file of structures, found nothing at {path}"
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()
