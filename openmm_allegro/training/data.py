# SPDX-License-Identifier: MIT
"""Read the structures that a ``DataConfig`` names, and split them."""

import dataclasses
import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..classical.baseline import by_composition, subtract_baseline
from ..classical.serialized import read_system
from ..structure import Structure, read_structures
from ..structure.labels.settings import LabelSettings
from ..utils.files import short_names
from ..utils.progress import log_if_long
from ..utils.words import counted
from .config import DataConfig, TrainConfig
from .frames import place_of

log = logging.getLogger(__name__)


def read_data(
    config: DataConfig,
    folder: str | Path,
    *,
    trust: bool = False,
    structures: Sequence[Structure] | None = None,
) -> tuple[list[Structure], list[Structure], dict[str, Any]]:
    """Read training and validation structures, and record the files they came from.

    Parameters
    ----------
    config : DataConfig
    folder : path
        Start of relative paths.
    trust : bool
        Whether Systems of the baseline may run code, see ``read_system``.
    structures : sequence of Structure, optional
        Of the training files, less the baseline, if they were read already.

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
        for name in ("training", "validation", "test", "replay", "baseline")
    }
    record = {
        f"{name}_files": {f: _sha256(folder / f) for f in getattr(config, name)}
        for name in files
        if files[name]
    }
    labels, plain = config.labels(), dataclasses.asdict(LabelSettings())
    changed = dataclasses.asdict(labels).items() - plain.items()
    if changed:
        record["labels"] = dict(sorted(changed))
    if config.file_weights:
        record["file_weights"] = dict(sorted(config.file_weights.items()))

    def read(name: str, known: Sequence[Structure] | None = None) -> list[Structure]:
        if known is None:
            known = read_labelled(files[name], files["baseline"], labels, trust=trust)
        return _weigh_files(known, config.file_weights, folder)

    training = read("training", structures)
    if config.validation:
        validation = read("validation")
        report_repeated("validation", validation, training)
        return training, validation, record
    size = config.validation_size
    if size >= len(training):
        raise ValueError(
            "data config: expected a validation_size below the number of training "
            f"frames, {len(training)}, found {size}"
        )
    validation, training = split(
        training, [size, len(training) - size], config.split_seed
    )
    record |= {"validation_size": size, "split_seed": config.split_seed}
    return training, validation, record


def report_repeated(
    name: str, structures: Sequence[Structure], learnt: Sequence[Structure]
) -> None:
    """Log how many frames of a set are in another: errors on them are small.

    Parameters
    ----------
    name : str
        Of the set.
    structures : sequence of Structure
    learnt : sequence of Structure
        Frames that the model is trained on, or that choose it.
    """
    seen = {(s.symbols, s.positions.tobytes()) for s in learnt if not s.is_isolated}
    again = sum((s.symbols, s.positions.tobytes()) in seen for s in structures)
    if again:
        log.warning(
            "%d of %s are training or validation frames too: errors on them say little "
            "of others",
            *(again, counted(len(structures), f"{name} frame")),
        )


def read_replay(
    config: DataConfig, folder: str | Path, *, trust: bool = False
) -> list[Structure]:
    """Read the structures to replay, less the baseline if there is one.

    Parameters and errors are those of ``read_data``.
    """
    files, baseline = (
        [Path(folder) / name for name in names]
        for names in (config.replay, config.baseline)
    )
    return read_labelled(files, baseline, config.labels(), trust=trust)


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
        dataclasses.replace(config.labels(), use_weights=False),
        trust=trust,
    )


def read_labelled(
    files: Sequence[str | Path],
    baseline: Sequence[str | Path] = (),
    labels: LabelSettings | None = None,
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
    labels : LabelSettings, optional
        Names and units of the labels.
    trust : bool
        Whether Systems may run code, see ``read_system``.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_structures``, ``read_system`` and ``subtract_baseline``.
    """
    systems = [read_system(path, trust=trust) for path in baseline]
    settings = dataclasses.asdict(labels or LabelSettings())
    with log_if_long(
        log, f"reading {', '.join(short_names(map(str, files)).values())}"
    ):
        structures = read_structures(files, **settings)
    return (
        subtract_baseline(structures, by_composition(systems))
        if systems
        else structures
    )


def split(
    structures: Sequence[Structure], sizes: Sequence[int], seed: int = 0
) -> list[list[Structure]]:
    """Draw random disjoint subsets.

    Isolated atoms, of which a model learns the energies of its elements, are not drawn
    but begin the largest subset, if there is room for all of them.

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
    alone = [i for i, s in enumerate(structures) if s.is_isolated]
    largest = int(np.argmax(sizes)) if len(sizes) else 0
    if not sizes or len(alone) > sizes[largest]:
        alone = []
    rest = np.setdiff1d(np.arange(len(structures)), alone)
    order = np.random.default_rng(seed).permutation(len(rest))
    subsets, start = [], 0
    for index, size in enumerate(sizes):
        first = alone if index == largest else []
        end = start + size - len(first)
        subsets.append([structures[i] for i in (*first, *rest[order[start:end]])])
        start = end
    return subsets


def check_labels(
    name: str, structures: Sequence[Structure], config: TrainConfig
) -> None:
    """Refuse an empty set, one without forces that have a weight, and missing energies.

    Parameters
    ----------
    name : str
        Of the set, for the message.
    structures : sequence of Structure
    config : TrainConfig

    Raises
    ------
    ValueError
    """
    if not structures:
        raise ValueError(f"{name}: expected at least one structure, found none")
    for index, s in enumerate(structures):
        if s.energy is None:
            count = sum(x.energy is not None for x in structures)
            raise ValueError(
                f"{name} structure {index}: expected an energy, found none; of "
                f"{len(structures)} structures {count} have one"
            )
        forces = 0.0 if s.forces is None else s.forces
        if not (np.isfinite(s.energy) and np.isfinite(forces).all()):
            raise ValueError(
                f"{name} structure {index}: expected a finite energy and forces, "
                "found NaN or infinity"
            )
    weight = max(weights.forces for weights in config.stages())
    learnt = [s for s in structures if not s.is_isolated]
    if weight > 0 and learnt and all(s.forces is None for s in learnt):
        raise ValueError(
            f"{name}: expected forces because their weight is {weight:g}, found none "
            f"in {counted(len(learnt), 'structure')}; forces_weight = 0 trains on "
            "energies alone"
        )


def _weigh_files(
    structures: Sequence[Structure], weights: Mapping[str, float], folder: Path
) -> list[Structure]:
    """Multiply the weights of structures by those of their files."""
    factors = {str(folder / name): weight for name, weight in weights.items()}
    weighed = []
    for s in structures:
        factor = factors.get(place_of(s, 0)[0], 1.0)
        energy, forces, stress = (factor * weight for weight in s.weights)
        weighed.append(dataclasses.replace(s, weights=(energy, forces, stress)))
    return weighed


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a file of structures, found nothing at {path}"
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()
